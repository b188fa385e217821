// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {OptimisticVerifier} from "../support/Verifiers.sol";
import {Coordinator} from "src/Coordinator.sol";
import {ICoordinator} from "src/interface/ICoordinator.sol";
import {stdError} from "forge-std/StdError.sol";

/// @notice Verifiers that do not say so within their week. From the second of the expiry on it is over.
contract ProofExpiryTest is Setup {
    OptimisticVerifier private verifier;
    uint32 private id;
    uint256 private expiry;

    function setUp() public override {
        super.setUp();
        verifier = new OptimisticVerifier(coordinator);
        verifier.setFee(ETH, 0.1 ether);
        id = _paid(ETH, 1 ether, address(verifier));
        _deliver(id);
        expiry = vm.getBlockTimestamp() + 604_800;
    }

    function _assertPaid() private view {
        assertEq(address(wallet).balance, FUNDS - 1 ether);
        assertEq(address(nodeWallet).balance, FUNDS + 0.7978 ether);
        assertEq(wallet.lockedBalance(ETH), 0);
        assertEq(nodeWallet.lockedBalance(ETH), 0);
        assertEq(wallet.allowance(address(consumer), ETH), FUNDS - 1 ether);
        assertEq(nodeWallet.allowance(node, ETH), FUNDS);
    }

    function testVerifierJudgesUntilTheLastSecond() public {
        vm.warp(expiry - 1);
        verifier.finalize(id, 1, node, false);
        assertEq(address(nodeWallet).balance, FUNDS - 1 ether);
    }

    function testCannotBeClosedByOthersInTheLastSecond() public {
        vm.warp(expiry - 1);
        vm.expectRevert(Coordinator.UnauthorizedVerifier.selector);
        coordinator.finalizeProofVerification(id, 1, node, true);
    }

    function testAnyoneClosesItAtTheExpiry(address caller) public {
        vm.warp(expiry);
        vm.prank(caller);
        coordinator.finalizeProofVerification(id, 1, node, true);
        _assertPaid();
    }

    function testWhatIsSaidLaterDoesNotCount() public {
        vm.warp(expiry);
        coordinator.finalizeProofVerification(id, 1, node, false);
        _assertPaid();
    }

    function testVerifierIsTooLateAtTheExpiry() public {
        vm.warp(expiry);
        verifier.finalize(id, 1, node, false);
        _assertPaid();
    }

    function testIsToldAsItWasSaid() public {
        vm.warp(expiry);
        vm.expectEmit(address(coordinator));
        emit ICoordinator.ProofVerified(id, 1, node, false, otherNode, false);
        vm.prank(otherNode);
        coordinator.finalizeProofVerification(id, 1, node, false);
    }

    function testNeverRunsOut() public {
        vm.warp(expiry + 10 * 365 days);
        coordinator.finalizeProofVerification(id, 1, node, true);
        _assertPaid();
    }

    function testCannotBeClosedTwice() public {
        vm.warp(expiry);
        coordinator.finalizeProofVerification(id, 1, node, true);
        vm.expectRevert(Coordinator.ProofRequestNotFound.selector);
        coordinator.finalizeProofVerification(id, 1, node, true);
    }

    function testCancellationDoesNotStopIt() public {
        consumer.cancel(id);
        vm.warp(expiry);
        coordinator.finalizeProofVerification(id, 1, node, false);
        _assertPaid();
    }

    function testAnswerCountsAllTheSame() public {
        vm.warp(expiry);
        coordinator.finalizeProofVerification(id, 1, node, false);
        assertEq(_count(id, 1), 1);
    }

    function testCannotExpireAfter2106() public {
        vm.warp(type(uint32).max - uint256(604_799));
        uint32 late = _paid(ETH, 1 ether, address(verifier));
        vm.expectRevert(stdError.arithmeticError);
        _deliver(late);
    }
}
