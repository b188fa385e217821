// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {IInbox, InboxItem} from "src/interface/IInbox.sol";
import {Coordinated} from "src/utility/Coordinated.sol";
import {stdError} from "forge-std/StdError.sol";

contract InboxTest is Setup {
    bytes32 private constant CONTAINER = keccak256(abi.encode("container"));

    function _write() private returns (uint256) {
        vm.prank(node);
        return inbox.write(CONTAINER, "input", "output", "proof");
    }

    function _writeViaCoordinator(uint32 id, uint32 interval) private returns (uint256) {
        vm.prank(address(coordinator));
        return inbox.writeViaCoordinator(CONTAINER, node, id, interval, "input", "output", "proof");
    }

    function testAnyoneMayWrite(
        address caller,
        bytes32 containerId,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof
    ) public {
        vm.prank(caller);
        inbox.write(containerId, input, output, proof);
        InboxItem memory expected = InboxItem(uint32(block.timestamp), 0, 0, input, output, proof);
        assertEq(abi.encode(inbox.read(containerId, caller, 0)), abi.encode(expected));
    }

    function testCoordinatorWritesWhatWasAskedFor(uint32 id, uint32 interval) public {
        _writeViaCoordinator(id, interval);
        InboxItem memory expected = InboxItem(uint32(block.timestamp), id, interval, "input", "output", "proof");
        assertEq(abi.encode(inbox.read(CONTAINER, node, 0)), abi.encode(expected));
    }

    function testCannotWriteForANodeUnlessTheCoordinator(address caller) public {
        vm.assume(caller != address(coordinator));
        vm.expectRevert(Coordinated.NotCoordinator.selector);
        vm.prank(caller);
        inbox.writeViaCoordinator(CONTAINER, node, 1, 1, "", "", "");
    }

    function testBothKindsShareTheList() public {
        assertEq(_write(), 0);
        assertEq(_writeViaCoordinator(7, 1), 1);
        assertEq(_write(), 2);
        assertEq(inbox.read(CONTAINER, node, 1).subscriptionId, 7);
        assertEq(inbox.read(CONTAINER, node, 2).subscriptionId, 0);
    }

    function testListsAreByContainerAndNode() public {
        _write();
        assertEq(inbox.write(CONTAINER, "", "", ""), 0);
        vm.prank(node);
        assertEq(inbox.write("other", "", "", ""), 0);
    }

    function testItemsStayAsTheyWere() public {
        _write();
        uint256 then = vm.getBlockTimestamp();
        skip(100);
        vm.prank(node);
        inbox.write(CONTAINER, "other", "other", "other");
        assertEq(inbox.read(CONTAINER, node, 0).output, "output");
        assertEq(inbox.read(CONTAINER, node, 0).timestamp, then);
        assertEq(inbox.read(CONTAINER, node, 1).timestamp, then + 100);
    }

    function testGetterGivesTheMembers() public {
        _writeViaCoordinator(7, 3);
        (bool success, bytes memory data) =
            address(inbox).staticcall(abi.encodeWithSelector(0x93eaef1f, CONTAINER, node, 0));
        assertTrue(success);
        assertEq(
            data,
            abi.encode(uint32(block.timestamp), uint32(7), uint32(3), bytes("input"), bytes("output"), bytes("proof"))
        );
    }

    function testTellsOfOwnAndAskedAlike() public {
        vm.expectEmit(address(inbox));
        emit IInbox.NewInboxItem(CONTAINER, node, 0);
        _write();
        vm.expectEmit(address(inbox));
        emit IInbox.NewInboxItem(CONTAINER, node, 1);
        _writeViaCoordinator(7, 1);
    }

    function testCannotReadBeyondTheEnd(uint256 index) public {
        index = bound(index, 1, type(uint256).max);
        _write();
        vm.expectRevert(stdError.indexOOBError);
        inbox.read(CONTAINER, node, index);
    }

    function testCannotReadAnEmptyList() public {
        vm.expectRevert(stdError.indexOOBError);
        inbox.read(CONTAINER, node, 0);
    }

    function testCannotGetBeyondTheEnd() public {
        _write();
        // As a compiler's getter does, by whatever it says: only that it fails is fixed.
        (bool success,) = address(inbox).staticcall(abi.encodeCall(inbox.items, (CONTAINER, node, 1)));
        assertFalse(success);
    }
}
