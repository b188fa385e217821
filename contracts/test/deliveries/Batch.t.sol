// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {BatchSetup, RevertingConsumer} from "../support/Batches.sol";
import {Coordinator} from "src/Coordinator.sol";
import {Call, ICoordinator} from "src/interface/ICoordinator.sol";
import {Vm} from "forge-std/Vm.sol";

/// @notice One that fails leaves nothing, says why, and spoils nothing for the others.
contract BatchTest is BatchSetup {
    function testDeliversInOrder() public {
        (uint32 a, uint32 b, uint32 c) = (_callback(1), _callback(1), _callback(1));
        bytes4[] memory failures = _send(_list(_delivery(c, 1), _delivery(a, 1), _delivery(b, 1)));
        assertEq(abi.encodePacked(failures), abi.encodePacked(new bytes4[](3)));
        assertEq(consumer.answers(), 3);
        assertEq(consumer.last().subscriptionId, b);
    }

    function testDeliversInTheCallersName() public {
        uint32 id = _paid(ETH, 1 ether, NOBODY);
        _send(_delivery(id, 1));
        assertEq(consumer.last().node, node);
        assertTrue(_responded(id, 1, node));
        assertEq(address(nodeWallet).balance, FUNDS + 0.8978 ether);
    }

    function testKeepsTheOthersWhenOneFails() public {
        (uint32 a, uint32 b) = (_callback(1), _callback(1));
        vm.expectEmit(address(coordinator));
        emit ICoordinator.CallFailed(1, abi.encodePacked(Coordinator.IntervalMismatch.selector));
        bytes4[] memory failures = _send(_list(_delivery(a, 1), _delivery(a, 2), _delivery(b, 1)));
        assertEq(failures[0], NONE);
        assertEq(failures[1], Coordinator.IntervalMismatch.selector);
        assertEq(failures[2], NONE);
        assertEq(consumer.answers(), 2);
    }

    function testLeavesNothingOfWhatFails() public {
        uint32 id = _failing("no");
        assertEq(_send(_delivery(id, 1)), UNNAMED);
        assertEq(_count(id, 1), 0);
        assertFalse(_responded(id, 1, node));
    }

    function testCannotDeliverTwiceInABatch() public {
        uint32 id = _callback(2);
        bytes4[] memory failures = _send(_list(_delivery(id, 1), _delivery(id, 1), _delivery(_callback(1), 1)));
        assertEq(failures[1], Coordinator.NodeRespondedAlready.selector);
        assertEq(failures[2], NONE);
    }

    function testDoesNothingForNothing() public {
        assertEq(_send(new Call[](0)).length, 0);
    }

    function testTellsReasonsUpToTheirMost(uint16 size) public {
        size = uint16(bound(size, 0, 3000));
        bytes memory reason = _pattern(size);
        bytes memory expected = _pattern(size < 256 ? size : 256);
        uint32 id = _failing(reason);
        vm.expectEmit(address(coordinator));
        emit ICoordinator.CallFailed(0, expected);
        bytes4 failure = _send(_delivery(id, 1));
        assertEq(failure, size < 4 ? UNNAMED : bytes4(reason));
    }

    function testTellsReasonsAtTheirMost() public {
        _assertReasonLength(255, 255);
        _assertReasonLength(256, 256);
        _assertReasonLength(257, 256);
        _assertReasonLength(60_000, 256);
    }

    function testTellsARevertWithoutReason() public {
        assertEq(_send(_delivery(_failing(""), 1)), UNNAMED);
    }

    function testTellsARevertThatLooksLikeNone() public {
        assertEq(_send(_delivery(_failing(hex"00000000"), 1)), UNNAMED);
        assertEq(_send(_delivery(_failing(new bytes(64)), 1)), UNNAMED);
    }

    function testTellsOfFunctionsThatThereAreNot() public {
        assertEq(_send(Call(0, hex"deadbeef")), UNNAMED);
        assertEq(_send(Call(0, "")), UNNAMED);
        assertEq(_send(Call(0, hex"01")), UNNAMED);
    }

    function testTellsOfArgumentsThatAreNone() public {
        assertEq(_send(Call(0, abi.encodePacked(ICoordinator.deliverCompute.selector))), UNNAMED);
    }

    function testLimitsGas() public {
        Call memory limited = _delivery(_callback(1), 1);
        limited.gasLimit = 20_000;
        bytes4[] memory failures = _send(_list(_delivery(_callback(1), 1), limited, _delivery(_callback(1), 1)));
        assertEq(failures[0], NONE);
        assertEq(failures[1], UNNAMED);
        assertEq(failures[2], NONE);
        assertEq(consumer.answers(), 2);
    }

    function testDeliversWithinEnoughGas() public {
        Call memory limited = _delivery(_callback(1), 1);
        limited.gasLimit = 1_000_000;
        assertEq(_send(limited), NONE);
    }

    function testBurnsNoMoreThanTheLimit() public {
        Burner burner = new Burner();
        vm.prank(address(burner));
        uint32 id = coordinator.createSubscription("container", 1, 0, 1, false, ETH, 0, NOBODY, NOBODY);
        Call memory limited = _delivery(id, 1);
        limited.gasLimit = 200_000;
        uint256 before = gasleft();
        bytes4[] memory failures = _send(_list(limited, limited, _delivery(_callback(1), 1)));
        assertLt(before - gasleft(), 1_200_000);
        assertEq(failures[0], UNNAMED);
        assertEq(failures[1], UNNAMED);
        assertEq(failures[2], NONE);
    }

    function testForgetsReasonsOfOthers() public {
        uint32 long = _failing(_pattern(256));
        uint32 short = _failing("no");
        Call[] memory calls = _list(_delivery(long, 1), _delivery(short, 1), _delivery(77, 1));
        vm.recordLogs();
        _send(calls);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(abi.decode(logs[0].data, (bytes)), _pattern(256));
        assertEq(abi.decode(logs[1].data, (bytes)), "no");
        assertEq(abi.decode(logs[2].data, (bytes)), abi.encodePacked(Coordinator.SubscriptionNotFound.selector));
    }

    function _assertReasonLength(uint256 size, uint256 told) private {
        uint32 id = _failing(_pattern(size));
        vm.expectEmit(address(coordinator));
        emit ICoordinator.CallFailed(0, _pattern(told));
        _send(_delivery(id, 1));
    }

    function _failing(bytes memory reason) private returns (uint32) {
        RevertingConsumer failing = new RevertingConsumer(address(registry));
        failing.setReason(reason);
        return failing.create("container", 1, 0, 1, false, ETH, 0, NOBODY, NOBODY);
    }

    function _pattern(uint256 size) private pure returns (bytes memory pattern) {
        pattern = new bytes(size);
        for (uint256 i = 0; i < size; i++) {
            pattern[i] = bytes1(uint8(1 + i % 251));
        }
    }
}

/// @notice Uses up whatever gas it is given.
contract Burner {
    fallback() external {
        assembly ("memory-safe") {
            invalid()
        }
    }
}
