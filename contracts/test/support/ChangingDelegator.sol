// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {RecordingConsumer} from "./Consumers.sol";
import {EIP712Coordinator} from "src/EIP712Coordinator.sol";
import {Delegator} from "src/pattern/Delegator.sol";

/// @notice A delegator whose every answer to a node is what it was last told to give.
contract ChangingDelegator is RecordingConsumer, Delegator {
    bytes internal input;
    bool public requiresSignedData;

    constructor(address registry, address signer) RecordingConsumer(registry) Delegator(signer) {}

    function updateSigner(address signer) external {
        _updateSigner(signer);
    }

    function give(bytes calldata input_) external {
        input = input_;
    }

    function requireSignedData(bool required) external {
        requiresSignedData = required;
    }

    function invalidate(uint32 nonce) external {
        EIP712Coordinator(address(COORDINATOR)).invalidateNonce(address(this), nonce);
    }

    function getContainerInputs(uint32, uint32, uint32, address) external view override returns (bytes memory) {
        return input;
    }
}
