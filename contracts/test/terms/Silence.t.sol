// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {OptimisticVerifier} from "../support/Verifiers.sol";
import {Coordinator} from "src/Coordinator.sol";
import {ICoordinator, Terms} from "src/interface/ICoordinator.sol";

/// @notice A verifier that says nothing for a week.
contract SilenceTest is Setup {
    uint256 private constant EXPIRY = 1_750_000_000 + 1 weeks;

    OptimisticVerifier private verifier;

    function setUp() public override {
        super.setUp();
        verifier = new OptimisticVerifier(coordinator);
    }

    function testPaysTheNodeUnlessTermsSayOtherwise() public {
        uint32 id = _delivered(_noTerms());
        _expire(id);
        assertEq(address(nodeWallet).balance, FUNDS + 0.8978 ether);
        assertEq(wallet.allowance(address(consumer), ETH), FUNDS - 1 ether);
    }

    function testGivesBothBackWhatIsTheirs() public {
        uint32 id = _delivered(_refund());
        _expire(id);
        assertEq(address(nodeWallet).balance, FUNDS);
        assertEq(nodeWallet.lockedBalance(ETH), 0);
        assertEq(nodeWallet.allowance(node, ETH), FUNDS);
        assertEq(address(wallet).balance, FUNDS - 0.1022 ether);
        assertEq(wallet.lockedBalance(ETH), 0);
        assertEq(wallet.allowance(address(consumer), ETH), FUNDS - 0.1022 ether);
    }

    function testCountsTheAnswerAllTheSame() public {
        uint32 id = _delivered(_refund());
        _expire(id);
        assertEq(_count(id, 1), 1);
        assertTrue(_responded(id, 1, node));
    }

    function testCountsNoVerdictThatIsLate() public {
        uint32 id = _delivered(_refund());
        vm.warp(EXPIRY);
        verifier.finalize(id, 1, node, false);
        assertEq(address(nodeWallet).balance, FUNDS);
        assertEq(nodeWallet.lockedBalance(ETH), 0);
    }

    function testTellsThatItWasLate() public {
        uint32 id = _delivered(_refund());
        vm.warp(EXPIRY);
        vm.expectEmit(address(coordinator));
        emit ICoordinator.ProofVerified(id, 1, node, false, address(this), true);
        coordinator.finalizeProofVerification(id, 1, node, true);
    }

    function testCannotBreakTheSilenceForTheVerifier() public {
        uint32 id = _delivered(_refund());
        vm.warp(EXPIRY - 1);
        vm.expectRevert(Coordinator.UnauthorizedVerifier.selector);
        coordinator.finalizeProofVerification(id, 1, node, true);
    }

    function testPaysForAVerdictInTheLastSecond() public {
        uint32 id = _delivered(_refund());
        vm.warp(EXPIRY - 1);
        verifier.finalize(id, 1, node, true);
        assertEq(address(nodeWallet).balance, FUNDS + 0.8978 ether);
    }

    function testSlashesForAVerdictInTheLastSecond() public {
        uint32 id = _delivered(_refund());
        vm.warp(EXPIRY - 1);
        verifier.finalize(id, 1, node, false);
        assertEq(address(nodeWallet).balance, FUNDS - 1 ether);
    }

    function testGivesBackWhatWasPrepaid() public {
        Terms memory terms = _refund();
        (terms.prepaid, terms.expiresAt) = (true, type(uint32).max);
        uint32 id = _delivered(terms);
        _expire(id);
        assertEq(coordinator.prepayments(id), 0);
        assertEq(wallet.lockedBalance(ETH), 0);
        assertEq(wallet.allowance(address(consumer), ETH), FUNDS - 0.1022 ether);
    }

    function testCannotEndTheSilenceTwice() public {
        uint32 id = _delivered(_refund());
        _expire(id);
        vm.expectRevert(Coordinator.ProofRequestNotFound.selector);
        coordinator.finalizeProofVerification(id, 1, node, true);
    }

    function _refund() private pure returns (Terms memory terms) {
        terms.refundOnSilence = true;
    }

    function _delivered(Terms memory terms) private returns (uint32 id) {
        id = consumer.open(_request(ETH, 1 ether, address(verifier)), terms);
        _deliver(id);
    }

    function _expire(uint32 id) private {
        vm.warp(EXPIRY);
        vm.prank(makeAddr("anyone"));
        coordinator.finalizeProofVerification(id, 1, node, true);
    }
}
