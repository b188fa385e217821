// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {BaseConsumer} from "src/consumer/Base.sol";
import {IConsumer} from "src/interface/IConsumer.sol";
import {IInbox, InboxItem} from "src/interface/IInbox.sol";

contract CallbacksTest is Setup {
    bytes32 private constant CONTAINER = keccak256(abi.encode("container"));

    function _lazy(uint16 redundancy) private returns (uint32) {
        return consumer.create("container", 1, 0, redundancy, true, ETH, 0, NOBODY, NOBODY);
    }

    function testEagerIsGivenTheAnswer(bytes calldata input, bytes calldata output, bytes calldata proof) public {
        uint32 id = _callback(1);
        vm.expectCall(
            address(consumer),
            abi.encodeCall(IConsumer.rawReceiveCompute, (id, 1, 1, node, input, output, proof, bytes32(0), uint256(0)))
        );
        vm.prank(node);
        coordinator.deliverCompute(id, 1, input, output, proof, NOBODY);
    }

    function testEagerLeavesNothingInTheInbox() public {
        _deliver(_callback(1));
        assertEq(inbox.count(CONTAINER, node), 0);
    }

    function testLazyIsToldWhereTheAnswerLies() public {
        uint32 id = _lazy(1);
        vm.expectCall(
            address(consumer),
            abi.encodeCall(IConsumer.rawReceiveCompute, (id, 1, 1, node, "", "", "", CONTAINER, uint256(0)))
        );
        _deliver(id);
    }

    function testLazyAnswerLiesInTheInbox(bytes calldata input, bytes calldata output, bytes calldata proof) public {
        uint32 id = _lazy(1);
        vm.prank(node);
        coordinator.deliverCompute(id, 1, input, output, proof, NOBODY);
        InboxItem memory expected = InboxItem(uint32(block.timestamp), id, 1, input, output, proof);
        assertEq(abi.encode(inbox.read(CONTAINER, node, 0)), abi.encode(expected));
    }

    function testLazyTellsOfTheItem() public {
        uint32 id = _lazy(1);
        vm.expectEmit(address(inbox));
        emit IInbox.NewInboxItem(CONTAINER, node, 0);
        _deliver(id);
    }

    function testLazyAnswersFollowInTheNodesList() public {
        _deliver(_lazy(1));
        _deliver(_lazy(1));
        assertEq(consumer.last().index, 1);
        _deliver(_lazy(1), otherNode, NOBODY);
        assertEq(consumer.last().index, 0);
    }

    function testBothKindsInOneConsumer() public {
        uint32 eager = _callback(1);
        uint32 lazy = _lazy(1);
        _deliver(eager);
        assertEq(consumer.last().output, "output");
        assertEq(consumer.last().containerId, bytes32(0));
        _deliver(lazy);
        assertEq(consumer.last().output, "");
        assertEq(consumer.last().containerId, CONTAINER);
    }

    function testRecurringIsToldTheInterval() public {
        uint32 id = consumer.create("container", 3, 60, 1, false, ETH, 0, NOBODY, NOBODY);
        skip(180);
        vm.prank(node);
        coordinator.deliverCompute(id, 3, "", "", "", NOBODY);
        assertEq(consumer.last().interval, 3);
    }

    function testCannotCallBackUnlessTheCoordinator(address caller) public {
        vm.assume(caller != address(coordinator));
        vm.expectRevert(BaseConsumer.NotCoordinator.selector);
        vm.prank(caller);
        consumer.rawReceiveCompute(1, 1, 1, node, "", "", "", bytes32(0), 0);
    }

    function testConsumerHasNoInputsUnlessItSaysSo() public view {
        assertEq(consumer.getContainerInputs(1, 1, uint32(block.timestamp), node), "");
    }

    function testConsumerDoesNothingUnlessItSaysSo() public {
        BareConsumer bare = new BareConsumer(address(registry));
        vm.prank(address(coordinator));
        bare.rawReceiveCompute(1, 1, 1, node, "", "", "", bytes32(0), 0);
    }
}

contract BareConsumer is BaseConsumer {
    constructor(address registry) BaseConsumer(registry) {}
}
