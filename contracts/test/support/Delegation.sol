// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Subscription} from "src/interface/ICoordinator.sol";
import {Delegator} from "src/pattern/Delegator.sol";
import {RecordingConsumer} from "./Consumers.sol";
import {Setup} from "./Setup.sol";

/// @notice A consumer in whose name a signer opens subscriptions.
contract DelegatedConsumer is RecordingConsumer, Delegator {
    constructor(address registry, address signer) RecordingConsumer(registry) Delegator(signer) {}

    function updateSigner(address signer) external {
        _updateSigner(signer);
    }
}

/// @notice The same contracts, a consumer with a signer, and a second writing of what is signed.
abstract contract DelegationSetup is Setup {
    uint256 internal constant KEY = 0xa11ce;
    address internal immutable signer = vm.addr(KEY);
    uint32 internal constant EXPIRY = 1_750_003_600;

    DelegatedConsumer internal delegated;

    function setUp() public virtual override {
        super.setUp();
        delegated = new DelegatedConsumer(address(registry), signer);
    }

    /// @notice A callback in the consumer's name, unpaid.
    function _delegatedSub() internal view returns (Subscription memory sub) {
        sub.owner = address(delegated);
        sub.activeAt = 1_750_000_000;
        sub.frequency = 1;
        sub.redundancy = 2;
        sub.containerId = keccak256(abi.encode("container"));
    }

    function _sign(uint256 key, uint32 nonce, uint32 expiry, Subscription memory sub)
        internal
        view
        returns (uint8 v, bytes32 r, bytes32 s)
    {
        return vm.sign(key, _digestOf(nonce, expiry, sub));
    }

    function _signature(uint32 nonce, Subscription memory sub) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = _sign(KEY, nonce, EXPIRY, sub);
        return abi.encodePacked(r, s, v);
    }

    /// @notice Opens it as the signer has signed it.
    function _delegate(uint32 nonce, Subscription memory sub) internal returns (uint32) {
        (uint8 v, bytes32 r, bytes32 s) = _sign(KEY, nonce, EXPIRY, sub);
        return coordinator.createSubscriptionDelegatee(nonce, EXPIRY, sub, v, r, s);
    }

    function _digestOf(uint32 nonce, uint32 expiry, Subscription memory sub) internal view returns (bytes32) {
        bytes memory subType =
            "Subscription(address owner,uint32 activeAt,uint32 period,uint32 frequency,uint16 redundancy,bytes32 containerId,bool lazy,address verifier,uint256 paymentAmount,address paymentToken,address wallet)";
        bytes memory requestType =
            bytes.concat("DelegateSubscription(uint32 nonce,uint32 expiry,Subscription sub)", subType);
        bytes memory first =
            abi.encode(keccak256(subType), sub.owner, sub.activeAt, sub.period, sub.frequency, sub.redundancy);
        bytes memory second =
            abi.encode(sub.containerId, sub.lazy, sub.verifier, sub.paymentAmount, sub.paymentToken, sub.wallet);
        bytes32 subHash = keccak256(bytes.concat(first, second));
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("InfernetCoordinator"),
                keccak256("1"),
                block.chainid,
                address(coordinator)
            )
        );
        bytes32 request = keccak256(abi.encode(keccak256(requestType), nonce, expiry, subHash));
        return keccak256(abi.encodePacked(hex"1901", domain, request));
    }
}
