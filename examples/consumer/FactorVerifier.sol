// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Registry} from "infernet-sdk/Registry.sol";
import {Delivery} from "infernet-sdk/interface/ICoordinator.sol";
import {BoundVerifier} from "infernet-sdk/payments/BoundVerifier.sol";

/// @title FactorVerifier
/// @notice Takes as proof of a factor that it divides. A proof is `abi.encode(uint256 number, uint256 factor)`. Judges at once, and for
/// nothing.
contract FactorVerifier is BoundVerifier {
    constructor(Registry registry) BoundVerifier(registry) {}

    /// @notice Has to be here, since other verifiers are paid in ETH.
    receive() external payable {}

    /// @inheritdoc BoundVerifier
    function _verify(Delivery memory delivery, bytes calldata proof) internal override {
        _finalize(delivery, _divides(delivery, proof));
    }

    /// @dev The coordinator has the hashes of what the consumer gets: a proof of another answer, or to another question, is none.
    function _divides(Delivery memory delivery, bytes calldata proof) private pure returns (bool) {
        if (proof.length != 64) return false;
        (uint256 number, uint256 factor) = abi.decode(proof, (uint256, uint256));
        if (delivery.inputHash != _hashOf(number) || delivery.outputHash != _hashOf(factor)) return false;
        return factor > 1 && factor < number && number % factor == 0;
    }

    /// @dev As a container's five keys reach a contract: each in two forms, of which there is one.
    function _hashOf(uint256 word) private pure returns (bytes32) {
        return keccak256(abi.encode(abi.encode(word), ""));
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
