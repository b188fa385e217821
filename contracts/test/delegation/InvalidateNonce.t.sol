// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {DelegationSetup} from "../support/Delegation.sol";
import {EIP712Coordinator} from "src/EIP712Coordinator.sol";
import {Subscription} from "src/interface/ICoordinator.sol";
import {IEIP712Coordinator} from "src/interface/IEIP712Coordinator.sol";

/// @notice A request that was signed can be taken back until somebody has submitted it.
contract InvalidateNonceTest is DelegationSetup {
    function testOwnerTakesItBack() public {
        vm.prank(address(delegated));
        coordinator.invalidateNonce(address(delegated), 7);
        assertTrue(coordinator.isNonceInvalidated(address(delegated), 7));
        _expectInvalidated(7);
    }

    function testSignerTakesItBack() public {
        _invalidate(7);
        _expectInvalidated(7);
    }

    function testCannotTakeBackForOthers() public {
        vm.expectRevert(EIP712Coordinator.NotDelegator.selector);
        coordinator.invalidateNonce(address(delegated), 7);
    }

    function testCannotTakeBackAfterTheSignerHasChanged() public {
        delegated.updateSigner(makeAddr("another"));
        vm.expectRevert(EIP712Coordinator.NotDelegator.selector);
        _invalidate(7);
    }

    function testCannotTakeBackWhatWasSubmitted() public {
        _delegate(7, _delegatedSub());
        vm.expectRevert(EIP712Coordinator.NonceUsed.selector);
        _invalidate(7);
        assertFalse(coordinator.isNonceInvalidated(address(delegated), 7));
    }

    function testTakesBackTwice() public {
        _invalidate(7);
        _invalidate(7);
        _expectInvalidated(7);
    }

    function testTellsOfIt() public {
        vm.expectEmit(address(coordinator));
        emit IEIP712Coordinator.DelegationInvalidated(address(delegated), 7);
        _invalidate(7);
    }

    function testCreatesNothingAndCountsNothing() public {
        _invalidate(7);
        assertEq(coordinator.delegateCreatedIds(keccak256(abi.encode(address(delegated), uint32(7)))), 0);
        assertEq(coordinator.maxSubscriberNonce(address(delegated)), 0);
        assertEq(coordinator.id(), 1);
    }

    function testLeavesOtherNonces() public {
        _invalidate(7);
        assertFalse(coordinator.isNonceInvalidated(address(delegated), 8));
        assertEq(_delegate(8, _delegatedSub()), 1);
    }

    function testLeavesOtherOwners() public {
        address account = makeAddr("account");
        vm.prank(account);
        coordinator.invalidateNonce(account, 7);
        assertEq(_delegate(7, _delegatedSub()), 1);
    }

    function testCannotSubmitItInAnyForm() public {
        _invalidate(7);
        Subscription memory sub = _delegatedSub();
        bytes memory signature = _signature(7, sub);
        vm.expectRevert(EIP712Coordinator.NonceInvalidated.selector);
        coordinator.createSubscriptionSigned(7, EXPIRY, sub, signature);
        (uint8 v, bytes32 r, bytes32 s) = _sign(KEY, 7, EXPIRY, sub);
        vm.expectRevert(EIP712Coordinator.NonceInvalidated.selector);
        coordinator.deliverComputeDelegatee(7, EXPIRY, sub, v, r, s, 1, "", "", "", NOBODY);
    }

    function testComesBeforeExpiryAndSignature() public {
        _invalidate(7);
        vm.warp(EXPIRY);
        vm.expectRevert(EIP712Coordinator.NonceInvalidated.selector);
        coordinator.createSubscriptionDelegatee(7, EXPIRY, _delegatedSub(), 27, "", "");
    }

    function _invalidate(uint32 nonce) private {
        vm.prank(signer);
        coordinator.invalidateNonce(address(delegated), nonce);
    }

    function _expectInvalidated(uint32 nonce) private {
        Subscription memory sub = _delegatedSub();
        (uint8 v, bytes32 r, bytes32 s) = _sign(KEY, nonce, EXPIRY, sub);
        vm.expectRevert(EIP712Coordinator.NonceInvalidated.selector);
        coordinator.createSubscriptionDelegatee(nonce, EXPIRY, sub, v, r, s);
    }
}
