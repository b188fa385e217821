// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {EmptyConsumer} from "../support/Consumers.sol";
import {Attack} from "./Attack.sol";
import {Subscription} from "src/interface/ICoordinator.sol";
import {Delegator} from "src/pattern/Delegator.sol";

contract DelegatingConsumer is EmptyConsumer, Delegator {
    constructor(address registry, address signer) EmptyConsumer(registry) Delegator(signer) {}

    function updateSigner(address signer) external {
        _updateSigner(signer);
    }

    function invalidate(uint32 nonce) external {
        (bool success,) =
            address(COORDINATOR).call(abi.encodeWithSignature("invalidateNonce(address,uint32)", address(this), nonce));
        require(success);
    }
}

/// @notice A consumer whose requests are signed, and the typed-data hash, written a second time.
abstract contract Delegated is Attack {
    string internal constant SUBSCRIPTION = "Subscription(address owner,uint32 activeAt,uint32 period,uint32 frequency,"
        "uint16 redundancy,bytes32 containerId,bool lazy,address verifier,uint256 paymentAmount,address paymentToken,"
        "address wallet)";
    uint256 internal constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    DelegatingConsumer internal delegator;
    address internal signer;
    uint256 internal signerKey;
    uint32 internal expiry;

    function setUp() public virtual override {
        super.setUp();
        (signer, signerKey) = makeAddrAndKey("signer");
        delegator = new DelegatingConsumer(address(registry), signer);
        expiry = uint32(block.timestamp + 1 days);
    }

    function _sub() internal view returns (Subscription memory) {
        return Subscription({
            owner: address(delegator),
            activeAt: uint32(block.timestamp),
            period: 0,
            frequency: 1,
            redundancy: 1,
            containerId: keccak256(abi.encode("container")),
            lazy: false,
            verifier: payable(NOBODY),
            paymentAmount: 0,
            paymentToken: ETH,
            wallet: payable(NOBODY)
        });
    }

    function _digest(uint32 nonce, Subscription memory sub) internal view returns (bytes32) {
        bytes32 subHash = keccak256(
            bytes.concat(
                abi.encode(keccak256(bytes(SUBSCRIPTION)), sub.owner, sub.activeAt, sub.period, sub.frequency),
                abi.encode(sub.redundancy, sub.containerId, sub.lazy, sub.verifier),
                abi.encode(sub.paymentAmount, sub.paymentToken, sub.wallet)
            )
        );
        bytes32 typeHash = keccak256(
            abi.encodePacked("DelegateSubscription(uint32 nonce,uint32 expiry,Subscription sub)", SUBSCRIPTION)
        );
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("InfernetCoordinator"),
                keccak256("1"),
                block.chainid,
                address(coordinator)
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, keccak256(abi.encode(typeHash, nonce, expiry, subHash))));
    }

    function _sign(uint32 nonce, Subscription memory sub) internal view returns (uint8 v, bytes32 r, bytes32 s) {
        return vm.sign(signerKey, _digest(nonce, sub));
    }

    function _signature(uint32 nonce, Subscription memory sub) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = _sign(nonce, sub);
        return abi.encodePacked(r, s, v);
    }

    function _create(uint32 nonce) internal returns (uint32) {
        (uint8 v, bytes32 r, bytes32 s) = _sign(nonce, _sub());
        return coordinator.createSubscriptionDelegatee(nonce, expiry, _sub(), v, r, s);
    }
}
