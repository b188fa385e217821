// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title Delegator
/// @notice A consumer that lets a signer open subscriptions in its name, off-chain.
/// @dev Whoever holds the signer's key, or is what a contract signer accepts, can spend what wallets allow this contract to spend.
abstract contract Delegator {
    address private _signer;

    /// @notice The signer is another from here on: what the old one signed, and nobody has submitted, is void.
    event SignerUpdated(address signer);

    constructor(address signer_) {
        _updateSigner(signer_);
    }

    /// @notice Who signs for this contract: an account, or a contract that judges signatures (EIP-1271).
    function getSigner() external view returns (address) {
        return _signer;
    }

    /// @notice Replaces the signer. Subscriptions that exist stay.
    function _updateSigner(address signer_) internal {
        _signer = signer_;
        emit SignerUpdated(signer_);
    }
}
