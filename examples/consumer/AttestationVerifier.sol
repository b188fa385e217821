// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Registry} from "infernet-sdk/Registry.sol";
import {Delivery} from "infernet-sdk/interface/ICoordinator.sol";
import {BoundVerifier} from "infernet-sdk/payments/BoundVerifier.sol";
import {ECDSA} from "solady/utils/ECDSA.sol";

/// @title AttestationVerifier
/// @notice Takes as proof the signature of an attester that everybody trusts: an enclave, say, or somebody who has computed it again.
/// Judges at once, and for nothing.
contract AttestationVerifier is BoundVerifier {
    address private immutable attester;

    constructor(Registry registry, address attester_) BoundVerifier(registry) {
        attester = attester_;
    }

    /// @notice Has to be here, since other verifiers are paid in ETH.
    receive() external payable {}

    /// @inheritdoc BoundVerifier
    function _verify(Delivery memory delivery, bytes calldata proof) internal override {
        address signer = ECDSA.tryRecoverCalldata(digestOf(delivery), proof);
        _finalize(delivery, signer == attester && signer != address(0));
    }

    /// @notice What the attester signs: this answer, to this question, of this node. So it fits no other, and nobody can copy it.
    function digestOf(Delivery memory delivery) public view returns (bytes32) {
        return ECDSA.toEthSignedMessageHash(keccak256(abi.encode(block.chainid, address(this), delivery)));
    }

    function isSupportedToken(address) external pure returns (bool) {
        return true;
    }

    function fee(address) external pure returns (uint256) {
        return 0;
    }

    function getWallet() external view returns (address) {
        return address(this);
    }
}
