// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {EmptyConsumer} from "./Consumers.sol";
import {Delegator} from "src/pattern/Delegator.sol";

/// @notice Makes a call, when it is answered, and passes on what the call reverts with.
contract CallingConsumer is EmptyConsumer {
    address internal target;
    bytes internal data;

    constructor(address registry) EmptyConsumer(registry) {}

    function callBack(address target_, bytes calldata data_) external {
        target = target_;
        data = data_;
    }

    function _receiveCompute(
        uint32,
        uint32,
        uint16,
        address,
        bytes calldata,
        bytes calldata,
        bytes calldata,
        bytes32,
        uint256
    ) internal override {
        (bool success, bytes memory reason) = target.call(data);
        if (success) return;
        assembly ("memory-safe") {
            revert(add(reason, 0x20), mload(reason))
        }
    }
}

/// @notice Takes no answer.
contract RefusingConsumer is EmptyConsumer {
    error Refused(uint32 subscriptionId);

    constructor(address registry) EmptyConsumer(registry) {}

    function _receiveCompute(
        uint32 subscriptionId,
        uint32,
        uint16,
        address,
        bytes calldata,
        bytes calldata,
        bytes calldata,
        bytes32,
        uint256
    ) internal pure override {
        revert Refused(subscriptionId);
    }
}

/// @notice Notes what an account owns at the moment of the answer.
contract WatchingConsumer is EmptyConsumer {
    address internal watched;
    uint256 public balance;

    constructor(address registry) EmptyConsumer(registry) {}

    function watch(address account) external {
        watched = account;
    }

    function _receiveCompute(
        uint32,
        uint32,
        uint16,
        address,
        bytes calldata,
        bytes calldata,
        bytes calldata,
        bytes32,
        uint256
    ) internal override {
        balance = watched.balance;
    }
}

/// @notice Takes 32 bytes, as a node tries it with before it computes, and reverts at anything else, with what it is told to.
contract ForgingConsumer is EmptyConsumer {
    bytes internal reason;

    constructor(address registry) EmptyConsumer(registry) {}

    function forge(bytes calldata reason_) external {
        reason = reason_;
    }

    function _receiveCompute(
        uint32,
        uint32,
        uint16,
        address,
        bytes calldata,
        bytes calldata output,
        bytes calldata,
        bytes32,
        uint256
    ) internal view override {
        if (output.length == 32) return;
        bytes memory told = reason;
        assembly ("memory-safe") {
            revert(add(told, 0x20), mload(told))
        }
    }
}

/// @notice The same, for which somebody signs.
contract ForgingDelegator is ForgingConsumer, Delegator {
    constructor(address registry, address signer) ForgingConsumer(registry) Delegator(signer) {}
}
