// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Coordinator} from "src/Coordinator.sol";
import {Delegator} from "src/pattern/Delegator.sol";
import {EmptyConsumer} from "./Consumers.sol";
import {TestVerifier} from "./Verifiers.sol";

/// @notice Takes answers to what its signer has asked for.
contract EmptyDelegator is EmptyConsumer, Delegator {
    constructor(address registry, address signer) EmptyConsumer(registry) Delegator(signer) {}
}

/// @notice Says yes at once, and keeps nothing.
contract BareAtomicVerifier is TestVerifier {
    constructor(Coordinator coordinator_) TestVerifier(coordinator_) {}

    function requestProofVerification(uint32 id, uint32 interval, address node, bytes calldata) external {
        coordinator.finalizeProofVerification(id, interval, node, true);
    }
}

/// @notice Says what it is told to say, when it is, and keeps nothing.
contract BareOptimisticVerifier is TestVerifier {
    constructor(Coordinator coordinator_) TestVerifier(coordinator_) {}

    function requestProofVerification(uint32, uint32, address, bytes calldata) external {}

    function finalize(uint32 id, uint32 interval, address node, bool valid) external {
        coordinator.finalizeProofVerification(id, interval, node, valid);
    }
}
