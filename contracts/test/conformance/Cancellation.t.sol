// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {Coordinator} from "src/Coordinator.sol";
import {ICoordinator, Subscription} from "src/interface/ICoordinator.sol";

contract CancellationTest is Setup {
    function testEndsDeliveries() public {
        uint32 id = _callback(1);
        consumer.cancel(id);
        vm.expectRevert(Coordinator.SubscriptionNotActive.selector);
        _deliver(id);
    }

    function testEndsOneThatWasAnswered() public {
        uint32 id = consumer.create("container", 5, 60, 1, false, ETH, 0, NOBODY, NOBODY);
        skip(60);
        _deliver(id);
        consumer.cancel(id);
        skip(60);
        vm.expectRevert(Coordinator.SubscriptionNotActive.selector);
        vm.prank(node);
        coordinator.deliverCompute(id, 2, "", "", "", NOBODY);
    }

    function testTellsEachTime() public {
        uint32 id = _callback(1);
        for (uint256 i = 0; i < 2; i++) {
            vm.expectEmit(address(coordinator));
            emit ICoordinator.SubscriptionCancelled(id);
            consumer.cancel(id);
        }
    }

    function testChangesNothingButTheTime() public {
        uint32 id = consumer.create("container", 9, 60, 3, true, address(token), 5, address(wallet), owner);
        Subscription memory expected = coordinator.getSubscription(id);
        expected.activeAt = type(uint32).max;
        consumer.cancel(id);
        assertEq(abi.encode(coordinator.getSubscription(id)), abi.encode(expected));
    }

    function testKeepsCounts() public {
        uint32 id = _callback(2);
        _deliver(id);
        consumer.cancel(id);
        assertEq(_count(id, 1), 1);
        assertTrue(_responded(id, 1, node));
    }

    function testCannotCancelAnothers() public {
        uint32 id = _callback(1);
        vm.expectRevert(Coordinator.NotSubscriptionOwner.selector);
        coordinator.cancelSubscription(id);
    }

    function testCannotCancelWhatIsNot() public {
        vm.expectRevert(Coordinator.NotSubscriptionOwner.selector);
        consumer.cancel(1);
    }

    /// @dev What is written for "never" is a time, the last there is.
    function testStaysCancelledUntilTheLastSecond() public {
        uint32 id = _callback(1);
        consumer.cancel(id);
        vm.warp(type(uint32).max - uint256(1));
        vm.expectRevert(Coordinator.SubscriptionNotActive.selector);
        _deliver(id);
        vm.warp(type(uint32).max);
        _deliver(id);
        assertEq(consumer.answers(), 1);
    }

    function testStaysCancelledAfter2106() public {
        uint32 id = _callback(1);
        consumer.cancel(id);
        vm.warp(uint256(type(uint32).max) + 1 + 1_750_000_000);
        vm.expectRevert(Coordinator.SubscriptionNotActive.selector);
        _deliver(id);
    }

    function testCanCancelBeforeItBegins() public {
        uint32 id = consumer.create("container", 1, 60, 1, false, ETH, 0, NOBODY, NOBODY);
        consumer.cancel(id);
        skip(60);
        vm.expectRevert(Coordinator.SubscriptionNotActive.selector);
        _deliver(id);
    }
}
