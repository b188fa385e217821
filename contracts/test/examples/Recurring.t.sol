// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {Coordinator} from "src/Coordinator.sol";
import {Recurring} from "examples/Recurring.sol";

contract RecurringExampleTest is Setup {
    uint256 private constant FIRST = 1_750_003_600;

    Recurring private example;

    function setUp() public override {
        super.setUp();
        example = new Recurring(address(registry), owner);
        vm.prank(owner);
        example.start("price");
    }

    function testTakesTheNumberInTheMiddle(uint256 a, uint256 b, uint256 c) public {
        vm.warp(FIRST);
        _answer(node, 1, a);
        _answer(otherNode, 1, b);
        assertEq(example.updatedAt(), 0);
        _answer(owner, 1, c);
        uint256 number = example.number();
        uint256 notAbove = (a <= number ? 1 : 0) + (b <= number ? 1 : 0) + (c <= number ? 1 : 0);
        uint256 notBelow = (a >= number ? 1 : 0) + (b >= number ? 1 : 0) + (c >= number ? 1 : 0);
        assertGe(notAbove, 2);
        assertGe(notBelow, 2);
        assertTrue(number == a || number == b || number == c);
        assertEq(example.updatedAt(), FIRST);
    }

    function testAsksAgainEveryHour() public {
        _round(FIRST, 1, 5);
        assertEq(example.number(), 5);
        _round(FIRST + 1 hours, 2, 7);
        assertEq(example.number(), 7);
        _round(FIRST + 23 hours, 24, 9);
        assertEq(example.number(), 9);
    }

    function testCannotBeAnsweredAfterADay() public {
        uint32 id = example.subscriptionId();
        vm.warp(FIRST + 24 hours);
        vm.prank(node);
        vm.expectRevert(Coordinator.SubscriptionCompleted.selector);
        coordinator.deliverCompute(id, 25, "", _output(1), "", NOBODY);
    }

    function testKeepsTheNumberOfAnHourThatWasMissed() public {
        _round(FIRST, 1, 5);
        vm.warp(FIRST + 1 hours);
        _answer(node, 2, 6);
        vm.warp(FIRST + 2 hours);
        _answer(node, 3, 7);
        assertEq(example.number(), 5);
        assertEq(example.updatedAt(), FIRST);
    }

    function testGivesNodesTheInterval() public view {
        assertEq(example.getContainerInputs(1, 3, 0, node), abi.encode(3));
    }

    function testStops() public {
        uint32 id = example.subscriptionId();
        vm.prank(owner);
        example.stop();
        vm.warp(FIRST);
        vm.prank(node);
        vm.expectRevert(Coordinator.SubscriptionNotActive.selector);
        coordinator.deliverCompute(id, 1, "", _output(1), "", NOBODY);
    }

    function testStartsAnew() public {
        uint32 id = example.subscriptionId();
        vm.prank(owner);
        example.start("another");
        assertEq(coordinator.getSubscription(id).activeAt, type(uint32).max);
        _round(FIRST, 1, 5);
        assertEq(example.number(), 5);
    }

    function testCannotBeStartedOrStoppedByOthers() public {
        vm.expectRevert(Recurring.NotOwner.selector);
        example.start("another");
        vm.expectRevert(Recurring.NotOwner.selector);
        example.stop();
    }

    function _round(uint256 time, uint32 interval, uint256 number) private {
        vm.warp(time);
        _answer(node, interval, number);
        _answer(otherNode, interval, number);
        _answer(owner, interval, 0);
    }

    function _answer(address as_, uint32 interval, uint256 number) private {
        uint32 id = example.subscriptionId();
        vm.prank(as_);
        coordinator.deliverCompute(id, interval, "", _output(number), "", NOBODY);
    }

    function _output(uint256 number) private pure returns (bytes memory) {
        return abi.encode(abi.encode(number), "");
    }
}
