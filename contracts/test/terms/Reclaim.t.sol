// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {PrepaidSetup} from "../support/Prepaid.sol";
import {Coordinator} from "src/Coordinator.sol";
import {ICoordinator} from "src/interface/ICoordinator.sol";

/// @notice What was paid in advance and is not spent goes back when no answer can come any more, and not before.
contract ReclaimTest is PrepaidSetup {
    uint256 private constant NOTICE = 1 hours;
    uint256 private constant NOW = 1_750_000_000;

    function testCannotReclaimBeforeTheEnd() public {
        uint32 id = _openPrepaid();
        vm.warp(END - 1);
        vm.expectRevert(Coordinator.SubscriptionNotEnded.selector);
        coordinator.reclaimPrepayment(id);
    }

    function testReclaimsAfterTheLastInterval() public {
        uint32 id = _openPrepaid();
        vm.warp(BEGIN);
        _deliver(id);
        vm.warp(END);
        _assertReclaims(id, 3 ether);
    }

    function testReclaimsAtExpiry() public {
        uint32 id = _openPrepaid(ETH, NOBODY, uint32(BEGIN + 10));
        vm.warp(BEGIN + 9);
        vm.expectRevert(Coordinator.SubscriptionNotEnded.selector);
        coordinator.reclaimPrepayment(id);
        vm.warp(BEGIN + 10);
        _assertReclaims(id, TOTAL);
    }

    function testPaysWithinTheNotice() public {
        uint32 id = _openPrepaidCallback(ETH, NOBODY);
        consumer.cancel(id);
        vm.warp(NOW + NOTICE - 1);
        _deliver(id);
        assertEq(address(nodeWallet).balance, FUNDS + 0.8978 ether);
        _assertEscrowed(id, ETH, 0, 0);
    }

    function testCannotReclaimWithinTheNotice() public {
        uint32 id = _openPrepaidCallback(ETH, NOBODY);
        consumer.cancel(id);
        vm.warp(NOW + NOTICE - 1);
        vm.expectRevert(Coordinator.SubscriptionNotEnded.selector);
        coordinator.reclaimPrepayment(id);
    }

    function testReclaimsAfterTheNotice() public {
        uint32 id = _openPrepaidCallback(ETH, NOBODY);
        consumer.cancel(id);
        vm.warp(NOW + NOTICE);
        _assertReclaims(id, PRICE);
    }

    function testCannotDeliverAfterTheNotice() public {
        uint32 id = _openPrepaidCallback(ETH, NOBODY);
        consumer.cancel(id);
        vm.warp(NOW + NOTICE);
        vm.expectRevert(Coordinator.SubscriptionExpired.selector);
        _deliver(id);
    }

    function testCancellingAgainPutsNothingOff() public {
        uint32 id = _openPrepaidCallback(ETH, NOBODY);
        consumer.cancel(id);
        vm.warp(NOW + 600);
        consumer.cancel(id);
        assertEq(coordinator.getTerms(id).expiresAt, NOW + NOTICE);
    }

    function testNoticeEndsWithTheTerms() public {
        uint32 id = _openPrepaid(ETH, NOBODY, uint32(BEGIN + 10));
        consumer.cancel(id);
        assertEq(coordinator.getTerms(id).expiresAt, BEGIN + 10);
    }

    function testNoticeEndsBeforeLongerTerms() public {
        uint32 id = _openPrepaid(ETH, NOBODY, uint32(NOW + 1 days));
        consumer.cancel(id);
        assertEq(coordinator.getTerms(id).expiresAt, NOW + NOTICE);
        assertTrue(coordinator.getTerms(id).prepaid);
    }

    function testCannotCancelWhatIsSomebodyElses() public {
        uint32 id = _openPrepaidCallback(ETH, NOBODY);
        vm.expectRevert(Coordinator.NotSubscriptionOwner.selector);
        coordinator.cancelSubscription(id);
    }

    function testReclaimsOnce() public {
        uint32 id = _openPrepaid();
        vm.warp(END);
        coordinator.reclaimPrepayment(id);
        assertEq(coordinator.reclaimPrepayment(id), 0);
        assertEq(wallet.lockedBalance(ETH), 0);
        assertEq(_allowed(ETH), FUNDS);
    }

    function testReclaimsForAnyone() public {
        uint32 id = _openPrepaid();
        vm.warp(END);
        vm.prank(makeAddr("anyone"));
        coordinator.reclaimPrepayment(id);
        assertEq(wallet.unlockedBalance(ETH), FUNDS);
    }

    function testReclaimsBesideAnAllowanceAtItsHighest() public {
        uint32 id = _openPrepaid();
        vm.prank(owner);
        wallet.approve(address(consumer), ETH, type(uint256).max);
        vm.warp(END);
        coordinator.reclaimPrepayment(id);
        assertEq(_allowed(ETH), type(uint256).max);
        assertEq(wallet.lockedBalance(ETH), 0);
    }

    function testCannotReclaimWhatIsNotThere() public {
        vm.expectRevert(Coordinator.SubscriptionNotEnded.selector);
        coordinator.reclaimPrepayment(99);
    }

    function testReclaimsNothingOfWhatWasNotPrepaid() public {
        uint32 id = consumer.create("container", 2, 60, 2, false, ETH, PRICE, address(wallet), NOBODY);
        uint32 prepaid = _openPrepaid();
        vm.warp(END);
        vm.recordLogs();
        assertEq(coordinator.reclaimPrepayment(id), 0);
        assertEq(vm.getRecordedLogs().length, 0);
        assertEq(wallet.lockedBalance(ETH), coordinator.prepayments(prepaid));
    }

    function testCancelsTheOthersAtOnce() public {
        uint32 id = consumer.open(_request(ETH, PRICE, NOBODY), _noTerms());
        consumer.cancel(id);
        vm.expectRevert(Coordinator.SubscriptionNotActive.selector);
        _deliver(id);
    }

    function _assertReclaims(uint32 id, uint256 amount) private {
        uint256 allowed = _allowed(ETH);
        vm.expectEmit(address(coordinator));
        emit ICoordinator.PrepaymentReclaimed(id, amount);
        assertEq(coordinator.reclaimPrepayment(id), amount);
        _assertEscrowed(id, ETH, 0, 0);
        assertEq(_allowed(ETH), allowed + amount);
    }
}
