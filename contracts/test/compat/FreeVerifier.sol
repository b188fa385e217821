// SPDX-License-Identifier: MIT
pragma solidity ^0.8.4;

import {Coordinator} from "infernet-sdk/Coordinator.sol";
import {IVerifier} from "infernet-sdk/payments/IVerifier.sol";

/// @notice Judges by the first byte of the proof, for nothing.
contract FreeVerifier is IVerifier {
    Coordinator internal immutable COORDINATOR;

    constructor(address coordinator) {
        COORDINATOR = Coordinator(coordinator);
    }

    function getWallet() external view override returns (address) {
        return address(this);
    }

    function isSupportedToken(address) external pure override returns (bool) {
        return true;
    }

    function fee(address) external pure override returns (uint256) {
        return 0;
    }

    function requestProofVerification(uint32 subscriptionId, uint32 interval, address node, bytes calldata proof)
        external
        override
    {
        require(msg.sender == address(COORDINATOR));
        COORDINATOR.finalizeProofVerification(subscriptionId, interval, node, proof.length > 0 && proof[0] != 0);
    }

    receive() external payable override {}
}
