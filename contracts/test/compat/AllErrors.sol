// SPDX-License-Identifier: MIT
pragma solidity ^0.8.4;

import {EIP712Coordinator} from "infernet-sdk/EIP712Coordinator.sol";
import {Registry} from "infernet-sdk/Registry.sol";
import {CallbackConsumer} from "infernet-sdk/consumer/Callback.sol";
import {Allowlist} from "infernet-sdk/pattern/Allowlist.sol";

/// @notice As some nodes' bindings have it: everything in one contract, so that one ABI has all errors. What it declares itself must
/// be declared by none of its bases.
contract AllErrors is CallbackConsumer, EIP712Coordinator, Allowlist {
    error TransferFailed();
    error InsufficientFunds();
    error InsufficientAllowance();

    constructor(Registry registry)
        CallbackConsumer(address(registry))
        EIP712Coordinator(registry)
        Allowlist(new address[](0))
    {}

    function names() external pure returns (bytes4[5] memory) {
        return [
            TransferFailed.selector,
            InsufficientFunds.selector,
            InsufficientAllowance.selector,
            NotCoordinator.selector,
            NodeNotAllowed.selector
        ];
    }
}
