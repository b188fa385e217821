// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Coordinator} from "../Coordinator.sol";
import {Registry} from "../Registry.sol";
import {Delivery} from "../interface/ICoordinator.sol";
import {IVerifier} from "./IVerifier.sol";

/// @title BoundVerifier
/// @notice A verifier that is told what a proof has to be about: container, input and output. Without that a valid proof of one
/// answer would pass beside any other.
abstract contract BoundVerifier is IVerifier {
    /// @notice Asks, and is told the verdict.
    Coordinator internal immutable COORDINATOR;

    /// @notice The caller is not the coordinator.
    error NotCoordinator();

    constructor(Registry registry) {
        COORDINATOR = Coordinator(registry.COORDINATOR());
    }

    /// @inheritdoc IVerifier
    function requestProofVerification(uint32, uint32, address, bytes calldata proof) external {
        if (msg.sender != address(COORDINATOR)) revert NotCoordinator();
        _verify(COORDINATOR.delivery(), proof);
    }

    /// @notice Judges a proof: calls `_finalize` at once, or notes what it needs to do so within a week.
    function _verify(Delivery memory delivery, bytes calldata proof) internal virtual;

    /// @notice Gives the verdict.
    function _finalize(Delivery memory delivery, bool valid) internal {
        COORDINATOR.finalizeProofVerification(delivery.subscriptionId, delivery.interval, delivery.node, valid);
    }
}
