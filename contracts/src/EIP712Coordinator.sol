// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Coordinator} from "./Coordinator.sol";
import {Registry} from "./Registry.sol";
import {Subscription} from "./interface/ICoordinator.sol";
import {IEIP712Coordinator} from "./interface/IEIP712Coordinator.sol";
import {Delegator} from "./pattern/Delegator.sol";
import {ECDSA} from "solady/utils/ECDSA.sol";
import {EfficientHashLib} from "solady/utils/EfficientHashLib.sol";
import {EIP712} from "solady/utils/EIP712.sol";
import {SignatureCheckerLib} from "solady/utils/SignatureCheckerLib.sol";

/// @title EIP712Coordinator
/// @notice See `IEIP712Coordinator`. The coordinator that is deployed.
contract EIP712Coordinator is IEIP712Coordinator, EIP712, Coordinator {
    /// @inheritdoc IEIP712Coordinator
    string public constant EIP712_NAME = "InfernetCoordinator";
    /// @inheritdoc IEIP712Coordinator
    string public constant EIP712_VERSION = "1";

    bytes32 private constant SUBSCRIPTION_TYPEHASH = keccak256(
        "Subscription(address owner,uint32 activeAt,uint32 period,uint32 frequency,uint16 redundancy,bytes32 containerId,bool lazy,address verifier,uint256 paymentAmount,address paymentToken,address wallet)"
    );
    bytes32 private constant DELEGATE_SUBSCRIPTION_TYPEHASH = keccak256(
        "DelegateSubscription(uint32 nonce,uint32 expiry,Subscription sub)Subscription(address owner,uint32 activeAt,uint32 period,uint32 frequency,uint16 redundancy,bytes32 containerId,bool lazy,address verifier,uint256 paymentAmount,address paymentToken,address wallet)"
    );
    /// @dev Beside an id in `_delegations`: the nonce was invalidated.
    uint256 private constant INVALIDATED = 1 << 32;
    /// @dev Half the order of secp256k1: of the two values of s that sign the same, the lower one.
    uint256 private constant MAX_S = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    /// @inheritdoc IEIP712Coordinator
    mapping(address owner => uint32 nonce) public maxSubscriberNonce;

    /// @dev The subscription's id (32 bits, lowest), or `INVALIDATED`.
    mapping(bytes32 key => uint256) private _delegations;

    /// @notice The signed request was not submitted in time.
    error SignatureExpired();
    /// @notice Somebody else signed it.
    error SignerMismatch();
    /// @notice The owner, or its signer, took the nonce back.
    error NonceInvalidated();
    /// @notice A subscription was created with this nonce already.
    error NonceUsed();
    /// @notice The nonce stands for another subscription.
    error DelegationMismatch();
    /// @notice Neither the owner nor its signer.
    error NotDelegator();

    constructor(Registry registry) Coordinator(registry) {}

    /// @inheritdoc IEIP712Coordinator
    function delegateCreatedIds(bytes32 key) external view returns (uint32) {
        return uint32(_delegations[key]);
    }

    /// @inheritdoc IEIP712Coordinator
    function isNonceInvalidated(address owner, uint32 nonce) external view returns (bool) {
        return _delegations[_delegationKey(owner, nonce)] == INVALIDATED;
    }

    /// @inheritdoc IEIP712Coordinator
    function invalidateNonce(address owner, uint32 nonce) external {
        if (msg.sender != owner && msg.sender != Delegator(owner).getSigner()) revert NotDelegator();
        bytes32 key = _delegationKey(owner, nonce);
        if (uint32(_delegations[key]) != 0) revert NonceUsed();
        _delegations[key] = INVALIDATED;
        emit DelegationInvalidated(owner, nonce);
    }

    /// @inheritdoc IEIP712Coordinator
    function createSubscriptionDelegatee(
        uint32 nonce,
        uint32 expiry,
        Subscription memory sub,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) public returns (uint32) {
        return _delegate(nonce, expiry, sub, abi.encodePacked(r, s, v));
    }

    /// @inheritdoc IEIP712Coordinator
    function createSubscriptionSigned(uint32 nonce, uint32 expiry, Subscription memory sub, bytes memory signature)
        external
        returns (uint32 subscriptionId)
    {
        subscriptionId = _delegate(nonce, expiry, sub, signature);
        bytes32 stored = keccak256(abi.encode(subscriptions[subscriptionId].load()));
        // Cancelled or not: a subscription whose activeAt was overwritten is not what was signed any more.
        if (stored != keccak256(abi.encode(sub))) revert DelegationMismatch();
    }

    /// @inheritdoc IEIP712Coordinator
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
    ) external {
        uint32 subscriptionId = createSubscriptionDelegatee(nonce, expiry, sub, v, r, s);
        deliverCompute(subscriptionId, deliveryInterval, input, output, proof, nodeWallet);
    }

    function _delegate(uint32 nonce, uint32 expiry, Subscription memory sub, bytes memory signature)
        private
        returns (uint32 subscriptionId)
    {
        bytes32 key = _delegationKey(sub.owner, nonce);
        uint256 delegation = _delegations[key];
        if (delegation == INVALIDATED) revert NonceInvalidated();
        if (delegation != 0) return uint32(delegation);
        if (uint32(block.timestamp) >= expiry) revert SignatureExpired();
        _checkSignature(sub.owner, _digest(nonce, expiry, sub), signature);
        subscriptionId = _open(sub, 0);
        _delegations[key] = subscriptionId;
        if (nonce > maxSubscriberNonce[sub.owner]) maxSubscriberNonce[sub.owner] = nonce;
    }

    /// @dev An account's signature has one form only: v of 27 or 28, and s in the lower half. A contract judges for itself; an account that
    /// has taken on code (EIP-7702) may still sign with its key.
    function _checkSignature(address owner, bytes32 digest, bytes memory signature) private view {
        address recovered = _isCanonical(signature) ? ECDSA.tryRecover(digest, signature) : address(0);
        // What is malformed may be what a contract accepts, but only where there is a signer to ask.
        if (recovered == address(0) && !_namesSigner(owner)) revert ECDSA.InvalidSignature();
        address signer = Delegator(owner).getSigner();
        if (recovered != address(0) && recovered == signer) return;
        if (signer.code.length > 0) {
            if (SignatureCheckerLib.isValidERC1271SignatureNow(signer, digest, signature)) return;
        } else if (recovered == address(0)) {
            revert ECDSA.InvalidSignature();
        }
        revert SignerMismatch();
    }

    function _namesSigner(address owner) private view returns (bool named) {
        bytes4 selector = Delegator.getSigner.selector;
        assembly ("memory-safe") {
            mstore(0x00, selector)
            named := staticcall(gas(), owner, 0x00, 0x04, 0x00, 0x20)
            named := and(and(named, gt(returndatasize(), 0x1f)), iszero(shr(160, mload(0x00))))
        }
    }

    function _digest(uint32 nonce, uint32 expiry, Subscription memory sub) private view returns (bytes32) {
        // The struct's words are its members in the order of the type.
        bytes32 subHash = keccak256(abi.encode(SUBSCRIPTION_TYPEHASH, sub));
        return _hashTypedData(keccak256(abi.encode(DELEGATE_SUBSCRIPTION_TYPEHASH, nonce, expiry, subHash)));
    }

    function _isCanonical(bytes memory signature) private pure returns (bool) {
        if (signature.length != 65) return false;
        bytes32 s;
        assembly ("memory-safe") {
            s := mload(add(signature, 0x40))
        }
        return uint256(s) <= MAX_S;
    }

    function _delegationKey(address owner, uint32 nonce) private pure returns (bytes32) {
        return EfficientHashLib.hash(uint256(uint160(owner)), uint256(nonce));
    }

    function _domainNameAndVersion() internal pure override returns (string memory, string memory) {
        return (EIP712_NAME, EIP712_VERSION);
    }
}
