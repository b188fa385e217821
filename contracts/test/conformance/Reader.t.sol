// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {Subscription} from "src/interface/ICoordinator.sol";
import {stdError} from "forge-std/StdError.sol";

contract ReaderTest is Setup {
    function testReadsFromTheStartToBeforeTheEnd() public {
        for (uint16 i = 1; i <= 4; i++) {
            _callback(i);
        }
        Subscription[] memory subs = reader.readSubscriptionBatch(2, 4);
        assertEq(subs.length, 2);
        assertEq(abi.encode(subs[0]), abi.encode(coordinator.getSubscription(2)));
        assertEq(abi.encode(subs[1]), abi.encode(coordinator.getSubscription(3)));
    }

    function testReadsEveryField() public {
        uint32 id = consumer.create("A,B", 9, 60, 3, true, address(token), 5, address(wallet), owner);
        Subscription memory sub = reader.readSubscriptionBatch(id, id + 1)[0];
        assertEq(sub.owner, address(consumer));
        assertEq(sub.activeAt, block.timestamp + 60);
        assertEq(sub.period, 60);
        assertEq(sub.frequency, 9);
        assertEq(sub.redundancy, 3);
        assertEq(sub.containerId, keccak256(abi.encode("A,B")));
        assertTrue(sub.lazy);
        assertEq(sub.verifier, owner);
        assertEq(sub.paymentAmount, 5);
        assertEq(sub.paymentToken, address(token));
        assertEq(sub.wallet, address(wallet));
    }

    function testReadsZerosWhereNothingIs() public {
        uint32 id = _callback(1);
        Subscription[] memory subs = reader.readSubscriptionBatch(0, id + 2);
        Subscription memory nothing;
        assertEq(abi.encode(subs[0]), abi.encode(nothing));
        assertEq(subs[1].owner, address(consumer));
        assertEq(abi.encode(subs[2]), abi.encode(nothing));
    }

    function testReadsNothingFromNothing(uint32 id) public view {
        assertEq(reader.readSubscriptionBatch(id, id).length, 0);
    }

    function testReadsCancelled() public {
        uint32 id = _callback(1);
        consumer.cancel(id);
        assertEq(reader.readSubscriptionBatch(id, id + 1)[0].activeAt, type(uint32).max);
    }

    function testCannotReadBackwards(uint32 start, uint32 end) public {
        start = uint32(bound(start, 1, type(uint32).max));
        end = uint32(bound(end, 0, start - 1));
        vm.expectRevert(stdError.arithmeticError);
        reader.readSubscriptionBatch(start, end);
    }

    function _pairs(uint256 ids, uint256 intervals) private pure returns (uint32[] memory, uint32[] memory) {
        return (new uint32[](ids), new uint32[](intervals));
    }

    function testReadsCounts() public {
        uint32 once = _callback(2);
        uint32 twice = _callback(2);
        _deliver(once);
        _deliver(twice);
        _deliver(twice, otherNode, NOBODY);
        consumer.cancel(twice);
        (uint32[] memory ids, uint32[] memory intervals) = _pairs(4, 4);
        (ids[0], ids[1], ids[2], ids[3]) = (once, twice, once, 99);
        (intervals[0], intervals[1], intervals[2], intervals[3]) = (1, 1, 2, 1);
        uint16[] memory counts = reader.readRedundancyCountBatch(ids, intervals);
        assertEq(
            abi.encode(counts), abi.encode(uint256(32), uint256(4), uint256(1), uint256(2), uint256(0), uint256(0))
        );
    }

    function testCannotReadCountsOfFewerIntervals() public {
        (uint32[] memory ids, uint32[] memory intervals) = _pairs(2, 1);
        vm.expectRevert(stdError.indexOOBError);
        reader.readRedundancyCountBatch(ids, intervals);
    }

    function testMoreIntervalsAreIgnored() public view {
        (uint32[] memory ids, uint32[] memory intervals) = _pairs(1, 3);
        assertEq(reader.readRedundancyCountBatch(ids, intervals).length, 1);
    }
}
