// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {Callback} from "examples/Callback.sol";

contract CallbackExampleTest is Setup {
    Callback private example;

    function setUp() public override {
        super.setUp();
        example = new Callback(address(registry));
    }

    function testKeepsTheAnswer() public {
        uint32 id = example.ask("hello-world", "{}");
        assertEq(coordinator.getSubscription(id).containerId, keccak256(abi.encode("hello-world")));
        _answer(id);
        assertEq(example.answers(id), "hello");
    }

    function testTellsOfTheAnswer() public {
        uint32 id = example.ask("hello-world", "{}");
        vm.expectEmit(address(example));
        emit Callback.Answered(id, node, "hello");
        _answer(id);
    }

    function testForgetsTheQuestionThatIsAnswered() public {
        uint32 id = example.ask("hello-world", "{}");
        assertEq(example.getContainerInputs(id, 1, 0, node), "{}");
        _answer(id);
        assertEq(example.getContainerInputs(id, 1, 0, node), "");
    }

    function testCannotBeAnsweredWithAnythingElse() public {
        uint32 id = example.ask("hello-world", "{}");
        vm.prank(node);
        vm.expectRevert();
        coordinator.deliverCompute(id, 1, "", "no string", "", NOBODY);
    }

    function _answer(uint32 id) private {
        vm.prank(node);
        coordinator.deliverCompute(id, 1, "", abi.encode("hello"), "", NOBODY);
    }
}
