// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {CallingConsumer, RefusingConsumer} from "../support/OddConsumers.sol";
import {Setup} from "../support/Setup.sol";
import {Coordinator} from "src/Coordinator.sol";
import {ICoordinator} from "src/interface/ICoordinator.sol";
import {Wallet} from "src/payments/Wallet.sol";
import {Vm} from "forge-std/Vm.sol";

/// @notice What a delivery is refused for, each check by itself and each two in their order.
contract DeliveryOrderTest is Setup {
    function _refuses(bytes memory reason, uint32 id, uint32 interval, address paidInto) private {
        vm.expectRevert(reason);
        vm.prank(node);
        coordinator.deliverCompute(id, interval, "input", "output", "proof", paidInto);
    }

    function _refuses(bytes4 reason, uint32 id, uint32 interval) private {
        _refuses(abi.encodePacked(reason), id, interval, address(nodeWallet));
    }

    function _recurring(uint32 frequency, uint16 redundancy) private returns (uint32) {
        return consumer.create("container", frequency, 60, redundancy, false, ETH, 0, NOBODY, NOBODY);
    }

    function _reentrant(bytes memory data) private returns (uint32) {
        CallingConsumer calling = new CallingConsumer(address(registry));
        calling.callBack(address(coordinator), data);
        return calling.create("container", 1, 0, 1, false, ETH, 0, NOBODY, NOBODY);
    }

    function testCannotDeliverWithinADelivery() public {
        uint32 other = _callback(1);
        uint32 id = _reentrant(abi.encodeCall(coordinator.deliverCompute, (other, 1, "", "", "", NOBODY)));
        _refuses(Coordinator.Reentrancy.selector, id, 1);
    }

    function testReentrancyBeforeNotFound() public {
        uint32 id = _reentrant(abi.encodeCall(coordinator.deliverCompute, (99, 1, "", "", "", NOBODY)));
        _refuses(Coordinator.Reentrancy.selector, id, 1);
    }

    function testCannotAnswerWhatIsNot(uint32 id) public {
        vm.assume(id != _callback(1));
        _refuses(Coordinator.SubscriptionNotFound.selector, id, 1);
    }

    function testNotFoundBeforeMismatch() public {
        _refuses(Coordinator.SubscriptionNotFound.selector, 0, 7);
    }

    function testCannotAnswerEarly() public {
        uint32 id = _recurring(1, 1);
        skip(59);
        _refuses(Coordinator.SubscriptionNotActive.selector, id, 1);
    }

    function testNotActiveBeforeMismatch() public {
        _refuses(Coordinator.SubscriptionNotActive.selector, _recurring(1, 1), 7);
    }

    function testNotActiveBeforeCompleted() public {
        _refuses(Coordinator.SubscriptionNotActive.selector, _recurring(0, 0), 1);
    }

    function testCannotAnswerAnotherInterval(uint32 interval) public {
        vm.assume(interval != 2);
        uint32 id = _recurring(9, 1);
        skip(120);
        _refuses(Coordinator.IntervalMismatch.selector, id, interval);
    }

    function testMismatchBeforeCompleted() public {
        uint32 id = _recurring(2, 1);
        skip(180);
        _refuses(Coordinator.IntervalMismatch.selector, id, 2);
    }

    function testMismatchBeforeIntervalCompleted() public {
        _refuses(Coordinator.IntervalMismatch.selector, _callback(0), 2);
    }

    function testCannotAnswerAfterTheLast() public {
        uint32 id = _recurring(2, 1);
        skip(180);
        _refuses(Coordinator.SubscriptionCompleted.selector, id, 3);
    }

    function testCompletedBeforeIntervalCompleted() public {
        uint32 id = consumer.create("container", 0, 0, 0, false, ETH, 0, NOBODY, NOBODY);
        _refuses(Coordinator.SubscriptionCompleted.selector, id, 1);
    }

    function testCannotAnswerWhatHasItsAnswers() public {
        uint32 id = _callback(1);
        _deliver(id, otherNode, address(otherWallet));
        _refuses(Coordinator.IntervalCompleted.selector, id, 1);
    }

    function testIntervalCompletedBeforeRespondedAlready() public {
        uint32 id = _callback(1);
        _deliver(id);
        _refuses(Coordinator.IntervalCompleted.selector, id, 1);
    }

    function testCannotAnswerTwice() public {
        uint32 id = _callback(2);
        _deliver(id);
        _refuses(Coordinator.NodeRespondedAlready.selector, id, 1);
    }

    function testRespondedAlreadyBeforeInvalidWallet() public {
        uint32 id = consumer.create("container", 1, 0, 2, false, ETH, 1, address(wallet), NOBODY);
        _deliver(id);
        _refuses(abi.encodePacked(Coordinator.NodeRespondedAlready.selector), id, 1, owner);
    }

    function testCannotBePaidIntoAWalletOfOnesOwn() public {
        address own = address(new Wallet(registry, owner));
        _refuses(abi.encodePacked(Coordinator.InvalidWallet.selector), _paid(ETH, 1, NOBODY), 1, own);
    }

    function testPaymentBeforeTheConsumer() public {
        RefusingConsumer refusing = new RefusingConsumer(address(registry));
        uint32 id = refusing.create("container", 1, 0, 1, false, ETH, 1, address(wallet), NOBODY);
        _refuses(Wallet.InsufficientAllowance.selector, id, 1);
    }

    function testCannotOverrideTheConsumer() public {
        RefusingConsumer refusing = new RefusingConsumer(address(registry));
        uint32 id = refusing.create("container", 1, 0, 1, false, ETH, 0, NOBODY, NOBODY);
        _refuses(abi.encodeWithSelector(RefusingConsumer.Refused.selector, id), id, 1, NOBODY);
    }

    function testARefusalOfTheConsumerLeavesNothing() public {
        RefusingConsumer refusing = new RefusingConsumer(address(registry));
        vm.prank(owner);
        wallet.approve(address(refusing), ETH, 1 ether);
        uint32 id = refusing.create("container", 1, 0, 1, true, ETH, 1 ether, address(wallet), NOBODY);
        _refuses(abi.encodeWithSelector(RefusingConsumer.Refused.selector, id), id, 1, address(nodeWallet));
        assertEq(_count(id, 1), 0);
        assertFalse(_responded(id, 1, node));
        assertEq(address(wallet).balance, FUNDS);
        assertEq(wallet.allowance(address(refusing), ETH), 1 ether);
        assertEq(inbox.count(keccak256(abi.encode("container")), node), 0);
    }

    function testCannotOverrideTheInbox() public {
        uint32 id = consumer.create("container", 1, 0, 1, true, ETH, 1 ether, address(wallet), NOBODY);
        vm.mockCallRevert(address(inbox), abi.encodePacked(inbox.writeViaCoordinator.selector), "full");
        _refuses("full", id, 1, address(nodeWallet));
        assertEq(_count(id, 1), 0);
        assertFalse(_responded(id, 1, node));
        assertEq(address(wallet).balance, FUNDS);
    }

    function testInboxBeforeTheConsumer() public {
        RefusingConsumer refusing = new RefusingConsumer(address(registry));
        uint32 id = refusing.create("container", 1, 0, 1, true, ETH, 0, NOBODY, NOBODY);
        vm.mockCallRevert(address(inbox), abi.encodePacked(inbox.writeViaCoordinator.selector), "full");
        _refuses("full", id, 1, NOBODY);
    }

    /// @dev Where there is no code, nothing says why.
    function testCannotAnswerAnAccount() public {
        vm.prank(owner);
        uint32 id = coordinator.createSubscription("container", 1, 0, 1, false, ETH, 0, NOBODY, NOBODY);
        _refuses("", id, 1, NOBODY);
    }

    function testTellsLast() public {
        CallingConsumer calling = new CallingConsumer(address(registry));
        calling.callBack(address(inbox), abi.encodeCall(inbox.write, ("", "", "", "")));
        uint32 id = calling.create("container", 1, 0, 1, false, ETH, 0, NOBODY, NOBODY);
        vm.recordLogs();
        _deliver(id);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs[0].emitter, address(inbox));
        assertEq(logs[1].topics[0], ICoordinator.SubscriptionFulfilled.selector);
        assertEq(uint256(logs[1].topics[1]), id);
        assertEq(address(uint160(uint256(logs[1].topics[2]))), node);
    }
}
