// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Campaign} from "./Campaign.sol";

/// @notice The other half.
contract MoreAccountsInvariant is Campaign(1) {
    /// forge-config: default.invariant.fail-on-revert = true
    function invariant_MoneyGoesWhereItOught() public {
        _checkAll();
    }
}
