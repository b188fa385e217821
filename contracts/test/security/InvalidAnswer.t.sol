// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Attack} from "./Attack.sol";
import {Coordinator} from "src/Coordinator.sol";
import {ICoordinator} from "src/interface/ICoordinator.sol";
import {Vm} from "forge-std/Vm.sol";

/// @notice A node delivers nonsense with a proof that does not hold, to use up the interval or to have the consumer act on it.
contract InvalidAnswerTest is Attack {
    function _rejected(bool lazy) internal returns (uint32 id) {
        atomic.setVerdict(false);
        id = consumer.create("container", 1, 0, 1, lazy, ETH, PRICE, address(wallet), address(atomic));
        _deliver(id);
        atomic.setVerdict(true);
    }

    function testConsumerNeverSeesIt() public {
        _rejected(false);
        assertEq(consumer.answers(), 0);
    }

    function testInboxNeverSeesIt() public {
        _rejected(true);
        assertEq(inbox.count(keccak256(abi.encode("container")), node), 0);
        assertEq(consumer.answers(), 0);
    }

    function testAnotherNodeAnswersInItsPlace() public {
        uint32 id = _rejected(false);
        assertEq(_count(id, 1), 0);
        _deliver(id, otherNode, address(otherWallet));
        assertEq(consumer.last().node, otherNode);
        assertEq(consumer.last().redundancy, 1);
        assertEq(address(otherWallet).balance, FUNDS + EARNED);
    }

    function testCannotTryAgain() public {
        uint32 id = _rejected(false);
        vm.prank(node);
        vm.expectRevert(Coordinator.NodeRespondedAlready.selector);
        coordinator.deliverCompute(id, 1, "", "", "", address(nodeWallet));
    }

    function testItIsToldAsRejectedAndNotAsFulfilled() public {
        atomic.setVerdict(false);
        uint32 id = _paid(ETH, PRICE, address(atomic));
        vm.recordLogs();
        _deliver(id);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        uint256 rejected;
        for (uint256 i = 0; i < logs.length; i++) {
            assertTrue(logs[i].topics[0] != ICoordinator.SubscriptionFulfilled.selector);
            if (logs[i].topics[0] == ICoordinator.AnswerRejected.selector) rejected++;
        }
        assertEq(rejected, 1);
    }

    function testLateVerdictGivesThePlaceBack() public {
        uint32 id = _paid(ETH, PRICE, address(optimistic));
        _deliver(id);
        vm.prank(otherNode);
        vm.expectRevert(Coordinator.IntervalCompleted.selector);
        coordinator.deliverCompute(id, 1, "", "", "", address(otherWallet));
        optimistic.finalize(id, 1, node, false);
        _deliver(id, otherNode, address(otherWallet));
        assertEq(consumer.last().node, otherNode);
    }

    function testLateVerdictOfAPastIntervalOpensNothing() public {
        uint32 id = consumer.create("container", 2, 60, 1, false, ETH, PRICE, address(wallet), address(optimistic));
        skip(60);
        _deliver(id);
        skip(60);
        optimistic.finalize(id, 1, node, false);
        vm.prank(otherNode);
        vm.expectRevert(Coordinator.IntervalMismatch.selector);
        coordinator.deliverCompute(id, 1, "", "", "", address(otherWallet));
        assertEq(_count(id, 2), 0);
    }

    function testConsumerKeepsALateAnswerAndTheStake() public {
        uint32 id = _paid(ETH, PRICE, address(optimistic));
        _deliver(id);
        optimistic.finalize(id, 1, node, false);
        assertEq(consumer.answers(), 1);
        assertEq(address(wallet).balance, FUNDS - TAKEN + PRICE);
    }

    function testCannotBeSlashedTwice() public {
        uint32 id = _paid(ETH, PRICE, address(optimistic));
        _deliver(id);
        optimistic.finalize(id, 1, node, false);
        vm.expectRevert(Coordinator.ProofRequestNotFound.selector);
        optimistic.finalize(id, 1, node, false);
    }
}
