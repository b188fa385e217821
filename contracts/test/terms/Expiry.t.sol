// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {Coordinator} from "src/Coordinator.sol";
import {Request, Terms} from "src/interface/ICoordinator.sol";

contract ExpiryTest is Setup {
    uint32 private constant END = 1_750_000_090;

    function testTakesAnswersUntilTheLastSecond() public {
        uint32 id = _open(1, 0);
        vm.warp(END - 1);
        _deliver(id);
        assertEq(consumer.answers(), 1);
    }

    function testCannotDeliverWhatHasExpired() public {
        uint32 id = _open(1, 0);
        vm.warp(END);
        vm.expectRevert(Coordinator.SubscriptionExpired.selector);
        _deliver(id);
    }

    function testCannotReportFailureOfWhatHasExpired() public {
        uint32 id = _open(1, 0);
        vm.warp(END);
        vm.expectRevert(Coordinator.SubscriptionExpired.selector);
        vm.prank(node);
        coordinator.reportFailure(id, 1, 1);
    }

    function testEndsAnIntervalHalfWay() public {
        uint32 id = _open(5, 60);
        vm.warp(END);
        vm.expectRevert(Coordinator.SubscriptionExpired.selector);
        _deliver(id);
    }

    function testCannotDeliverWhatIsCancelledFirst() public {
        uint32 id = _open(1, 0);
        consumer.cancel(id);
        vm.warp(END);
        vm.expectRevert(Coordinator.SubscriptionNotActive.selector);
        _deliver(id);
    }

    function testExpiryComesBeforeTheInterval() public {
        uint32 id = _open(1, 0);
        vm.warp(END);
        vm.expectRevert(Coordinator.SubscriptionExpired.selector);
        vm.prank(node);
        coordinator.deliverCompute(id, 9, "", "", "", address(nodeWallet));
    }

    function testEndsForNobodyElse() public {
        _open(1, 0);
        uint32 id = _callback(1);
        vm.warp(END);
        _deliver(id);
        assertEq(consumer.answers(), 1);
    }

    function _open(uint32 frequency, uint32 period) private returns (uint32) {
        Request memory request = _request(ETH, 1 ether, NOBODY);
        (request.frequency, request.period) = (frequency, period);
        Terms memory terms = _noTerms();
        terms.expiresAt = END;
        return consumer.open(request, terms);
    }
}
