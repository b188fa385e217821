// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {PrepaidSetup} from "../support/Prepaid.sol";
import {StubbornToken} from "../support/Tokens.sol";
import {AtomicVerifier, OptimisticVerifier} from "../support/Verifiers.sol";
import {Coordinator} from "src/Coordinator.sol";

/// @notice Payment in advance where a verifier judges: one ether, of which it takes a tenth.
contract PrepaidProofsTest is PrepaidSetup {
    /// @dev Of one answer: to the protocol (fees of both sides, and of the verifier), to the verifier, and what is left for the node.
    uint256 private constant TAKEN = 0.1022 ether + 0.00511 ether;
    uint256 private constant VERIFIERS = 0.1 ether - 0.00511 ether;
    uint256 private constant NODES = 0.7978 ether;

    AtomicVerifier private atomic;
    OptimisticVerifier private optimistic;

    function setUp() public override {
        super.setUp();
        atomic = new AtomicVerifier(coordinator);
        optimistic = new OptimisticVerifier(coordinator);
        atomic.setFee(ETH, 0.1 ether);
        optimistic.setFee(ETH, 0.1 ether);
    }

    function testLeavesTheNodesPartEscrowed() public {
        uint32 id = _delivered();
        _assertEscrowed(id, ETH, 3 ether, NODES);
        assertEq(address(wallet).balance, FUNDS - TAKEN - VERIFIERS);
        assertEq(feeRecipient.balance, TAKEN);
        assertEq(address(optimistic).balance, VERIFIERS);
        assertEq(nodeWallet.lockedBalance(ETH), PRICE);
    }

    function testPaysTheNodeWhenItsProofIsValid() public {
        uint32 id = _delivered();
        optimistic.finalize(id, 1, node, true);
        _assertEscrowed(id, ETH, 3 ether, 0);
        assertEq(address(nodeWallet).balance, FUNDS + NODES);
        assertEq(nodeWallet.lockedBalance(ETH), 0);
        assertEq(_allowed(ETH), FUNDS - TOTAL);
    }

    function testPaysTheNodeAtOnceWhenItsProofIsValid() public {
        uint32 id = _openPrepaid(ETH, address(atomic), 0);
        vm.warp(BEGIN);
        _deliver(id);
        _assertEscrowed(id, ETH, 3 ether, 0);
        assertEq(address(nodeWallet).balance, FUNDS + NODES);
    }

    function testPaysAnotherAnswerOutOfTheStake() public {
        uint32 id = _delivered();
        optimistic.finalize(id, 1, node, false);
        _assertEscrowed(id, ETH, TOTAL, 0);
        assertEq(address(nodeWallet).balance, FUNDS - PRICE);
        assertEq(address(wallet).balance, FUNDS - TAKEN - VERIFIERS + PRICE);
        assertEq(_allowed(ETH), FUNDS - TOTAL);
    }

    function testPaysAnotherAnswerAtOnceOutOfTheStake() public {
        uint32 id = _openPrepaidCallback(ETH, address(atomic));
        atomic.setVerdict(false);
        _deliver(id);
        _assertEscrowed(id, ETH, PRICE, 0);
        atomic.setVerdict(true);
        _deliver(id, otherNode, address(otherWallet));
        _assertEscrowed(id, ETH, 0, 0);
        assertEq(address(otherWallet).balance, FUNDS + NODES);
        assertEq(consumer.answers(), 1);
    }

    function testReclaimsTheStakeOfTheLast() public {
        uint32 id = _openPrepaidCallback(ETH, address(optimistic));
        _deliver(id);
        consumer.cancel(id);
        vm.warp(1_750_003_600);
        assertEq(coordinator.reclaimPrepayment(id), 0);
        optimistic.finalize(id, 1, node, false);
        assertEq(coordinator.reclaimPrepayment(id), PRICE);
        _assertEscrowed(id, ETH, 0, 0);
        assertEq(_allowed(ETH), FUNDS);
    }

    function testReclaimsNothingThatWaitsForAVerdict() public {
        uint32 id = _delivered();
        vm.warp(END);
        assertEq(coordinator.reclaimPrepayment(id), 3 ether);
        _assertEscrowed(id, ETH, 0, NODES);
        optimistic.finalize(id, 1, node, true);
        assertEq(address(nodeWallet).balance, FUNDS + NODES);
        _assertEscrowed(id, ETH, 0, 0);
    }

    function testCannotPayTwiceWhenTheStakeDoesNotArrive() public {
        (uint32 id, StubbornToken stubborn) = _deliveredInStubbornToken();
        optimistic.finalize(id, 1, node, false);
        assertEq(coordinator.prepayments(id), 0);
        assertEq(wallet.lockedBalance(address(stubborn)), 0);
        assertEq(nodeWallet.owed(address(stubborn), address(wallet)), PRICE);
        vm.expectRevert(Coordinator.PrepaymentSpent.selector);
        _deliver(id, otherNode, address(otherWallet));
    }

    function testCannotHoldMoreThanWhatArrived() public {
        (uint32 id, StubbornToken stubborn) = _deliveredInStubbornToken();
        stubborn.mint(address(wallet), 9 * PRICE);
        optimistic.finalize(id, 1, node, false);
        assertEq(coordinator.prepayments(id), 0);
        assertEq(wallet.unlockedBalance(address(stubborn)), 9 * PRICE + 0.8978 ether);
        assertEq(wallet.allowance(address(consumer), address(stubborn)), 0.8978 ether);
    }

    function testClaimsTheStakeLater() public {
        (uint32 id, StubbornToken stubborn) = _deliveredInStubbornToken();
        optimistic.finalize(id, 1, node, false);
        stubborn.refuse(address(nodeWallet), false);
        nodeWallet.claim(address(stubborn), address(wallet));
        assertEq(nodeWallet.lockedBalance(address(stubborn)), 0);
        assertEq(wallet.unlockedBalance(address(stubborn)), PRICE + 0.8978 ether);
    }

    /// @dev Nothing but the prepayment is in the wallet, and the token does not let the stake go.
    function _deliveredInStubbornToken() private returns (uint32 id, StubbornToken stubborn) {
        stubborn = new StubbornToken();
        stubborn.mint(address(wallet), PRICE);
        stubborn.mint(address(nodeWallet), PRICE);
        vm.startPrank(owner);
        wallet.approve(address(consumer), address(stubborn), PRICE);
        nodeWallet.approve(node, address(stubborn), PRICE);
        vm.stopPrank();
        id = _openPrepaidCallback(address(stubborn), address(optimistic));
        _deliver(id);
        stubborn.refuse(address(nodeWallet), true);
    }

    function _delivered() private returns (uint32 id) {
        id = _openPrepaid(ETH, address(optimistic), 0);
        vm.warp(BEGIN);
        _deliver(id);
    }
}
