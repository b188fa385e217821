// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {Registry} from "src/Registry.sol";
import {Wallet} from "src/payments/Wallet.sol";
import {Ownable} from "solady/auth/Ownable.sol";

/// @notice What a wallet does for its owner.
contract WalletOwnerTest is Setup {
    function _lock(address token_, uint256 amount) private {
        vm.prank(address(coordinator));
        wallet.cLock(address(consumer), token_, amount);
    }

    function testTakesEtherInSilence() public {
        vm.deal(address(this), 1 ether);
        vm.recordLogs();
        (bool success,) = address(wallet).call{value: 1 ether}("");
        assertTrue(success);
        assertEq(address(wallet).balance, FUNDS + 1 ether);
        assertEq(vm.getRecordedLogs().length, 0);
    }

    function testOwnerWithdrawsEther(uint256 amount) public {
        amount = bound(amount, 0, FUNDS);
        vm.prank(owner);
        wallet.withdraw(ETH, amount);
        assertEq(owner.balance, amount);
        assertEq(address(wallet).balance, FUNDS - amount);
    }

    function testOwnerWithdrawsTokens(uint256 amount) public {
        amount = bound(amount, 0, FUNDS);
        vm.prank(owner);
        wallet.withdraw(address(token), amount);
        assertEq(token.balanceOf(owner), amount);
    }

    function testTellsOfWithdrawals() public {
        vm.expectEmit(address(wallet));
        emit Wallet.Withdrawl(address(token), 5);
        vm.prank(owner);
        wallet.withdraw(address(token), 5);
    }

    function testCannotWithdrawUnlessTheOwner() public {
        vm.expectRevert(Ownable.Unauthorized.selector);
        vm.prank(address(consumer));
        wallet.withdraw(ETH, 0);
    }

    function testUnauthorizedBeforeInsufficientFunds() public {
        vm.expectRevert(Ownable.Unauthorized.selector);
        wallet.withdraw(ETH, FUNDS + 1);
    }

    function testCannotWithdrawMoreThanThereIs() public {
        vm.startPrank(owner);
        vm.expectRevert(Wallet.InsufficientFunds.selector);
        wallet.withdraw(ETH, FUNDS + 1);
        vm.expectRevert(Wallet.InsufficientFunds.selector);
        wallet.withdraw(address(token), FUNDS + 1);
    }

    function testCannotWithdrawWhatIsLocked() public {
        _lock(ETH, 10 ether);
        vm.startPrank(owner);
        vm.expectRevert(Wallet.InsufficientFunds.selector);
        wallet.withdraw(ETH, FUNDS - 10 ether + 1);
        wallet.withdraw(ETH, FUNDS - 10 ether);
        assertEq(address(wallet).balance, 10 ether);
    }

    function testLocksOfOneTokenLeaveOthersFree() public {
        _lock(ETH, FUNDS);
        vm.prank(owner);
        wallet.withdraw(address(token), FUNDS);
        assertEq(token.balanceOf(owner), FUNDS);
    }

    function testApprovalSetsAndDoesNotAdd(uint256 first, uint256 second) public {
        vm.startPrank(owner);
        wallet.approve(node, ETH, first);
        assertEq(wallet.allowance(node, ETH), first);
        wallet.approve(node, ETH, second);
        assertEq(wallet.allowance(node, ETH), second);
    }

    function testApprovalIsForOneTokenAndSpender() public {
        vm.prank(owner);
        wallet.approve(node, ETH, 5);
        assertEq(wallet.allowance(node, address(token)), 0);
        assertEq(wallet.allowance(otherNode, ETH), 0);
    }

    function testTellsOfApprovals() public {
        vm.expectEmit(address(wallet));
        emit Wallet.Approval(node, address(token), 5);
        vm.prank(owner);
        wallet.approve(node, address(token), 5);
    }

    function testCannotApproveUnlessTheOwner() public {
        vm.expectRevert(Ownable.Unauthorized.selector);
        vm.prank(address(coordinator));
        wallet.approve(node, ETH, 1);
    }

    function testNeedsNoFundsToApprove() public {
        Wallet empty = Wallet(payable(factory.createWallet(owner)));
        vm.prank(owner);
        empty.approve(node, ETH, type(uint256).max);
        assertEq(empty.allowance(node, ETH), type(uint256).max);
    }

    function testCanBeMadeWithoutTheFactory() public {
        Wallet own = new Wallet(registry, node);
        assertEq(own.owner(), node);
        assertFalse(factory.isValidWallet(address(own)));
        vm.prank(node);
        own.approve(otherNode, ETH, 5);
        vm.deal(address(own), 5);
        vm.prank(address(coordinator));
        own.cTransfer(otherNode, ETH, node, 5);
        assertEq(node.balance, 5);
    }

    function testNeedsOnlyTheCoordinatorOfTheRegistry() public {
        Wallet own = new Wallet(new Registry(address(this), NOBODY, NOBODY, NOBODY, NOBODY), owner);
        own.cTransfer(node, ETH, owner, 0);
        assertEq(own.owner(), owner);
    }

    function testMayHaveNoOwner() public {
        assertEq(new Wallet(registry, NOBODY).owner(), NOBODY);
        assertEq(Wallet(payable(factory.createWallet(NOBODY))).owner(), NOBODY);
    }
}
