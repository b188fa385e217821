// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {StrangeToken} from "../support/StrangeToken.sol";
import {Attack} from "./Attack.sol";
import {Coordinator} from "src/Coordinator.sol";
import {Wallet} from "src/payments/Wallet.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";

/// @notice Tokens that refuse, shrink or lose on the way: no verdict may fail for it, and nobody may gain by it.
contract StrangeTokensTest is Attack {
    StrangeToken internal strange;
    address internal tokenAt;

    function setUp() public override {
        super.setUp();
        strange = new StrangeToken();
        tokenAt = address(strange);
        _fund(wallet, address(consumer));
        _fund(nodeWallet, node);
        _fund(otherWallet, otherNode);
    }

    function _fund(Wallet of_, address spender) private {
        strange.mint(address(of_), 10 * PRICE);
        _setAllowance(of_, spender, tokenAt, 10 * PRICE);
    }

    function _underVerdict() internal returns (uint32 id) {
        id = _paid(tokenAt, PRICE, address(optimistic));
        _deliver(id);
    }

    function testBlockedNodeStillLosesItsStake(bool saysFalse, bool bombs) public {
        uint32 id = _underVerdict();
        strange.setBlocked(address(nodeWallet), true);
        strange.setAnswers(saysFalse, false, bombs);
        optimistic.finalize(id, 1, node, false);
        assertEq(nodeWallet.owed(tokenAt, address(wallet)), PRICE);
        assertEq(nodeWallet.lockedBalance(tokenAt), PRICE);
        assertEq(wallet.lockedBalance(tokenAt), 0);
    }

    function testWhatIsOwedCannotBeWithdrawn() public {
        testBlockedNodeStillLosesItsStake(false, false);
        strange.setBlocked(address(nodeWallet), false);
        vm.prank(owner);
        vm.expectRevert(Wallet.InsufficientFunds.selector);
        nodeWallet.withdraw(tokenAt, 9 * PRICE + 1);
    }

    function testAnyoneClaimsWhatIsOwedOnce() public {
        testBlockedNodeStillLosesItsStake(false, false);
        strange.setBlocked(address(nodeWallet), false);
        uint256 before = strange.balanceOf(address(wallet));
        nodeWallet.claim(tokenAt, address(wallet));
        nodeWallet.claim(tokenAt, address(wallet));
        assertEq(strange.balanceOf(address(wallet)), before + PRICE);
        assertEq(nodeWallet.lockedBalance(tokenAt), 0);
    }

    function testCannotClaimWhileTheTokenRefuses() public {
        testBlockedNodeStillLosesItsStake(false, false);
        vm.expectRevert(SafeTransferLib.TransferFailed.selector);
        nodeWallet.claim(tokenAt, address(wallet));
        assertEq(nodeWallet.owed(tokenAt, address(wallet)), PRICE);
    }

    function testBlockedConsumerOwesTheNodeAndFreesItsStake() public {
        uint32 id = _underVerdict();
        strange.setBlocked(address(wallet), true);
        optimistic.finalize(id, 1, node, true);
        assertEq(wallet.owed(tokenAt, address(nodeWallet)), EARNED);
        assertEq(nodeWallet.lockedBalance(tokenAt), 0);
    }

    function testCannotDeliverFromABlockedWallet() public {
        uint32 id = _paid(tokenAt, PRICE, NOBODY);
        strange.setBlocked(address(wallet), true);
        vm.prank(node);
        vm.expectRevert(SafeTransferLib.TransferFailed.selector);
        coordinator.deliverCompute(id, 1, "", "", "", address(nodeWallet));
    }

    function testCannotPayANodeWithADebtOutOfAPrepayment() public {
        uint32 id = _openWith(_prepaid(), tokenAt, NOBODY);
        strange.setBlocked(address(wallet), true);
        vm.prank(node);
        vm.expectRevert(Coordinator.PrepaymentStuck.selector);
        coordinator.deliverCompute(id, 1, "", "", "", address(nodeWallet));
    }

    /// @dev The protocol's fee goes out, and what the node is due does not.
    function testCannotPayABlockedNodeWithADebtOutOfAPrepayment() public {
        uint32 id = _openWith(_prepaid(), tokenAt, NOBODY);
        strange.setBlocked(address(nodeWallet), true);
        vm.prank(node);
        vm.expectRevert(Coordinator.PrepaymentStuck.selector);
        coordinator.deliverCompute(id, 1, "", "", "", address(nodeWallet));
        assertEq(strange.balanceOf(feeRecipient), 0);
    }

    /// @dev A spender with a verifier and a blocked node of its own would exchange the node's dead funds for the wallet's free ones.
    function testCannotSpendBeyondTheAllowanceByAStakeThatDoesNotArrive() public {
        optimistic.setFee(tokenAt, PRICE - TAKEN);
        _setAllowance(wallet, address(consumer), tokenAt, PRICE);
        uint32 id = _openWith(_prepaid(), tokenAt, address(optimistic));
        _deliver(id);
        strange.setBlocked(address(nodeWallet), true);
        optimistic.finalize(id, 1, node, false);
        assertEq(coordinator.prepayments(id), 0);
        assertEq(wallet.unlockedBalance(tokenAt), 9 * PRICE);
    }

    function testShrunkenWalletHasNothingFree(uint256 by) public {
        by = bound(by, 9 * PRICE, 10 * PRICE);
        _underVerdict();
        strange.shrink(address(nodeWallet), by);
        assertEq(nodeWallet.unlockedBalance(tokenAt), 0);
        vm.prank(owner);
        vm.expectRevert(Wallet.InsufficientFunds.selector);
        nodeWallet.withdraw(tokenAt, 1);
    }

    function testShrunkenStakeGoesAsFarAsItReaches(uint256 by) public {
        by = bound(by, 9 * PRICE + 1, 10 * PRICE);
        uint32 id = _underVerdict();
        uint256 before = strange.balanceOf(address(wallet));
        strange.shrink(address(nodeWallet), by);
        optimistic.finalize(id, 1, node, false);
        assertEq(strange.balanceOf(address(wallet)), before + 10 * PRICE - by);
        assertEq(nodeWallet.owed(tokenAt, address(wallet)), by - 9 * PRICE);
        strange.mint(address(nodeWallet), by);
        nodeWallet.claim(tokenAt, address(wallet));
        assertEq(strange.balanceOf(address(wallet)), before + PRICE);
    }

    function testShrunkenConsumerCannotStopTheVerdict() public {
        uint32 id = _underVerdict();
        strange.shrink(address(wallet), 9.5 ether);
        optimistic.finalize(id, 1, node, true);
        assertEq(nodeWallet.lockedBalance(tokenAt), 0);
        assertGt(wallet.owed(tokenAt, address(nodeWallet)), 0);
    }

    function testTokenThatLosesOnTheWaySettles(uint256 lost, bool valid) public {
        strange.setLost(bound(lost, 1, 10_000));
        uint32 id = _underVerdict();
        optimistic.finalize(id, 1, node, valid);
        assertEq(nodeWallet.lockedBalance(tokenAt), 0);
        assertEq(wallet.lockedBalance(tokenAt), 0);
    }

    function testTokenThatSaysNothingSettles() public {
        strange.setAnswers(false, true, false);
        uint32 id = _underVerdict();
        optimistic.finalize(id, 1, node, true);
        assertEq(strange.balanceOf(address(nodeWallet)), 10 * PRICE + EARNED);
        assertEq(wallet.owed(tokenAt, address(nodeWallet)), 0);
        assertEq(wallet.lockedBalance(tokenAt), 0);
    }

    function testNothingIsSentToNobody() public {
        vm.prank(feeRecipient);
        fee.renounceOwnership();
        _deliver(_paid(tokenAt, PRICE, NOBODY));
        assertEq(strange.balanceOf(address(nodeWallet)), 11 * PRICE);
    }

    function testNothingIsSentWhereNothingIsDue() public {
        vm.prank(feeRecipient);
        fee.updateFee(0);
        uint32 id = _underVerdict();
        optimistic.finalize(id, 1, node, true);
        assertEq(strange.zeroTransfers(), 0);
    }

    function testTokenWithoutCodeCannotPay() public {
        uint32 id = _paid(makeAddr("no token"), PRICE, NOBODY);
        _setAllowance(wallet, address(consumer), makeAddr("no token"), PRICE);
        vm.prank(node);
        vm.expectRevert(SafeTransferLib.TransferFailed.selector);
        coordinator.deliverCompute(id, 1, "", "", "", address(nodeWallet));
    }
}
