// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {OptimisticVerifier} from "../support/Verifiers.sol";
import {Coordinator} from "src/Coordinator.sol";
import {ICoordinator} from "src/interface/ICoordinator.sol";
import {Wallet} from "src/payments/Wallet.sol";

/// @notice Verifiers that say so later.
contract OptimisticProofsTest is Setup {
    OptimisticVerifier private verifier;

    function setUp() public override {
        super.setUp();
        verifier = new OptimisticVerifier(coordinator);
        verifier.setFee(ETH, 0.1 ether);
        verifier.setFee(address(token), 0.1 ether);
    }

    /// @dev 1 ETH, or as much of the token, is promised, and the node has answered.
    function _delivered(address token_) private returns (uint32 id) {
        id = _paid(token_, 1 ether, address(verifier));
        _deliver(id);
    }

    function testDeliveryPaysFeesAndLocksTheRest() public {
        _delivered(ETH);
        assertEq(address(wallet).balance, FUNDS - 0.2022 ether);
        assertEq(wallet.lockedBalance(ETH), 0.7978 ether);
        assertEq(address(verifier).balance, 0.09489 ether);
        assertEq(feeRecipient.balance, 0.10731 ether);
        assertEq(address(nodeWallet).balance, FUNDS);
        assertEq(nodeWallet.lockedBalance(ETH), 1 ether);
    }

    function testDeliveryTakesOffAllowances() public {
        _delivered(ETH);
        assertEq(wallet.allowance(address(consumer), ETH), FUNDS - 1 ether);
        assertEq(nodeWallet.allowance(node, ETH), FUNDS - 1 ether);
    }

    function testConsumerIsAnsweredAtOnce() public {
        uint32 id = _delivered(ETH);
        assertEq(consumer.answers(), 1);
        assertEq(_count(id, 1), 1);
    }

    function testRequestIsNotedForAWeek() public {
        uint32 id = _delivered(ETH);
        (uint32 expiry, Wallet paidInto, uint256 escrow) =
            coordinator.proofRequests(keccak256(abi.encode(id, uint32(1), node)));
        assertEq(expiry, block.timestamp + 604_800);
        assertEq(address(paidInto), address(nodeWallet));
        assertEq(escrow, 0.7978 ether);
    }

    function testLocksAreTold() public {
        uint32 id = _paid(ETH, 1 ether, address(verifier));
        vm.expectEmit(address(nodeWallet));
        emit Wallet.Escrow(node, ETH, 1 ether, true);
        vm.expectEmit(address(wallet));
        emit Wallet.Escrow(address(consumer), ETH, 0.7978 ether, true);
        _deliver(id);
    }

    function testValidPaysTheNode() public {
        for (uint256 i = 0; i < 2; i++) {
            address token_ = i == 0 ? ETH : address(token);
            verifier.finalize(_delivered(token_), 1, node, true);
            assertEq(_balance(token_, address(wallet)), FUNDS - 1 ether);
            assertEq(_balance(token_, address(nodeWallet)), FUNDS + 0.7978 ether);
            assertEq(wallet.lockedBalance(token_), 0);
            assertEq(nodeWallet.lockedBalance(token_), 0);
            assertEq(wallet.allowance(address(consumer), token_), FUNDS - 1 ether);
            assertEq(nodeWallet.allowance(node, token_), FUNDS);
        }
    }

    function testInvalidTakesTheStake() public {
        for (uint256 i = 0; i < 2; i++) {
            address token_ = i == 0 ? ETH : address(token);
            verifier.finalize(_delivered(token_), 1, node, false);
            assertEq(_balance(token_, address(wallet)), FUNDS + 0.7978 ether);
            assertEq(_balance(token_, address(nodeWallet)), FUNDS - 1 ether);
            assertEq(wallet.lockedBalance(token_), 0);
            assertEq(nodeWallet.lockedBalance(token_), 0);
            assertEq(wallet.allowance(address(consumer), token_), FUNDS - 0.2022 ether);
            assertEq(nodeWallet.allowance(node, token_), FUNDS - 1 ether);
        }
    }

    function testValidIsTold() public {
        uint32 id = _delivered(ETH);
        vm.expectEmit(address(nodeWallet));
        emit Wallet.Escrow(node, ETH, 1 ether, false);
        vm.expectEmit(address(wallet));
        emit Wallet.Escrow(address(consumer), ETH, 0.7978 ether, false);
        vm.expectEmit(address(wallet));
        emit Wallet.Transfer(address(consumer), ETH, address(nodeWallet), 0.7978 ether);
        vm.expectEmit(address(coordinator));
        emit ICoordinator.ProofVerified(id, 1, node, true, address(verifier), true);
        verifier.finalize(id, 1, node, true);
    }

    function testInvalidIsTold() public {
        uint32 id = _delivered(ETH);
        vm.expectEmit(address(nodeWallet));
        emit Wallet.Transfer(node, ETH, address(wallet), 1 ether);
        vm.expectEmit(address(coordinator));
        emit ICoordinator.ProofVerified(id, 1, node, true, address(verifier), false);
        verifier.finalize(id, 1, node, false);
    }

    function testCannotJudgeUnlessTheVerifier(address caller) public {
        vm.assume(caller != address(verifier));
        uint32 id = _delivered(ETH);
        vm.expectRevert(Coordinator.UnauthorizedVerifier.selector);
        vm.prank(caller);
        coordinator.finalizeProofVerification(id, 1, node, true);
    }

    function testCannotJudgeWhatWasNotAsked() public {
        uint32 id = _delivered(ETH);
        vm.expectRevert(Coordinator.ProofRequestNotFound.selector);
        verifier.finalize(id + 1, 1, node, true);
        vm.expectRevert(Coordinator.ProofRequestNotFound.selector);
        verifier.finalize(id, 2, node, true);
        vm.expectRevert(Coordinator.ProofRequestNotFound.selector);
        verifier.finalize(id, 1, otherNode, true);
    }

    function testNotFoundBeforeUnauthorized() public {
        vm.expectRevert(Coordinator.ProofRequestNotFound.selector);
        coordinator.finalizeProofVerification(1, 1, node, true);
    }

    function testCannotJudgeTwice() public {
        uint32 id = _delivered(ETH);
        verifier.finalize(id, 1, node, true);
        vm.expectRevert(Coordinator.ProofRequestNotFound.selector);
        verifier.finalize(id, 1, node, false);
    }

    function testARefusedVerdictLeavesTheRequest() public {
        uint32 id = _delivered(ETH);
        vm.expectRevert(Coordinator.UnauthorizedVerifier.selector);
        coordinator.finalizeProofVerification(id, 1, node, false);
        assertEq(nodeWallet.lockedBalance(ETH), 1 ether);
        verifier.finalize(id, 1, node, true);
        assertEq(address(nodeWallet).balance, FUNDS + 0.7978 ether);
    }

    function testCancellationDoesNotStopValid() public {
        uint32 id = _delivered(ETH);
        consumer.cancel(id);
        verifier.finalize(id, 1, node, true);
        assertEq(address(nodeWallet).balance, FUNDS + 0.7978 ether);
    }

    function testCancellationDoesNotStopInvalid() public {
        uint32 id = _delivered(ETH);
        consumer.cancel(id);
        verifier.finalize(id, 1, node, false);
        assertEq(address(nodeWallet).balance, FUNDS - 1 ether);
    }

    function testNodesAreJudgedEachByItself() public {
        uint32 id = consumer.create("container", 1, 0, 2, false, ETH, 1 ether, address(wallet), address(verifier));
        _deliver(id);
        _deliver(id, otherNode, address(otherWallet));
        verifier.finalize(id, 1, otherNode, false);
        assertEq(wallet.lockedBalance(ETH), 0.7978 ether);
        verifier.finalize(id, 1, node, true);
        assertEq(address(otherWallet).balance, FUNDS - 1 ether);
        assertEq(address(nodeWallet).balance, FUNDS + 0.7978 ether);
        assertEq(address(wallet).balance, FUNDS + 1 ether - 0.2022 ether - 1 ether);
    }

    function testSubscriptionsAreJudgedEachByItself() public {
        uint32 ether_ = _delivered(ETH);
        uint32 tokens = _delivered(address(token));
        uint32 more = _delivered(ETH);
        assertEq(nodeWallet.lockedBalance(ETH), 2 ether);
        verifier.finalize(more, 1, node, false);
        verifier.finalize(tokens, 1, node, true);
        verifier.finalize(ether_, 1, node, true);
        assertEq(address(nodeWallet).balance, FUNDS - 1 ether + 0.7978 ether);
        assertEq(token.balanceOf(address(nodeWallet)), FUNDS + 0.7978 ether);
        assertEq(nodeWallet.lockedBalance(ETH), 0);
    }
}
