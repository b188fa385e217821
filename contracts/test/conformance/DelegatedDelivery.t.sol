// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {DelegationSetup} from "../support/DelegationSetup.sol";
import {CallingConsumer} from "../support/OddConsumers.sol";
import {Coordinator} from "src/Coordinator.sol";
import {EIP712Coordinator} from "src/EIP712Coordinator.sol";
import {ICoordinator, Subscription} from "src/interface/ICoordinator.sol";
import {Wallet} from "src/payments/Wallet.sol";
import {ECDSA} from "solady/utils/ECDSA.sol";

contract DelegatedDeliveryTest is DelegationSetup {
    function _answer(address as_, uint32 nonce, uint32 interval, Subscription memory sub) private {
        _answerBy(as_, nonce, expiry, interval, sub, _sign(nonce, sub));
    }

    function _answerBy(
        address as_,
        uint32 nonce,
        uint32 expiry_,
        uint32 interval,
        Subscription memory sub,
        Signature memory signature
    ) private {
        vm.prank(as_);
        coordinator.deliverComputeDelegatee(
            nonce,
            expiry_,
            sub,
            signature.v,
            signature.r,
            signature.s,
            interval,
            "input",
            "output",
            "proof",
            address(nodeWallet)
        );
    }

    function testCreatesAndDelivers() public {
        _answer(node, 5, 1, _sub());
        assertEq(_idOf(5), 1);
        assertEq(delegator.last().node, node);
        assertEq(delegator.last().input, "input");
        assertEq(delegator.last().output, "output");
        assertEq(delegator.last().proof, "proof");
        assertEq(_count(1, 1), 1);
    }

    function testTellsBoth() public {
        Subscription memory sub = _sub();
        Signature memory signature = _sign(5, sub);
        vm.expectEmit(address(coordinator));
        emit ICoordinator.SubscriptionCreated(1);
        vm.expectEmit(address(coordinator));
        emit ICoordinator.SubscriptionFulfilled(1, node);
        _answerBy(node, 5, expiry, 1, sub, signature);
    }

    function testDeliversToWhatExists() public {
        _answer(node, 5, 1, _sub());
        _answer(otherNode, 5, 1, _sub());
        assertEq(coordinator.id(), 2);
        assertEq(delegator.last().node, otherNode);
        assertEq(delegator.last().redundancy, 2);
    }

    function testDeliversToWhatExistsWithoutASignature() public {
        uint32 id = _delegate(5, _sub());
        _answerBy(node, 5, 0, 1, _sub(), Signature(0, 0, 0));
        assertEq(_count(id, 1), 1);
    }

    function testDeliversLazily() public {
        Subscription memory sub = _sub();
        sub.lazy = true;
        _answer(node, 5, 1, sub);
        assertEq(delegator.last().containerId, sub.containerId);
        assertEq(inbox.read(sub.containerId, node, 0).subscriptionId, 1);
    }

    function testPays() public {
        vm.prank(owner);
        wallet.approve(address(delegator), ETH, 1 ether);
        Subscription memory sub = _sub();
        sub.paymentAmount = 1 ether;
        sub.wallet = payable(wallet);
        _answer(node, 5, 1, sub);
        assertEq(address(nodeWallet).balance, FUNDS + 0.8978 ether);
    }

    function _assertNothingCreated() private view {
        assertEq(coordinator.id(), 1);
        assertEq(_idOf(5), 0);
        assertEq(coordinator.maxSubscriberNonce(address(delegator)), 0);
        assertEq(coordinator.getSubscription(1).owner, NOBODY);
    }

    function testCannotCreateWithoutDelivering() public {
        Subscription memory sub = _sub();
        Signature memory signature = _sign(5, sub);
        vm.expectRevert(Coordinator.IntervalMismatch.selector);
        _answerBy(node, 5, expiry, 2, sub, signature);
        _assertNothingCreated();
    }

    function testCannotCreateBeforeItIsActive() public {
        Subscription memory sub = _sub();
        sub.activeAt += 60;
        Signature memory signature = _sign(5, sub);
        vm.expectRevert(Coordinator.SubscriptionNotActive.selector);
        _answerBy(node, 5, expiry, 1, sub, signature);
        _assertNothingCreated();
    }

    function testIsOpenFromWhenItWasSignedToBe() public {
        Subscription memory sub = _sub();
        sub.activeAt += 60;
        _delegate(5, sub);
        vm.warp(sub.activeAt - 1);
        vm.expectRevert(Coordinator.SubscriptionNotActive.selector);
        _answerBy(node, 5, 0, 1, sub, Signature(0, 0, 0));
        vm.warp(sub.activeAt);
        _answerBy(node, 5, 0, 1, sub, Signature(0, 0, 0));
        assertEq(_count(1, 1), 1);
    }

    /// @dev Not from when it was submitted: what was signed for earlier has begun.
    function testCountsIntervalsFromWhenItWasSignedToBe() public {
        Subscription memory sub = _sub();
        (sub.period, sub.frequency) = (60, 3);
        sub.activeAt -= 119;
        Signature memory signature = _sign(5, sub);
        vm.expectRevert(Coordinator.IntervalMismatch.selector);
        _answerBy(node, 5, expiry, 1, sub, signature);
        _answerBy(node, 5, expiry, 2, sub, signature);
        skip(1);
        _answerBy(node, 5, 0, 3, sub, signature);
        assertEq(_count(1, 2), 1);
        assertEq(_count(1, 3), 1);
        skip(60);
        vm.expectRevert(Coordinator.SubscriptionCompleted.selector);
        _answerBy(otherNode, 5, 0, 4, sub, signature);
    }

    function testCannotCreateWithoutBeingPaid() public {
        Subscription memory sub = _sub();
        sub.paymentAmount = 1 ether;
        sub.wallet = payable(wallet);
        Signature memory signature = _sign(5, sub);
        vm.expectRevert(Wallet.InsufficientAllowance.selector);
        _answerBy(node, 5, expiry, 1, sub, signature);
        _assertNothingCreated();
    }

    function testCannotDeliverWhatNobodySigned() public {
        vm.expectRevert(EIP712Coordinator.SignatureExpired.selector);
        _answerBy(node, 5, 0, 1, _sub(), Signature(0, 0, 0));
    }

    function testSignatureBeforeReentrancy() public {
        _refusesNested(_sub(), abi.encodePacked(ECDSA.InvalidSignature.selector));
    }

    function testReentrancyAfterTheSignature() public {
        _answer(node, 5, 1, _sub());
        _refusesNested(_sub(), abi.encodePacked(Coordinator.Reentrancy.selector));
    }

    /// @dev A delivery out of a delivery, signed by nobody.
    function _refusesNested(Subscription memory sub, bytes memory reason) private {
        CallingConsumer calling = new CallingConsumer(address(registry));
        bytes memory nested = abi.encodeCall(
            coordinator.deliverComputeDelegatee, (5, expiry, sub, 0, 0, 0, 1, "", "", "", address(nodeWallet))
        );
        calling.callBack(address(coordinator), nested);
        uint32 id = calling.create("container", 1, 0, 1, false, ETH, 0, NOBODY, NOBODY);
        vm.expectRevert(reason);
        _deliver(id);
    }

    function testCannotDeliverTwice() public {
        _answer(node, 5, 1, _sub());
        vm.expectRevert(Coordinator.NodeRespondedAlready.selector);
        _answerBy(node, 5, 0, 1, _sub(), Signature(0, 0, 0));
    }
}
