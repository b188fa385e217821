// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {WatchingConsumer} from "../support/OddConsumers.sol";
import {Setup} from "../support/Setup.sol";
import {AtomicVerifier} from "../support/Verifiers.sol";
import {ICoordinator} from "src/interface/ICoordinator.sol";
import {Vm} from "forge-std/Vm.sol";

/// @notice Verifiers that say so at once.
contract AtomicProofsTest is Setup {
    AtomicVerifier private verifier;

    function setUp() public override {
        super.setUp();
        verifier = new AtomicVerifier(coordinator);
        verifier.setFee(ETH, 0.1 ether);
        verifier.setFee(address(token), 5e6);
    }

    function testValidPaysTokens() public {
        _deliver(_paid(address(token), 40e6, address(verifier)));
        assertEq(token.balanceOf(address(wallet)), FUNDS - 40e6);
        assertEq(token.balanceOf(address(nodeWallet)), FUNDS + 30_912_000);
        assertEq(token.balanceOf(address(verifier)), 4_744_500);
        assertEq(token.balanceOf(feeRecipient), 4_343_500);
    }

    function testValidPaysEther() public {
        _deliver(_paid(ETH, 1 ether, address(verifier)));
        assertEq(address(wallet).balance, FUNDS - 1 ether);
        assertEq(address(nodeWallet).balance, FUNDS + 0.7978 ether);
        assertEq(address(verifier).balance, 0.09489 ether);
        assertEq(feeRecipient.balance, 0.10731 ether);
    }

    function testValidLeavesAllowances() public {
        _deliver(_paid(ETH, 1 ether, address(verifier)));
        assertEq(wallet.allowance(address(consumer), ETH), FUNDS - 1 ether);
        assertEq(nodeWallet.allowance(node, ETH), FUNDS);
        assertEq(wallet.unlockedBalance(ETH), FUNDS - 1 ether);
        assertEq(nodeWallet.unlockedBalance(ETH), FUNDS + 0.7978 ether);
    }

    function testInvalidTakesTheStake() public {
        verifier.setVerdict(false);
        _deliver(_paid(ETH, 1 ether, address(verifier)));
        assertEq(address(wallet).balance, FUNDS + 1 ether - 0.2022 ether);
        assertEq(address(nodeWallet).balance, FUNDS - 1 ether);
        assertEq(address(verifier).balance, 0.09489 ether);
        assertEq(feeRecipient.balance, 0.10731 ether);
    }

    function testInvalidTakesTokens() public {
        verifier.setVerdict(false);
        _deliver(_paid(address(token), 40e6, address(verifier)));
        assertEq(token.balanceOf(address(wallet)), FUNDS + 40e6 - 9_088_000);
        assertEq(token.balanceOf(address(nodeWallet)), FUNDS - 40e6);
    }

    function testInvalidLeavesAllowances() public {
        verifier.setVerdict(false);
        _deliver(_paid(ETH, 1 ether, address(verifier)));
        assertEq(wallet.allowance(address(consumer), ETH), FUNDS - 0.2022 ether);
        assertEq(nodeWallet.allowance(node, ETH), FUNDS - 1 ether);
        assertEq(wallet.unlockedBalance(ETH), FUNDS + 0.7978 ether);
        assertEq(nodeWallet.unlockedBalance(ETH), FUNDS - 1 ether);
    }

    function testIsTold() public {
        uint32 id = _paid(ETH, 1 ether, address(verifier));
        vm.expectEmit(address(coordinator));
        emit ICoordinator.ProofVerified(id, 1, node, true, address(verifier), true);
        _deliver(id);
    }

    function testInvalidIsTold() public {
        verifier.setVerdict(false);
        uint32 id = _paid(ETH, 1 ether, address(verifier));
        vm.expectEmit(address(coordinator));
        emit ICoordinator.ProofVerified(id, 1, node, true, address(verifier), false);
        _deliver(id);
    }

    function testVerifierIsGivenTheProof() public {
        uint32 id = _paid(ETH, 1 ether, address(verifier));
        vm.expectCall(address(verifier), abi.encodeCall(verifier.requestProofVerification, (id, 1, node, "proof")));
        _deliver(id);
    }

    function testIsSettledBeforeTheCallback() public {
        WatchingConsumer watching = new WatchingConsumer(address(registry));
        watching.watch(address(nodeWallet));
        vm.prank(owner);
        wallet.approve(address(watching), ETH, 1 ether);
        _deliver(watching.create("container", 1, 0, 1, false, ETH, 1 ether, address(wallet), address(verifier)));
        assertEq(watching.balance(), FUNDS + 0.7978 ether);
    }

    function testLeavesNoRequest() public {
        uint32 id = _paid(ETH, 1 ether, address(verifier));
        _deliver(id);
        assertEq(_expiryOfProof(id, 1, node), 0);
        assertEq(_count(id, 1), 1);
    }

    function testIsNotAskedAboutUnpaidAnswers() public {
        _deliver(consumer.create("container", 1, 0, 1, false, ETH, 0, address(wallet), address(verifier)));
        assertEq(verifier.lastProof(), "");
        assertEq(consumer.answers(), 1);
    }

    /// @dev Wherever it likes: it need not be a wallet of the factory.
    function testFeeGoesWhereTheVerifierSays() public {
        address elsewhere = makeAddr("elsewhere");
        verifier.setWallet(elsewhere);
        _deliver(_paid(ETH, 1 ether, address(verifier)));
        _deliver(_paid(address(token), 40e6, address(verifier)));
        assertEq(elsewhere.balance, 0.09489 ether);
        assertEq(token.balanceOf(elsewhere), 4_744_500);
        assertEq(address(verifier).balance, 0);
        assertEq(token.balanceOf(address(verifier)), 0);
    }

    function testMayTakeNothing() public {
        verifier.setFee(ETH, 0);
        _deliver(_paid(ETH, 1 ether, address(verifier)));
        assertEq(address(nodeWallet).balance, FUNDS + 0.8978 ether);
        assertEq(feeRecipient.balance, 0.1022 ether);
    }

    function testVerifiersFeeIsChargedRoundedDown(uint256 amount, uint256 taken, uint16 fee_) public {
        fee_ = uint16(bound(fee_, 0, 4000));
        amount = bound(amount, 10, FUNDS);
        uint256 left = amount - amount * 2 * fee_ / 10_000;
        taken = bound(taken, 0, left);
        vm.prank(feeRecipient);
        fee.updateFee(fee_);
        verifier.setFee(address(token), taken);
        _deliver(_paid(address(token), amount, address(verifier)));
        uint256 charged = taken * fee_ / 10_000;
        assertEq(token.balanceOf(feeRecipient), amount - left + charged);
        assertEq(token.balanceOf(address(verifier)), taken - charged);
        assertEq(token.balanceOf(address(nodeWallet)), FUNDS + left - taken);
        assertEq(token.balanceOf(address(wallet)), FUNDS - amount);
    }

    /// @dev Unlike the first deployments (D4), where the consumer was given what had just been found to be wrong.
    function testInvalidIsNotDelivered() public {
        verifier.setVerdict(false);
        uint32 id = _paid(ETH, 1 ether, address(verifier));
        vm.recordLogs();
        _deliver(id);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; i++) {
            assertNotEq(logs[i].topics[0], ICoordinator.SubscriptionFulfilled.selector);
        }
        assertEq(consumer.answers(), 0);
        assertEq(_count(id, 1), 0);
        assertTrue(_responded(id, 1, node));
    }
}
