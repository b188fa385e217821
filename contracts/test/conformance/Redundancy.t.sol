// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {Coordinator} from "src/Coordinator.sol";

contract RedundancyTest is Setup {
    function _answerAs(uint256 number, uint32 id) private {
        vm.prank(address(uint160(0x1000 + number)));
        coordinator.deliverCompute(id, 1, "", "", "", NOBODY);
    }

    function testTakesSoManyAnswers(uint16 redundancy) public {
        redundancy = uint16(bound(redundancy, 1, 30));
        uint32 id = _callback(redundancy);
        for (uint256 i = 0; i < redundancy; i++) {
            _answerAs(i, id);
        }
        assertEq(_count(id, 1), redundancy);
        vm.expectRevert(Coordinator.IntervalCompleted.selector);
        _answerAs(redundancy, id);
    }

    function testNumbersAnswersFromOne() public {
        uint32 id = _callback(3);
        for (uint16 i = 1; i <= 3; i++) {
            _answerAs(i, id);
            assertEq(consumer.last().redundancy, i);
        }
    }

    /// @dev Numbers beyond one byte.
    function testTakesMoreThanAByteCounts() public {
        uint32 id = _callback(257);
        for (uint256 i = 0; i < 257; i++) {
            _answerAs(i, id);
        }
        assertEq(consumer.last().redundancy, 257);
        vm.expectRevert(Coordinator.IntervalCompleted.selector);
        _answerAs(257, id);
    }

    function testNeverAnsweredWithNone() public {
        uint32 id = _callback(0);
        vm.expectRevert(Coordinator.IntervalCompleted.selector);
        _deliver(id);
    }

    function testCountsEachIntervalAnew() public {
        uint32 id = consumer.create("container", 2, 60, 2, false, ETH, 0, NOBODY, NOBODY);
        skip(60);
        _answerAs(1, id);
        _answerAs(2, id);
        skip(60);
        vm.prank(node);
        coordinator.deliverCompute(id, 2, "", "", "", NOBODY);
        assertEq(_count(id, 1), 2);
        assertEq(_count(id, 2), 1);
        assertEq(consumer.last().redundancy, 1);
    }

    function testCountsEachSubscriptionByItself() public {
        uint32 first = _callback(1);
        uint32 second = _callback(1);
        _deliver(first);
        _deliver(second);
        assertEq(_count(first, 1), 1);
        assertEq(_count(second, 1), 1);
    }

    /// @dev Every element of a key is padded to a word.
    function testKeysAreEncodedWordByWord() public {
        uint32 id = _callback(1);
        _deliver(id);
        bytes memory pair = abi.encodePacked(uint256(id), uint256(1));
        assertEq(coordinator.redundancyCount(keccak256(pair)), 1);
        assertTrue(coordinator.nodeResponded(keccak256(abi.encodePacked(pair, uint256(uint160(node))))));
        assertFalse(coordinator.nodeResponded(keccak256(abi.encodePacked(pair, uint256(uint160(otherNode))))));
    }

    function testAnyCallerIsANode(address caller) public {
        uint32 id = _callback(1);
        vm.prank(caller);
        coordinator.deliverCompute(id, 1, "", "", "", NOBODY);
        assertEq(consumer.last().node, caller);
    }
}
