// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Coordinator} from "src/Coordinator.sol";
import {IVerifier} from "src/payments/IVerifier.sol";

/// @notice Takes a fee, in any token, and says what it is told to say.
abstract contract TestVerifier is IVerifier {
    Coordinator internal immutable coordinator;
    mapping(address token => uint256) public fee;
    mapping(address token => bool) public isUnsupported;
    bytes public lastProof;
    /// @notice Where the fee goes.
    address public getWallet = address(this);

    constructor(Coordinator coordinator_) {
        coordinator = coordinator_;
    }

    receive() external payable {}

    function setFee(address token, uint256 amount) external {
        fee[token] = amount;
    }

    function setWallet(address wallet) external {
        getWallet = wallet;
    }

    function refuse(address token) external {
        isUnsupported[token] = true;
    }

    function isSupportedToken(address token) external view returns (bool) {
        return !isUnsupported[token];
    }
}

/// @notice Says so at once.
contract AtomicVerifier is TestVerifier {
    bool public verdict = true;

    constructor(Coordinator coordinator_) TestVerifier(coordinator_) {}

    function setVerdict(bool verdict_) external {
        verdict = verdict_;
    }

    function requestProofVerification(uint32 id, uint32 interval, address node, bytes calldata proof) external {
        lastProof = proof;
        coordinator.finalizeProofVerification(id, interval, node, verdict);
    }
}

/// @notice Says so when it is told to.
contract OptimisticVerifier is TestVerifier {
    constructor(Coordinator coordinator_) TestVerifier(coordinator_) {}

    function requestProofVerification(uint32, uint32, address, bytes calldata proof) external {
        lastProof = proof;
    }

    function finalize(uint32 id, uint32 interval, address node, bool valid) external {
        coordinator.finalizeProofVerification(id, interval, node, valid);
    }
}
