// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ChoosingConsumer, EmptyConsumer} from "../support/Consumers.sol";
import {SigningConsumer} from "../support/DelegationSetup.sol";
import {Setup} from "../support/Setup.sol";
import {Allowlist} from "src/pattern/Allowlist.sol";
import {Delegator} from "src/pattern/Delegator.sol";
import {stdError} from "forge-std/StdError.sol";

contract PatternsTest is Setup {
    function _choosing(address node_) private returns (ChoosingConsumer) {
        address[] memory initial = new address[](1);
        initial[0] = node_;
        return new ChoosingConsumer(address(registry), initial);
    }

    function _ask(ChoosingConsumer choosing) private returns (uint32) {
        return choosing.create("container", 1, 0, 2, false, ETH, 0, NOBODY, NOBODY);
    }

    function testAllowsTheFirstNodes() public {
        ChoosingConsumer choosing = _choosing(node);
        assertTrue(choosing.isAllowedNode(node));
        assertFalse(choosing.isAllowedNode(otherNode));
        _deliver(_ask(choosing));
        assertEq(choosing.answers(), 1);
    }

    function testCannotAnswerUnlessAllowed() public {
        uint32 id = _ask(_choosing(node));
        vm.expectRevert(Allowlist.NodeNotAllowed.selector);
        _deliver(id, otherNode, NOBODY);
        assertEq(_count(id, 1), 0);
    }

    function testAllowsAndForbidsLater() public {
        ChoosingConsumer choosing = _choosing(node);
        address[] memory nodes = new address[](2);
        bool[] memory statuses = new bool[](2);
        (nodes[0], nodes[1], statuses[1]) = (node, otherNode, true);
        choosing.update(nodes, statuses);
        uint32 id = _ask(choosing);
        _deliver(id, otherNode, NOBODY);
        vm.expectRevert(Allowlist.NodeNotAllowed.selector);
        _deliver(id);
    }

    function testLastOfSeveralStatusesCounts() public {
        ChoosingConsumer choosing = _choosing(node);
        address[] memory nodes = new address[](3);
        bool[] memory statuses = new bool[](3);
        (nodes[0], nodes[1], nodes[2]) = (otherNode, otherNode, otherNode);
        (statuses[0], statuses[1]) = (true, false);
        statuses[2] = true;
        choosing.update(nodes, statuses);
        assertTrue(choosing.isAllowedNode(otherNode));
    }

    function testCannotUpdateWithFewerStatuses() public {
        ChoosingConsumer choosing = _choosing(node);
        vm.expectRevert(stdError.indexOOBError);
        choosing.update(new address[](2), new bool[](1));
    }

    function testMoreStatusesAreIgnored() public {
        ChoosingConsumer choosing = _choosing(node);
        choosing.update(new address[](0), new bool[](1));
        assertTrue(choosing.isAllowedNode(node));
    }

    function testMayBeginWithNobody() public {
        ChoosingConsumer choosing = new ChoosingConsumer(address(registry), new address[](0));
        assertFalse(choosing.isAllowedNode(node));
    }

    function testDelegatorTellsItsSigner(address signer, address next) public {
        SigningConsumer delegator = new SigningConsumer(address(registry), signer);
        assertEq(delegator.getSigner(), signer);
        delegator.setSigner(next);
        assertEq(delegator.getSigner(), next);
    }

    function testChangesOfTheListAreTold() public {
        ChoosingConsumer choosing = _choosing(node);
        address[] memory nodes = new address[](2);
        bool[] memory statuses = new bool[](2);
        (nodes[0], nodes[1], statuses[1]) = (node, otherNode, true);
        vm.expectEmit(address(choosing));
        emit Allowlist.AllowlistUpdated(node, false);
        vm.expectEmit(address(choosing));
        emit Allowlist.AllowlistUpdated(otherNode, true);
        choosing.update(nodes, statuses);
    }

    function testAnotherSignerIsTold(address signer, address next) public {
        vm.expectEmit();
        emit Delegator.SignerUpdated(signer);
        SigningConsumer delegator = new SigningConsumer(address(registry), signer);
        vm.expectEmit(address(delegator));
        emit Delegator.SignerUpdated(next);
        delegator.setSigner(next);
    }
}
