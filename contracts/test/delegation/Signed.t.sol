// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {DelegationSetup} from "../support/Delegation.sol";
import {EIP712Coordinator} from "src/EIP712Coordinator.sol";
import {Subscription} from "src/interface/ICoordinator.sol";
import {ECDSA} from "solady/utils/ECDSA.sol";

/// @notice `createSubscriptionSigned` gives what was signed, or nothing.
contract SignedTest is DelegationSetup {
    function testCreatesWhatWasSigned() public {
        Subscription memory sub = _delegatedSub();
        uint32 id = _create(3, sub);
        assertEq(abi.encode(coordinator.getSubscription(id)), abi.encode(sub));
        assertEq(coordinator.maxSubscriberNonce(address(delegated)), 3);
    }

    function testFindsWhatWasCreated(Subscription memory sub) public {
        sub.owner = address(delegated);
        uint32 id = _create(3, sub);
        vm.warp(EXPIRY);
        assertEq(coordinator.createSubscriptionSigned(3, EXPIRY, sub, ""), id);
    }

    function testFindsWhatTheOtherWayHasCreated() public {
        uint32 id = _delegate(3, _delegatedSub());
        assertEq(_create(3, _delegatedSub()), id);
    }

    function testCannotPassOffAnother() public {
        _create(3, _delegatedSub());
        Subscription memory other = _delegatedSub();
        other.redundancy = 3;
        _expectMismatch(3, other);
    }

    function testCannotPassOffAnyOther(Subscription memory created, Subscription memory asked) public {
        created.owner = address(delegated);
        asked.owner = address(delegated);
        vm.assume(keccak256(abi.encode(created)) != keccak256(abi.encode(asked)));
        _create(3, created);
        _expectMismatch(3, asked);
    }

    function testCannotPassOffWhatWasCancelled() public {
        delegated.cancel(_create(3, _delegatedSub()));
        _expectMismatch(3, _delegatedSub());
    }

    function testPassesOffAnythingTheOtherWay() public {
        uint32 id = _create(3, _delegatedSub());
        Subscription memory other = _delegatedSub();
        other.redundancy = 3;
        assertEq(coordinator.createSubscriptionDelegatee(3, 0, other, 0, "", ""), id);
    }

    function testCannotCreateAfterExpiry() public {
        Subscription memory sub = _delegatedSub();
        bytes memory signature = _signature(3, sub);
        vm.warp(EXPIRY);
        vm.expectRevert(EIP712Coordinator.SignatureExpired.selector);
        coordinator.createSubscriptionSigned(3, EXPIRY, sub, signature);
    }

    function testCannotCreateForASignerOfAnother() public {
        Subscription memory sub = _delegatedSub();
        (uint8 v, bytes32 r, bytes32 s) = _sign(KEY + 1, 3, EXPIRY, sub);
        vm.expectRevert(EIP712Coordinator.SignerMismatch.selector);
        coordinator.createSubscriptionSigned(3, EXPIRY, sub, abi.encodePacked(r, s, v));
    }

    function testCannotCreateWithCompactSignature() public {
        Subscription memory sub = _delegatedSub();
        (bytes32 r, bytes32 vs) = vm.signCompact(KEY, _digestOf(3, EXPIRY, sub));
        vm.expectRevert(ECDSA.InvalidSignature.selector);
        coordinator.createSubscriptionSigned(3, EXPIRY, sub, abi.encodePacked(r, vs));
    }

    function testCannotCreateWithTheOtherHalf() public {
        Subscription memory sub = _delegatedSub();
        (uint8 v, bytes32 r, bytes32 s) = _sign(KEY, 3, EXPIRY, sub);
        uint256 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        bytes32 flipped = bytes32(order - uint256(s));
        vm.expectRevert(ECDSA.InvalidSignature.selector);
        coordinator.createSubscriptionSigned(3, EXPIRY, sub, abi.encodePacked(r, flipped, uint8(v == 27 ? 28 : 27)));
    }

    function testCannotCreateWithoutSignature() public {
        vm.expectRevert(ECDSA.InvalidSignature.selector);
        coordinator.createSubscriptionSigned(3, EXPIRY, _delegatedSub(), "");
    }

    function _create(uint32 nonce, Subscription memory sub) private returns (uint32) {
        return coordinator.createSubscriptionSigned(nonce, EXPIRY, sub, _signature(nonce, sub));
    }

    function _expectMismatch(uint32 nonce, Subscription memory sub) private {
        bytes memory signature = _signature(nonce, sub);
        vm.expectRevert(EIP712Coordinator.DelegationMismatch.selector);
        coordinator.createSubscriptionSigned(nonce, EXPIRY, sub, signature);
    }
}
