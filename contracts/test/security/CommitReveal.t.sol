// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Attack} from "./Attack.sol";
import {Coordinator} from "src/Coordinator.sol";
import {Answer, Terms} from "src/interface/ICoordinator.sol";

/// @notice A thief watches transactions that are under way, to deliver somebody else's output first.
contract CommitRevealTest is Attack {
    address internal immutable thief = makeAddr("thief");
    bytes32 internal constant SALT = "salt";

    uint32 internal id;

    function setUp() public override {
        super.setUp();
        Terms memory terms = _noTerms();
        terms.committed = true;
        id = _openWith(terms, ETH, NOBODY);
    }

    function _commit(address as_) internal returns (bytes32 commitment) {
        commitment = coordinator.commitmentOf(_answer(id), as_, SALT);
        vm.prank(as_);
        coordinator.commitCompute(commitment);
    }

    function _reveal(address as_, Answer memory answer, bytes32 salt) internal {
        vm.prank(as_);
        coordinator.revealCompute(answer, _noBounds(), salt);
    }

    function _cannotReveal(address as_, Answer memory answer, bytes32 salt) internal {
        vm.expectRevert(Coordinator.NotCommitted.selector);
        _reveal(as_, answer, salt);
    }

    function testNodeIsPaid() public {
        _commit(node);
        vm.roll(vm.getBlockNumber() + 1);
        _reveal(node, _answer(id), SALT);
        assertEq(address(nodeWallet).balance, FUNDS + EARNED);
    }

    function testThiefCannotRevealWithTheNodesCommitment() public {
        _commit(node);
        vm.roll(vm.getBlockNumber() + 1);
        _cannotReveal(thief, _answer(id), SALT);
    }

    function testThiefCannotCommitOnceItHasSeenTheReveal() public {
        _commit(node);
        vm.roll(vm.getBlockNumber() + 1);
        _commit(thief);
        _cannotReveal(thief, _answer(id), SALT);
        _reveal(node, _answer(id), SALT);
        assertEq(consumer.last().node, node);
    }

    function testThiefCannotDeliverWithoutCommitment() public {
        vm.prank(thief);
        vm.expectRevert(Coordinator.CommitmentRequired.selector);
        coordinator.deliverCompute(id, 1, "input", "output", "proof", address(otherWallet));
        vm.prank(thief);
        vm.expectRevert(Coordinator.CommitmentRequired.selector);
        coordinator.deliverComputeBounded(_answer(id), _noBounds());
    }

    function testThiefCannotPutTheCommitmentOffByRepeatingIt() public {
        bytes32 commitment = _commit(node);
        uint256 committedIn = coordinator.commitments(commitment);
        vm.roll(vm.getBlockNumber() + 1);
        vm.prank(thief);
        coordinator.commitCompute(commitment);
        assertEq(coordinator.commitments(commitment), committedIn);
        _reveal(node, _answer(id), SALT);
    }

    function testThiefGainsNothingByMakingTheNodesCommitmentFirst() public {
        bytes32 commitment = coordinator.commitmentOf(_answer(id), node, SALT);
        vm.prank(thief);
        coordinator.commitCompute(commitment);
        vm.roll(vm.getBlockNumber() + 1);
        _cannotReveal(thief, _answer(id), SALT);
        _reveal(node, _answer(id), SALT);
        assertEq(consumer.last().node, node);
    }

    function testNodeCannotChangeItsMind(uint8 part) public {
        _commit(node);
        vm.roll(vm.getBlockNumber() + 1);
        Answer memory answer = _answer(id);
        bytes32 salt = SALT;
        part = uint8(bound(part, 0, 5));
        if (part == 0) answer.subscriptionId++;
        if (part == 1) answer.interval++;
        if (part == 2) answer.input = "other";
        if (part == 3) answer.output = "other";
        if (part == 4) answer.proof = "other";
        if (part == 5) salt = "other";
        _cannotReveal(node, answer, salt);
    }

    function testNodeCannotShiftBytesBetweenFields() public {
        _commit(node);
        vm.roll(vm.getBlockNumber() + 1);
        Answer memory answer = _answer(id);
        (answer.input, answer.output) = ("inputo", "utput");
        _cannotReveal(node, answer, SALT);
    }

    function testCommitmentIsUsedUp() public {
        bytes32 commitment = _commit(node);
        vm.roll(vm.getBlockNumber() + 1);
        _reveal(node, _answer(id), SALT);
        assertEq(coordinator.commitments(commitment), 0);
        _cannotReveal(node, _answer(id), SALT);
    }

    function testCommitmentOutlivesARevealThatFails() public {
        bytes32 commitment = _commit(node);
        vm.roll(vm.getBlockNumber() + 1);
        Answer memory answer = _answer(id);
        answer.nodeWallet = address(0);
        vm.expectRevert(Coordinator.InvalidWallet.selector);
        _reveal(node, answer, SALT);
        assertGt(coordinator.commitments(commitment), 0);
    }

    function testRevealOfOneAnswerOpensNothingForTheNext() public {
        _commit(node);
        vm.roll(vm.getBlockNumber() + 1);
        _reveal(node, _answer(id), SALT);
        Terms memory terms = _noTerms();
        terms.committed = true;
        uint32 next = _openWith(terms, ETH, NOBODY);
        vm.prank(node);
        vm.expectRevert(Coordinator.CommitmentRequired.selector);
        coordinator.deliverCompute(next, 1, "", "", "", address(nodeWallet));
    }
}
