// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Attack} from "./Attack.sol";
import {Coordinator} from "src/Coordinator.sol";

/// @notice Reports of failures, which cost nothing but gas, to keep others from answering.
contract FailureReportsTest is Attack {
    function _report(uint32 id, address as_) internal {
        vm.prank(as_);
        coordinator.reportFailure(id, 1, 1);
    }

    function testAnyNumberOfThemBlocksNobodyElse(uint8 many) public {
        uint32 id = _paid(ETH, PRICE, NOBODY);
        for (uint160 i = 1; i <= bound(many, 1, 20); i++) {
            _report(id, address(0x1000 + i));
        }
        assertEq(_count(id, 1), 0);
        _deliver(id);
        assertEq(consumer.answers(), 1);
    }

    function testCannotReportForAnother() public {
        uint32 id = _callback(1);
        _report(id, otherNode);
        assertFalse(_responded(id, 1, node));
    }

    function testCannotReportAgain() public {
        uint32 id = _callback(1);
        _report(id, node);
        vm.prank(node);
        vm.expectRevert(Coordinator.NodeRespondedAlready.selector);
        coordinator.reportFailure(id, 1, 1);
    }

    function testCannotAnswerAfterAReport() public {
        uint32 id = _paid(ETH, PRICE, NOBODY);
        _report(id, node);
        vm.prank(node);
        vm.expectRevert(Coordinator.NodeRespondedAlready.selector);
        coordinator.deliverCompute(id, 1, "", "", "", address(nodeWallet));
    }

    function testCannotReportInsteadOfWaitingForTheVerdict() public {
        uint32 id = consumer.create("c", 1, 0, 2, false, ETH, PRICE, address(wallet), address(optimistic));
        _deliver(id);
        vm.prank(node);
        vm.expectRevert(Coordinator.NodeRespondedAlready.selector);
        coordinator.reportFailure(id, 1, 1);
        optimistic.finalize(id, 1, node, false);
        assertEq(address(nodeWallet).balance, FUNDS - PRICE);
    }

    function testCannotReportWhereAllIsAnswered() public {
        uint32 id = _callback(1);
        _deliver(id);
        vm.prank(otherNode);
        vm.expectRevert(Coordinator.IntervalCompleted.selector);
        coordinator.reportFailure(id, 1, 1);
    }

    function testConsumersThatKnowNothingOfFailuresAreLeftAlone() public {
        uint32 id = _callback(1);
        _report(id, node);
        assertEq(consumer.answers(), 0);
    }
}
