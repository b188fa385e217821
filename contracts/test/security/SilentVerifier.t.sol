// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Attack} from "./Attack.sol";
import {Coordinator} from "src/Coordinator.sol";
import {Terms} from "src/interface/ICoordinator.sol";

/// @notice A verifier that takes its fee and says nothing.
contract SilentVerifierTest is Attack {
    function _refundable() internal pure returns (Terms memory terms) {
        terms = _noTerms();
        terms.refundOnSilence = true;
    }

    function _silent(Terms memory terms) internal returns (uint32 id) {
        optimistic.setFee(ETH, 0.1 ether);
        id = _openWith(terms, ETH, address(optimistic));
        _deliver(id);
        skip(WINDOW);
    }

    function testNodeIsPaidWithoutTerms() public {
        uint32 id = _silent(_noTerms());
        coordinator.finalizeProofVerification(id, 1, node, false);
        assertEq(address(nodeWallet).balance, FUNDS + 0.7978 ether);
        assertEq(_locked(ETH), 0);
    }

    function testBothEscrowsGoBackWhereTheTermsSaySo() public {
        uint32 id = _silent(_refundable());
        coordinator.finalizeProofVerification(id, 1, node, true);
        assertEq(address(nodeWallet).balance, FUNDS);
        assertEq(address(wallet).balance, FUNDS - 0.2022 ether);
        assertEq(wallet.allowance(address(consumer), ETH), FUNDS - 0.2022 ether);
        assertEq(_locked(ETH), 0);
    }

    function testWhatIsPrepaidGoesBackAsWell() public {
        Terms memory terms = _refundable();
        (terms.prepaid, terms.expiresAt) = (true, type(uint32).max);
        uint32 id = _silent(terms);
        coordinator.finalizeProofVerification(id, 1, node, true);
        assertEq(coordinator.prepayments(id), 0);
        assertEq(_locked(ETH), 0);
        assertEq(wallet.allowance(address(consumer), ETH), FUNDS - 0.2022 ether);
    }

    function testVerdictInTimeCountsWhateverTheTerms() public {
        uint32 id = _openWith(_refundable(), ETH, address(optimistic));
        _deliver(id);
        skip(WINDOW - 1);
        optimistic.finalize(id, 1, node, true);
        assertEq(address(nodeWallet).balance, FUNDS + EARNED);
    }

    function testVerdictCannotCountWhenTimeIsOver() public {
        uint32 id = _silent(_noTerms());
        optimistic.finalize(id, 1, node, false);
        assertEq(address(nodeWallet).balance, FUNDS + 0.7978 ether);
    }

    function testStrangersCannotCloseInTime(address stranger) public {
        vm.assume(stranger != address(optimistic));
        uint32 id = _paid(ETH, PRICE, address(optimistic));
        _deliver(id);
        skip(WINDOW - 1);
        vm.prank(stranger);
        vm.expectRevert(Coordinator.UnauthorizedVerifier.selector);
        coordinator.finalizeProofVerification(id, 1, node, true);
    }

    function testCannotCloseTwiceAfterSilence() public {
        uint32 id = _silent(_refundable());
        coordinator.finalizeProofVerification(id, 1, node, true);
        vm.expectRevert(Coordinator.ProofRequestNotFound.selector);
        coordinator.finalizeProofVerification(id, 1, node, true);
    }

    function testCancellingDoesNotStopASettlement() public {
        uint32 id = _paid(ETH, PRICE, address(optimistic));
        _deliver(id);
        consumer.cancel(id);
        skip(WINDOW);
        coordinator.finalizeProofVerification(id, 1, node, false);
        assertEq(address(nodeWallet).balance, FUNDS + EARNED);
    }
}
