// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {RecordingConsumer} from "../support/Consumers.sol";
import {Setup} from "../support/Setup.sol";
import {Coordinator} from "src/Coordinator.sol";
import {BaseConsumer} from "src/consumer/Base.sol";
import {FailureConsumer} from "src/consumer/Failure.sol";
import {ICoordinator} from "src/interface/ICoordinator.sol";

/// @notice A node that cannot answer says so.
contract FailuresTest is Setup {
    HearingConsumer private hearing;

    function setUp() public override {
        super.setUp();
        hearing = new HearingConsumer(address(registry));
        vm.prank(owner);
        wallet.approve(address(hearing), ETH, FUNDS);
    }

    function testTellsTheConsumer() public {
        uint32 id = _ask(2);
        vm.expectEmit(address(coordinator));
        emit ICoordinator.ComputeFailed(id, 1, node, 2);
        _report(node, id, 1, 2);
        assertEq(hearing.told(), keccak256(abi.encode(id, uint32(1), node, uint32(2))));
    }

    function testCountsAsAResponseButNotAsAnAnswer() public {
        uint32 id = _ask(1);
        _report(node, id, 1, 1);
        assertTrue(_responded(id, 1, node));
        assertEq(_count(id, 1), 0);
    }

    function testCannotAnswerAfterwards() public {
        uint32 id = _ask(2);
        _report(node, id, 1, 1);
        vm.expectRevert(Coordinator.NodeRespondedAlready.selector);
        _deliver(id);
    }

    function testLeavesThePlaceToAnother() public {
        uint32 id = _ask(1);
        _report(node, id, 1, 1);
        _deliver(id, otherNode, address(otherWallet));
        assertEq(hearing.last().redundancy, 1);
        assertEq(hearing.last().node, otherNode);
    }

    function testIsNotPaid() public {
        uint32 id = hearing.create("container", 1, 0, 1, false, ETH, 1 ether, address(wallet), NOBODY);
        _report(node, id, 1, 1);
        assertEq(address(wallet).balance, FUNDS);
        assertEq(address(nodeWallet).balance, FUNDS);
    }

    function testAnswersTheNextIntervalAfterAFailure() public {
        uint32 id = hearing.create("container", 2, 60, 1, false, ETH, 0, NOBODY, NOBODY);
        vm.warp(1_750_000_060);
        _report(node, id, 1, 1);
        vm.warp(1_750_000_120);
        vm.prank(node);
        coordinator.deliverCompute(id, 2, "", "", "", NOBODY);
        assertEq(hearing.answers(), 1);
    }

    function testCannotFailTwice() public {
        uint32 id = _ask(2);
        _report(node, id, 1, 1);
        _expect(id, 1, Coordinator.NodeRespondedAlready.selector);
    }

    function testCannotFailAfterItsAnswer() public {
        uint32 id = _ask(2);
        _deliver(id);
        _expect(id, 1, Coordinator.NodeRespondedAlready.selector);
    }

    function testCannotFailWhatIsAnswered() public {
        uint32 id = _ask(1);
        _deliver(id, otherNode, NOBODY);
        _expect(id, 1, Coordinator.IntervalCompleted.selector);
    }

    function testCannotFailWhatIsNotThere() public {
        _expect(77, 1, Coordinator.SubscriptionNotFound.selector);
    }

    function testCannotFailWhatIsCancelled() public {
        uint32 id = _ask(1);
        hearing.cancel(id);
        _expect(id, 1, Coordinator.SubscriptionNotActive.selector);
    }

    function testCannotFailAnotherInterval() public {
        _expect(_ask(1), 2, Coordinator.IntervalMismatch.selector);
    }

    function testCannotFailWhatIsOver() public {
        uint32 id = hearing.create("container", 2, 60, 1, false, ETH, 0, NOBODY, NOBODY);
        vm.warp(1_750_000_180);
        _expect(id, 3, Coordinator.SubscriptionCompleted.selector);
    }

    function testLeavesThoseAloneThatDoNotHear() public {
        uint32 id = _callback(1);
        _report(node, id, 1, 1);
        assertTrue(_responded(id, 1, node));
    }

    function testLeavesAccountsAlone() public {
        vm.prank(makeAddr("account"));
        uint32 id = coordinator.createSubscription("container", 1, 0, 1, false, ETH, 0, NOBODY, NOBODY);
        _report(node, id, 1, 1);
        assertTrue(_responded(id, 1, node));
    }

    function testCountsThoughTheConsumerReverts() public {
        hearing.react(Reaction.Revert);
        uint32 id = _ask(1);
        _report(node, id, 1, 1);
        assertTrue(_responded(id, 1, node));
        assertEq(hearing.told(), bytes32(0));
    }

    function testAsksAgainWhenItHears() public {
        hearing.react(Reaction.AskAgain);
        uint32 id = _ask(1);
        _report(node, id, 1, 1);
        _deliver(id + 1);
        assertEq(hearing.last().subscriptionId, id + 1);
    }

    function testCannotDeliverWhileItHears() public {
        hearing.react(Reaction.Deliver);
        uint32 id = _ask(2);
        _report(node, id, 1, 1);
        assertEq(hearing.answers(), 0);
        assertEq(hearing.refusal(), abi.encodePacked(Coordinator.Reentrancy.selector));
    }

    function testCannotBeToldByOthers() public {
        vm.expectRevert(BaseConsumer.NotCoordinator.selector);
        hearing.rawReceiveFailure(1, 1, node, 1);
    }

    function _ask(uint16 redundancy) private returns (uint32) {
        return hearing.create("container", 1, 0, redundancy, false, ETH, 0, NOBODY, NOBODY);
    }

    function _report(address as_, uint32 id, uint32 interval, uint32 code) private {
        vm.prank(as_);
        coordinator.reportFailure(id, interval, code);
    }

    function _expect(uint32 id, uint32 interval, bytes4 refusal) private {
        vm.expectRevert(refusal);
        _report(node, id, interval, 1);
    }
}

enum Reaction {
    Note,
    Revert,
    AskAgain,
    Deliver
}

/// @notice Hears of failures, and does about them what it is told to.
contract HearingConsumer is RecordingConsumer, FailureConsumer {
    bytes32 public told;
    bytes public refusal;
    Reaction private reaction;

    constructor(address registry) RecordingConsumer(registry) {}

    function react(Reaction reaction_) external {
        reaction = reaction_;
    }

    function _receiveCompute(
        uint32 subscriptionId,
        uint32 interval,
        uint16 redundancy,
        address node,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof,
        bytes32 containerId,
        uint256 index
    ) internal override(BaseConsumer, RecordingConsumer) {
        super._receiveCompute(subscriptionId, interval, redundancy, node, input, output, proof, containerId, index);
    }

    function _receiveFailure(uint32 id, uint32 interval, address node, uint32 code) internal override {
        told = keccak256(abi.encode(id, interval, node, code));
        if (reaction == Reaction.Revert) revert("no");
        if (reaction == Reaction.AskAgain) {
            COORDINATOR.createSubscription("container", 1, 0, 1, false, address(0), 0, address(0), address(0));
        }
        if (reaction == Reaction.Deliver) {
            try COORDINATOR.deliverCompute(id, interval, "", "", "", address(0)) {}
            catch (bytes memory reason) {
                refusal = reason;
            }
        }
    }
}
