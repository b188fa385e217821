// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {Coordinator} from "src/Coordinator.sol";
import {Answer, Bounds, Call, ICoordinator, Terms} from "src/interface/ICoordinator.sol";

/// @notice Answers that nobody can copy, since they were committed to before they are told.
contract CommittedTest is Setup {
    bytes32 private constant SALT = "salt";

    uint32 private id;

    function setUp() public override {
        super.setUp();
        id = _open();
        vm.roll(100);
    }

    function testRevealsInALaterBlock() public {
        _commit(_answer(id));
        vm.roll(101);
        _reveal(_answer(id), SALT);
        assertEq(consumer.last().output, "output");
        assertEq(consumer.last().node, node);
        assertEq(address(nodeWallet).balance, FUNDS + 0.8978 ether);
    }

    function testCannotDeliverWithoutCommitment() public {
        vm.expectRevert(Coordinator.CommitmentRequired.selector);
        _deliver(id);
    }

    function testCannotDeliverBoundedWithoutCommitment() public {
        vm.expectRevert(Coordinator.CommitmentRequired.selector);
        vm.prank(node);
        coordinator.deliverComputeBounded(_answer(id), _anyBounds());
    }

    function testCannotRevealInTheSameBlock() public {
        _commit(_answer(id));
        _expectRevealRefused(node, _answer(id), SALT);
    }

    function testCannotRevealWithoutCommitment() public {
        _expectRevealRefused(node, _answer(id), SALT);
    }

    function testCannotRevealAnothersCommitment() public {
        _commit(_answer(id));
        vm.roll(101);
        _expectRevealRefused(otherNode, _answer(id), SALT);
    }

    function testCannotRevealAnotherAnswer() public {
        _commit(_answer(id));
        vm.roll(101);
        Answer memory answer = _answer(id);
        answer.output = "another";
        _expectRevealRefused(node, answer, SALT);
        answer = _answer(id);
        answer.input = "another";
        _expectRevealRefused(node, answer, SALT);
        answer = _answer(id);
        answer.proof = "another";
        _expectRevealRefused(node, answer, SALT);
        _expectRevealRefused(node, _answer(_open()), SALT);
        _expectRevealRefused(node, _answer(id), "pepper");
    }

    function testChoosesItsWalletWhenItReveals() public {
        _commit(_answer(id));
        vm.roll(101);
        Answer memory answer = _answer(id);
        answer.nodeWallet = address(otherWallet);
        _reveal(answer, SALT);
        assertEq(address(otherWallet).balance, FUNDS + 0.8978 ether);
    }

    function testCannotPutOffAnothersReveal() public {
        _commit(_answer(id));
        bytes32 commitment = coordinator.commitmentOf(_answer(id), node, SALT);
        vm.roll(101);
        vm.prank(otherNode);
        coordinator.commitCompute(commitment);
        assertEq(coordinator.commitments(commitment), 100);
        _reveal(_answer(id), SALT);
        assertEq(consumer.answers(), 1);
    }

    function testUsesCommitmentsUp() public {
        _commit(_answer(id));
        vm.roll(101);
        _reveal(_answer(id), SALT);
        assertEq(coordinator.commitments(coordinator.commitmentOf(_answer(id), node, SALT)), 0);
        _expectRevealRefused(node, _answer(id), SALT);
    }

    function testKeepsTheCommitmentWhenTheDeliveryFails() public {
        _commit(_answer(id));
        vm.roll(101);
        Answer memory answer = _answer(id);
        answer.nodeWallet = makeAddr("no wallet");
        vm.expectRevert(Coordinator.InvalidWallet.selector);
        _reveal(answer, SALT);
        _reveal(_answer(id), SALT);
        assertEq(consumer.answers(), 1);
    }

    function testRevealsWhatNeedsNoCommitment() public {
        uint32 other = _callback(1);
        _commit(_answer(other));
        vm.roll(101);
        _reveal(_answer(other), SALT);
        assertEq(consumer.answers(), 1);
    }

    function testCannotRevealOutsideItsBounds() public {
        _commit(_answer(id));
        vm.roll(101);
        Bounds memory bounds = _anyBounds();
        bounds.minPayout = 0.8978 ether + 1;
        vm.expectRevert(Coordinator.PayoutTooLow.selector);
        vm.prank(node);
        coordinator.revealCompute(_answer(id), bounds, SALT);
    }

    function testRevealsForOneDeliveryOnly() public {
        uint32 other = _open();
        _commit(_answer(id));
        vm.roll(101);
        Call[] memory calls = new Call[](2);
        calls[0].data = abi.encodeCall(ICoordinator.revealCompute, (_answer(id), _anyBounds(), SALT));
        calls[1].data = abi.encodeCall(ICoordinator.deliverComputeBounded, (_answer(other), _anyBounds()));
        vm.prank(node);
        bytes4[] memory failures = coordinator.deliverComputeBatch(calls);
        assertEq(failures[0], bytes4(0));
        assertEq(failures[1], Coordinator.CommitmentRequired.selector);
    }

    function testTellsOfCommitments() public {
        bytes32 commitment = coordinator.commitmentOf(_answer(id), node, SALT);
        vm.expectEmit(address(coordinator));
        emit ICoordinator.Committed(commitment);
        coordinator.commitCompute(commitment);
    }

    function testCommitsToEverythingOfAnAnswer(Answer memory answer, address node_, bytes32 salt) public view {
        bytes32 expected = keccak256(
            abi.encode(
                uint256(answer.subscriptionId),
                uint256(answer.interval),
                node_,
                keccak256(answer.input),
                keccak256(answer.output),
                keccak256(answer.proof),
                salt
            )
        );
        assertEq(coordinator.commitmentOf(answer, node_, salt), expected);
    }

    function _open() private returns (uint32) {
        Terms memory terms = _noTerms();
        terms.committed = true;
        return consumer.open(_request(ETH, 1 ether, NOBODY), terms);
    }

    function _answer(uint32 id_) private view returns (Answer memory) {
        return Answer(id_, 1, "input", "output", "proof", address(nodeWallet));
    }

    function _anyBounds() private pure returns (Bounds memory bounds) {}

    function _commit(Answer memory answer) private {
        bytes32 commitment = coordinator.commitmentOf(answer, node, SALT);
        vm.prank(node);
        coordinator.commitCompute(commitment);
    }

    function _reveal(Answer memory answer, bytes32 salt) private {
        vm.prank(node);
        coordinator.revealCompute(answer, _anyBounds(), salt);
    }

    function _expectRevealRefused(address as_, Answer memory answer, bytes32 salt) private {
        vm.expectRevert(Coordinator.NotCommitted.selector);
        vm.prank(as_);
        coordinator.revealCompute(answer, _anyBounds(), salt);
    }
}
