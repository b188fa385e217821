// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Token} from "./Tokens.sol";

/// @notice A token whose own unit is as large as it is told.
contract DecimalToken is Token {
    uint8 private immutable _decimals;

    constructor(uint8 decimals_) {
        _decimals = decimals_;
    }

    function decimals() public view override returns (uint8) {
        return _decimals;
    }
}
