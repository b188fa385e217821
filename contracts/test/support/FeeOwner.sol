// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Fee} from "src/payments/Fee.sol";

/// @notice Gets the protocol's fee, and lets anybody pass that on.
contract FeeOwner {
    receive() external payable {}

    function pass(Fee fee, address to) external {
        fee.transferOwnership(to);
    }
}
