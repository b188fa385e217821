// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {BlindToken, BurningRecipient, FalseToken, RefusingRecipient, SilentToken} from "../support/OddTokens.sol";
import {Setup} from "../support/Setup.sol";
import {Wallet} from "src/payments/Wallet.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";

/// @notice Tokens and recipients that are not as most are.
contract WalletTransfersTest is Setup {
    function _transfer(address token_, address to, uint256 amount) private {
        vm.prank(owner);
        wallet.approve(address(consumer), token_, amount);
        vm.prank(address(coordinator));
        wallet.cTransfer(address(consumer), token_, to, amount);
    }

    function testEtherArrivesWhereItIsRefused() public {
        address refusing = address(new RefusingRecipient());
        _transfer(ETH, refusing, 1 ether);
        assertEq(refusing.balance, 1 ether);
    }

    function testEtherArrivesWhereItsGasIsBurnt() public {
        address burning = address(new BurningRecipient());
        uint256 before = gasleft();
        _transfer(ETH, burning, 1 ether);
        assertEq(burning.balance, 1 ether);
        assertLt(before - gasleft(), 400_000);
    }

    function testOwnerThatRefusesEtherCanWithdraw() public {
        address refusing = address(new RefusingRecipient());
        Wallet its = Wallet(payable(factory.createWallet(refusing)));
        vm.deal(address(its), 1 ether);
        vm.prank(refusing);
        its.withdraw(ETH, 1 ether);
        assertEq(refusing.balance, 1 ether);
    }

    function testTokenMayBeSilent() public {
        SilentToken silent = new SilentToken();
        silent.mint(address(wallet), 10);
        _transfer(address(silent), node, 4);
        assertEq(silent.balanceOf(node), 4);
        vm.prank(owner);
        wallet.withdraw(address(silent), 6);
        assertEq(silent.balanceOf(owner), 6);
    }

    function testCannotTransferWhereTheTokenSaysFalse() public {
        FalseToken falseToken = new FalseToken();
        falseToken.mint(address(wallet), 10);
        vm.prank(owner);
        wallet.approve(address(consumer), address(falseToken), 4);
        vm.expectRevert(SafeTransferLib.TransferFailed.selector);
        vm.prank(address(coordinator));
        wallet.cTransfer(address(consumer), address(falseToken), node, 4);
    }

    function testCannotWithdrawWhereTheTokenSaysFalse() public {
        FalseToken falseToken = new FalseToken();
        falseToken.mint(address(wallet), 10);
        vm.expectRevert(SafeTransferLib.TransferFailed.selector);
        vm.prank(owner);
        wallet.withdraw(address(falseToken), 4);
    }

    function testCannotTransferTokensThatAreNotThere() public {
        vm.prank(owner);
        wallet.approve(address(consumer), address(token), FUNDS + 1);
        vm.expectRevert(SafeTransferLib.TransferFailed.selector);
        vm.prank(address(coordinator));
        wallet.cTransfer(address(consumer), address(token), node, FUNDS + 1);
    }

    function testCannotTransferATokenWithoutCode() public {
        address none = makeAddr("no token");
        vm.prank(owner);
        wallet.approve(address(consumer), none, 1);
        vm.expectRevert(SafeTransferLib.TransferFailed.selector);
        vm.prank(address(coordinator));
        wallet.cTransfer(address(consumer), none, node, 1);
    }

    function testBlindTokenCountsAsNone() public {
        BlindToken blind = new BlindToken();
        blind.mint(address(wallet), 10);
        vm.expectRevert(Wallet.InsufficientFunds.selector);
        vm.prank(owner);
        wallet.withdraw(address(blind), 1);
    }

    function testCannotLockABlindToken() public {
        BlindToken blind = new BlindToken();
        blind.mint(address(wallet), 10);
        vm.prank(owner);
        wallet.approve(address(consumer), address(blind), 10);
        vm.expectRevert(Wallet.InsufficientFunds.selector);
        vm.prank(address(coordinator));
        wallet.cLock(address(consumer), address(blind), 1);
    }

    function testBlindTokenCanBeTransferred() public {
        BlindToken blind = new BlindToken();
        blind.mint(address(wallet), 10);
        vm.expectCall(address(blind), abi.encodeCall(blind.transfer, (node, 4)));
        _transfer(address(blind), node, 4);
    }
}
