// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {Lazy} from "examples/Lazy.sol";

contract LazyExampleTest is Setup {
    Lazy private example;

    function setUp() public override {
        super.setUp();
        example = new Lazy(address(registry));
    }

    function testReadsTheAnswerFromTheInbox() public {
        uint32 id = example.ask("ocr", "picture");
        assertEq(example.getContainerInputs(id, 1, 0, node), "picture");
        bytes memory output = abi.encode(new bytes(30_000), "end");
        vm.prank(node);
        coordinator.deliverCompute(id, 1, "input", output, "", NOBODY);
        assertEq(keccak256(example.read(id)), keccak256(output));
        (bytes32 containerId, address from, uint256 index) = example.places(id);
        assertEq(containerId, keccak256(abi.encode("ocr")));
        assertEq(from, node);
        assertEq(index, 0);
    }

    function testKeepsAnswersApart() public {
        (uint32 first, uint32 second) = (example.ask("ocr", "one"), example.ask("ocr", "two"));
        vm.startPrank(node);
        inbox.write(keccak256(abi.encode("ocr")), "", "of its own accord", "");
        coordinator.deliverCompute(second, 1, "", "second", "", NOBODY);
        coordinator.deliverCompute(first, 1, "", "first", "", NOBODY);
        vm.stopPrank();
        assertEq(example.read(first), "first");
        assertEq(example.read(second), "second");
    }

    function testCannotReadWhatIsNotAnswered() public {
        uint32 id = example.ask("ocr", "picture");
        vm.expectRevert(Lazy.Unanswered.selector);
        example.read(id);
    }
}
