// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {Coordinator} from "src/Coordinator.sol";

contract IntervalsTest is Setup {
    function _at(uint256 time, uint32 id, uint32 interval) private {
        vm.warp(time);
        vm.prank(node);
        coordinator.deliverCompute(id, interval, "", "", "", NOBODY);
    }

    function _refusesAt(uint256 time, uint32 id, uint32 interval, bytes4 reason) private {
        vm.warp(time);
        vm.expectRevert(reason);
        vm.prank(node);
        coordinator.deliverCompute(id, interval, "", "", "", NOBODY);
    }

    /// @dev Of two intervals of a minute, created at 0.
    function _twoMinutes() private returns (uint32) {
        vm.warp(0);
        return consumer.create("container", 2, 60, 1, false, ETH, 0, NOBODY, NOBODY);
    }

    function testFirstOpensAfterOnePeriod() public {
        uint32 id = _twoMinutes();
        _refusesAt(59, id, 1, Coordinator.SubscriptionNotActive.selector);
        _at(60, id, 1);
    }

    function testFirstIsOpenForItsLastSecond() public {
        uint32 id = _twoMinutes();
        _at(119, id, 1);
    }

    function testSecondOpensWhenTheFirstCloses() public {
        uint32 id = _twoMinutes();
        _refusesAt(119, id, 2, Coordinator.IntervalMismatch.selector);
        _refusesAt(120, id, 1, Coordinator.IntervalMismatch.selector);
        _at(120, id, 2);
    }

    function testLastClosesAfterAllPeriods() public {
        uint32 id = _twoMinutes();
        _refusesAt(180, id, 3, Coordinator.SubscriptionCompleted.selector);
        _at(179, id, 2);
    }

    function testNodeMayAnswerEach() public {
        uint32 id = _twoMinutes();
        _at(119, id, 1);
        _at(120, id, 2);
        assertEq(_count(id, 1), 1);
        assertEq(_count(id, 2), 1);
    }

    function testMissedOneIsLost() public {
        uint32 id = _twoMinutes();
        _at(120, id, 2);
        _refusesAt(121, id, 1, Coordinator.IntervalMismatch.selector);
    }

    function testIntervalOpensAndClosesToTheSecond(uint32 period, uint32 frequency, uint32 interval) public {
        period = uint32(bound(period, 1, 365 days));
        frequency = uint32(bound(frequency, 1, 20));
        interval = uint32(bound(interval, 1, frequency));
        uint256 activeAt = vm.getBlockTimestamp() + period;
        uint32 id = consumer.create("container", frequency, period, 2, false, ETH, 0, NOBODY, NOBODY);
        uint256 opens = activeAt + (uint256(interval) - 1) * period;
        bytes4 early =
            interval == 1 ? Coordinator.SubscriptionNotActive.selector : Coordinator.IntervalMismatch.selector;
        _refusesAt(opens - 1, id, interval, early);
        _refusesAt(opens + period, id, interval, Coordinator.IntervalMismatch.selector);
        _at(opens, id, interval);
        vm.warp(opens + period - 1);
        vm.prank(otherNode);
        coordinator.deliverCompute(id, interval, "", "", "", NOBODY);
        assertEq(_count(id, interval), 2);
    }

    function testWithoutAPeriodThereIsOneForEver(uint32 later) public {
        uint32 id = _callback(1);
        later = uint32(bound(later, 0, type(uint32).max - block.timestamp));
        _at(block.timestamp + later, id, 1);
        assertEq(consumer.answers(), 1);
    }

    function testWithoutAPeriodThereIsNoSecond() public {
        uint32 id = consumer.create("container", 5, 0, 1, false, ETH, 0, NOBODY, NOBODY);
        _refusesAt(block.timestamp + 60, id, 2, Coordinator.IntervalMismatch.selector);
        _at(block.timestamp, id, 1);
    }

    function testIntervalCountsPeriodsFromOne(uint32 activeAt, uint32 period, uint32 later) public {
        period = uint32(bound(period, 1, type(uint32).max));
        later = uint32(bound(later, 0, type(uint32).max - activeAt));
        vm.warp(uint256(activeAt) + later);
        vm.assume(!(period == 1 && later == type(uint32).max));
        assertEq(coordinator.getSubscriptionInterval(activeAt, period), uint256(later) / period + 1);
    }

    function testIntervalIsOneWithoutAPeriod(uint32 activeAt, uint32 time) public {
        vm.warp(time);
        assertEq(coordinator.getSubscriptionInterval(activeAt, 0), 1);
    }

    /// @dev Modulo 2^32: before `activeAt`, after 2106, and where one more than 2^32 - 1 is 0.
    function testIntervalIsNeverRefused(uint32 activeAt, uint32 period, uint64 time) public {
        period = uint32(bound(period, 1, type(uint32).max));
        vm.warp(time);
        uint256 elapsed = (uint256(time) + (1 << 32) - activeAt) % (1 << 32);
        assertEq(coordinator.getSubscriptionInterval(activeAt, period), (elapsed / period + 1) % (1 << 32));
    }
}
