// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {Wallet} from "src/payments/Wallet.sol";
import {Coordinated} from "src/utility/Coordinated.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";

/// @notice What a wallet does for the coordinator. The spender is the consumer, who may spend everything unless a test says otherwise.
contract WalletCoordinatorTest is Setup {
    address private spender;
    address private recipient = makeAddr("recipient");

    function setUp() public override {
        super.setUp();
        spender = address(consumer);
    }

    modifier asCoordinator() {
        vm.startPrank(address(coordinator));
        _;
        vm.stopPrank();
    }

    /// @dev The owner does it; the coordinator goes on.
    function _approve(address spender_, uint256 amount) private {
        vm.stopPrank();
        vm.prank(owner);
        wallet.approve(spender_, ETH, amount);
        vm.startPrank(address(coordinator));
    }

    function testCannotMoveUnlessTheCoordinator(address caller) public {
        vm.assume(caller != address(coordinator));
        vm.startPrank(caller);
        vm.expectRevert(Coordinated.NotCoordinator.selector);
        wallet.cTransfer(spender, ETH, caller, 1);
        vm.expectRevert(Coordinated.NotCoordinator.selector);
        wallet.cLock(spender, ETH, 1);
        vm.expectRevert(Coordinated.NotCoordinator.selector);
        wallet.cUnlock(spender, ETH, 1);
    }

    function testTransferSendsOutOfTheAllowance(uint256 amount) public asCoordinator {
        amount = bound(amount, 0, FUNDS);
        wallet.cTransfer(spender, ETH, recipient, amount);
        wallet.cTransfer(spender, address(token), recipient, amount);
        assertEq(recipient.balance, amount);
        assertEq(token.balanceOf(recipient), amount);
        assertEq(wallet.allowance(spender, ETH), FUNDS - amount);
        assertEq(wallet.allowance(spender, address(token)), FUNDS - amount);
    }

    function testTransferIsTold() public asCoordinator {
        vm.expectEmit(address(wallet));
        emit Wallet.Transfer(spender, address(token), recipient, 5);
        wallet.cTransfer(spender, address(token), recipient, 5);
    }

    function testTransferOfNothingIsTold() public asCoordinator {
        vm.expectEmit(address(wallet));
        emit Wallet.Transfer(node, ETH, recipient, 0);
        wallet.cTransfer(node, ETH, recipient, 0);
    }

    function testCannotTransferBeyondTheAllowance() public asCoordinator {
        _approve(spender, 4);
        vm.expectRevert(Wallet.InsufficientAllowance.selector);
        wallet.cTransfer(spender, ETH, recipient, 5);
    }

    function testTransferAsksForAllowanceBeforeFunds() public asCoordinator {
        _approve(spender, FUNDS);
        vm.expectRevert(Wallet.InsufficientAllowance.selector);
        wallet.cTransfer(spender, ETH, recipient, FUNDS + 1);
    }

    function testCannotTransferEtherThatIsNotThere() public asCoordinator {
        _approve(spender, FUNDS + 1);
        vm.expectRevert(SafeTransferLib.ETHTransferFailed.selector);
        wallet.cTransfer(spender, ETH, recipient, FUNDS + 1);
    }

    function testEndlessAllowanceIsSpentToo() public asCoordinator {
        _approve(spender, type(uint256).max);
        wallet.cTransfer(spender, ETH, recipient, 5);
        assertEq(wallet.allowance(spender, ETH), type(uint256).max - 5);
    }

    function testLockTakesOffAllowanceAndFreeFunds(uint256 amount) public asCoordinator {
        amount = bound(amount, 0, FUNDS);
        wallet.cLock(spender, ETH, amount);
        assertEq(wallet.allowance(spender, ETH), FUNDS - amount);
        assertEq(wallet.unlockedBalance(ETH), FUNDS - amount);
        assertEq(address(wallet).balance, FUNDS);
    }

    function testLockIsTold() public asCoordinator {
        vm.expectEmit(address(wallet));
        emit Wallet.Escrow(spender, ETH, 5, true);
        wallet.cLock(spender, ETH, 5);
    }

    function testCannotLockBeyondTheFunds() public asCoordinator {
        _approve(spender, FUNDS + 1);
        vm.expectRevert(Wallet.InsufficientFunds.selector);
        wallet.cLock(spender, ETH, FUNDS + 1);
    }

    function testCannotLockTwice() public asCoordinator {
        _approve(spender, 2 * FUNDS);
        wallet.cLock(spender, ETH, FUNDS);
        vm.expectRevert(Wallet.InsufficientFunds.selector);
        wallet.cLock(spender, ETH, 1);
    }

    function testCannotLockBeyondTheAllowance() public asCoordinator {
        _approve(spender, 4);
        vm.expectRevert(Wallet.InsufficientAllowance.selector);
        wallet.cLock(spender, ETH, 5);
    }

    function testLockAsksForFundsBeforeAllowance() public asCoordinator {
        _approve(spender, 0);
        vm.expectRevert(Wallet.InsufficientFunds.selector);
        wallet.cLock(spender, ETH, FUNDS + 1);
    }

    function testUnlockGivesBackAllowanceAndFunds(uint256 amount) public asCoordinator {
        amount = bound(amount, 0, 10 ether);
        wallet.cLock(spender, ETH, 10 ether);
        wallet.cUnlock(spender, ETH, amount);
        assertEq(wallet.allowance(spender, ETH), FUNDS - 10 ether + amount);
        assertEq(wallet.unlockedBalance(ETH), FUNDS - 10 ether + amount);
    }

    function testUnlockIsTold() public asCoordinator {
        wallet.cLock(spender, ETH, 5);
        vm.expectEmit(address(wallet));
        emit Wallet.Escrow(spender, ETH, 5, false);
        wallet.cUnlock(spender, ETH, 5);
    }

    function testCannotUnlockMoreThanIsLocked() public asCoordinator {
        wallet.cLock(spender, ETH, 5);
        vm.expectRevert(Wallet.InsufficientFunds.selector);
        wallet.cUnlock(spender, ETH, 6);
    }

    function testLocksAreByToken() public asCoordinator {
        wallet.cLock(spender, ETH, 5);
        vm.expectRevert(Wallet.InsufficientFunds.selector);
        wallet.cUnlock(spender, address(token), 1);
    }

    function testSpendersShareTheFundsButNotTheAllowance() public asCoordinator {
        _approve(node, FUNDS);
        wallet.cLock(spender, ETH, FUNDS);
        assertEq(wallet.allowance(node, ETH), FUNDS);
        vm.expectRevert(Wallet.InsufficientFunds.selector);
        wallet.cLock(node, ETH, 1);
    }

    /// @dev The first deployments did not look (D3): whoever was approved twice over could spend what was locked.
    function testCannotTransferWhatIsLocked() public asCoordinator {
        _approve(spender, 2 * FUNDS);
        wallet.cLock(spender, ETH, FUNDS);
        vm.expectRevert(Wallet.InsufficientFunds.selector);
        wallet.cTransfer(spender, ETH, recipient, 1);
    }

    /// @dev The first deployments panicked (D1, D2).
    function testUnlockStopsAtTheHighestAllowance() public asCoordinator {
        wallet.cLock(spender, ETH, 5);
        _approve(spender, type(uint256).max);
        wallet.cUnlock(spender, ETH, 5);
        assertEq(wallet.allowance(spender, ETH), type(uint256).max);
    }
}
