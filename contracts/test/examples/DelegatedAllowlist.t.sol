// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {DelegationSetup} from "../support/Delegation.sol";
import {EIP712Coordinator} from "src/EIP712Coordinator.sol";
import {Subscription} from "src/interface/ICoordinator.sol";
import {Allowlist} from "src/pattern/Allowlist.sol";
import {DelegatedAllowlist} from "examples/DelegatedAllowlist.sol";

contract DelegatedAllowlistExampleTest is DelegationSetup {
    DelegatedAllowlist private example;

    function setUp() public override {
        super.setUp();
        address[] memory nodes = new address[](1);
        nodes[0] = node;
        example = new DelegatedAllowlist(address(registry), owner, signer, nodes);
    }

    function testIsAnsweredToWhatWasSigned() public {
        _answer(node);
        assertEq(example.outputs(1), "output");
        assertEq(coordinator.getSubscription(1).owner, address(example));
    }

    function testCannotBeAnsweredByOthers() public {
        vm.expectRevert(Allowlist.NodeNotAllowed.selector);
        this.answer(otherNode);
        assertEq(coordinator.id(), 1);
    }

    function testIsAnsweredByThoseWhoAreAllowed() public {
        (address[] memory nodes, bool[] memory allowed) = (new address[](2), new bool[](2));
        (nodes[0], nodes[1], allowed[1]) = (node, otherNode, true);
        vm.prank(owner);
        example.updateNodes(nodes, allowed);
        vm.expectRevert(Allowlist.NodeNotAllowed.selector);
        this.answer(node);
        _answer(otherNode);
        assertEq(example.outputs(1), "output");
    }

    function testCannotBeAnsweredToWhatTheSignerBeforeHasSigned() public {
        vm.prank(owner);
        example.updateSigner(makeAddr("another"));
        vm.expectRevert(EIP712Coordinator.SignerMismatch.selector);
        this.answer(node);
    }

    function testCannotBeChangedByOthers() public {
        vm.expectRevert(DelegatedAllowlist.NotOwner.selector);
        example.updateSigner(address(this));
        vm.expectRevert(DelegatedAllowlist.NotOwner.selector);
        example.updateNodes(new address[](0), new bool[](0));
    }

    /// @notice A call, for what is expected to revert.
    function answer(address as_) external {
        _answer(as_);
    }

    function _answer(address as_) private {
        Subscription memory sub = _delegatedSub();
        sub.owner = address(example);
        (uint8 v, bytes32 r, bytes32 s) = _sign(KEY, 0, EXPIRY, sub);
        vm.prank(as_);
        coordinator.deliverComputeDelegatee(0, EXPIRY, sub, v, r, s, 1, "input", "output", "", NOBODY);
    }
}
