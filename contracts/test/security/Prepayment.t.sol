// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Attack} from "./Attack.sol";
import {Coordinator} from "src/Coordinator.sol";
import {Request, Terms} from "src/interface/ICoordinator.sol";
import {Wallet} from "src/payments/Wallet.sol";

/// @notice Getting an answer without paying for it, or money back twice, where it was paid in advance.
contract PrepaymentTest is Attack {
    function _ended() internal returns (uint32 id) {
        id = _openWith(_prepaid(), ETH, NOBODY);
        consumer.cancel(id);
        skip(1 hours);
    }

    function testConsumerCannotTakeTheMoneyJustBeforeTheAnswer() public {
        uint32 id = _openWith(_prepaid(), ETH, NOBODY);
        _withdraw(wallet, ETH, FUNDS - PRICE);
        _setAllowance(wallet, address(consumer), ETH, 0);
        consumer.cancel(id);
        vm.expectRevert(Coordinator.SubscriptionNotEnded.selector);
        coordinator.reclaimPrepayment(id);
        skip(1 hours - 1);
        _deliver(id);
        assertEq(address(nodeWallet).balance, FUNDS + EARNED);
    }

    function testCannotAnswerAfterTheNotice() public {
        uint32 id = _ended();
        vm.prank(node);
        vm.expectRevert(Coordinator.SubscriptionExpired.selector);
        coordinator.deliverCompute(id, 1, "", "", "", address(nodeWallet));
    }

    function testCancellingAgainNeitherShortensNorProlongsTheNotice() public {
        uint32 id = _openWith(_prepaid(), ETH, NOBODY);
        uint256 end = block.timestamp + 1 hours;
        consumer.cancel(id);
        skip(59 minutes);
        consumer.cancel(id);
        assertEq(coordinator.getTerms(id).expiresAt, end);
    }

    function testCancellingCannotProlongTheTerms() public {
        Terms memory terms = _prepaid();
        terms.expiresAt = uint32(block.timestamp + 10 minutes);
        uint32 id = _openWith(terms, ETH, NOBODY);
        consumer.cancel(id);
        assertEq(coordinator.getTerms(id).expiresAt, terms.expiresAt);
    }

    function testCannotReclaimTwice() public {
        uint32 id = _ended();
        assertEq(coordinator.reclaimPrepayment(id), PRICE);
        assertEq(coordinator.reclaimPrepayment(id), 0);
        assertEq(wallet.allowance(address(consumer), ETH), FUNDS);
        assertEq(_locked(ETH), 0);
    }

    function testCannotReclaimWhatIsSpent() public {
        uint32 id = _openWith(_prepaid(), ETH, NOBODY);
        _deliver(id);
        consumer.cancel(id);
        skip(1 hours);
        assertEq(coordinator.reclaimPrepayment(id), 0);
        assertEq(wallet.allowance(address(consumer), ETH), FUNDS - PRICE);
    }

    function testCannotReclaimNothingOutOfOthersLocks() public {
        uint32 other = _openWith(_prepaid(), ETH, NOBODY);
        Request memory request = _request(ETH, PRICE, NOBODY);
        Terms memory terms = _noTerms();
        terms.expiresAt = uint32(block.timestamp + 1);
        uint32 id = consumer.open(request, terms);
        skip(1);
        assertEq(coordinator.reclaimPrepayment(id), 0);
        assertEq(wallet.lockedBalance(ETH), coordinator.prepayments(other));
    }

    function testCannotReclaimWhatNeverWas(uint32 id) public {
        id = uint32(bound(id, coordinator.id(), type(uint32).max));
        vm.expectRevert(Coordinator.SubscriptionNotEnded.selector);
        coordinator.reclaimPrepayment(id);
    }

    function testOnePrepaymentCannotPayForAnotherRequest() public {
        _openWith(_prepaid(), ETH, NOBODY);
        uint32 id = _paid(ETH, PRICE, NOBODY);
        _withdraw(wallet, ETH, FUNDS - PRICE);
        vm.prank(node);
        vm.expectRevert(Wallet.InsufficientFunds.selector);
        coordinator.deliverCompute(id, 1, "", "", "", address(nodeWallet));
    }

    function testInvalidAnswersCannotUseItUp() public {
        uint32 id = _openWith(_prepaid(), ETH, address(atomic));
        atomic.setVerdict(false);
        _deliver(id);
        assertEq(coordinator.prepayments(id), PRICE);
        assertEq(wallet.lockedBalance(ETH), PRICE);
        atomic.setVerdict(true);
        _deliver(id, otherNode, address(otherWallet));
        assertEq(address(otherWallet).balance, FUNDS + EARNED);
        assertEq(_locked(ETH), 0);
    }

    function testStakeThatComesAfterReclaimingIsReclaimedToo() public {
        uint32 id = _openWith(_prepaid(), ETH, address(optimistic));
        _deliver(id);
        consumer.cancel(id);
        skip(1 hours);
        assertEq(coordinator.reclaimPrepayment(id), 0);
        optimistic.finalize(id, 1, node, false);
        assertEq(coordinator.reclaimPrepayment(id), PRICE);
        assertEq(wallet.unlockedBalance(ETH), FUNDS - TAKEN + PRICE);
    }

    function testEveryUnitIsPaidOrReclaimed(uint8 redundancy, uint8 answers, uint96 price) public {
        Request memory request = _request(ETH, bound(price, 1, 1 ether), NOBODY);
        request.redundancy = uint16(bound(redundancy, 1, 20));
        uint256 count = bound(answers, 0, request.redundancy);
        uint32 id = consumer.open(request, _prepaid());
        for (uint256 i = 0; i < count; i++) {
            _deliver(id, address(uint160(0x1000 + i)), address(nodeWallet));
        }
        consumer.cancel(id);
        skip(1 hours);
        assertEq(coordinator.reclaimPrepayment(id), request.paymentAmount * (request.redundancy - count));
        assertEq(address(wallet).balance, FUNDS - request.paymentAmount * count);
        assertEq(_locked(ETH), 0);
    }
}
