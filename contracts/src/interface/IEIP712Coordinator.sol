// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ICoordinator, Subscription} from "./ICoordinator.sol";

/// @title IEIP712Coordinator
/// @notice Subscriptions that a `Delegator`'s signer has signed off-chain (EIP-712), and anyone may submit.
/// @dev Domain: `EIP712_NAME`, `EIP712_VERSION`, chain id, this contract. Type: `DelegateSubscription(uint32 nonce,uint32 expiry,Subscription
/// sub)` with the members of `Subscription` in their order.
interface IEIP712Coordinator is ICoordinator {
    /// @notice What was signed with this nonce, or will be, is void.
    event DelegationInvalidated(address indexed owner, uint32 nonce);

    /// @notice Name in the EIP-712 domain.
    function EIP712_NAME() external view returns (string memory);

    /// @notice Version in the EIP-712 domain.
    function EIP712_VERSION() external view returns (string memory);

    /// @notice The highest nonce that a subscription of this owner was created with; a hint, since nonces may be used in any order.
    function maxSubscriberNonce(address owner) external view returns (uint32);

    /// @notice The subscription created with a nonce; 0: none. Key: `keccak256(abi.encode(address owner, uint32 nonce))`.
    function delegateCreatedIds(bytes32 key) external view returns (uint32);

    /// @notice Whether nothing can be created with this nonce any more.
    function isNonceInvalidated(address owner, uint32 nonce) external view returns (bool);

    /// @notice Takes back what was signed with a nonce and nobody has submitted. The owner or its signer may. Reverts `NonceUsed` when a
    /// subscription exists: that is for the owner to cancel.
    function invalidateNonce(address owner, uint32 nonce) external;

    /// @notice Creates a subscription as it was signed, `activeAt` and all.
    /// @dev If the nonce has created one, that one's id is returned, and nothing else is looked at: neither expiry nor signature, and not
    /// whether `sub` is the same. `createSubscriptionSigned` looks. Reverts, in this order: `NonceInvalidated`, `SignatureExpired`,
    /// `InvalidSignature` (malformed, or with s in the upper half), `SignerMismatch`. A signer with code, if its key did not sign, is asked
    /// by EIP-1271, for `r`, `s`, `v` in 65 bytes.
    function createSubscriptionDelegatee(
        uint32 nonce,
        uint32 expiry,
        Subscription memory sub,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (uint32);

    /// @notice The same for signatures of any form, and strict: reverts `DelegationMismatch` when the nonce has created another
    /// subscription than `sub`, or one that was cancelled.
    function createSubscriptionSigned(uint32 nonce, uint32 expiry, Subscription memory sub, bytes memory signature)
        external
        returns (uint32);

    /// @notice Creates a subscription, or finds it, and delivers to it; if the delivery fails, neither is done.
    function deliverComputeDelegatee(
        uint32 nonce,
        uint32 expiry,
        Subscription memory sub,
        uint8 v,
        bytes32 r,
        bytes32 s,
        uint32 deliveryInterval,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof,
        address nodeWallet
    ) external;
}
