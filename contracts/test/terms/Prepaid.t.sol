// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {PrepaidSetup} from "../support/Prepaid.sol";
import {ICoordinator, Request} from "src/interface/ICoordinator.sol";
import {Wallet} from "src/payments/Wallet.sol";

/// @notice What is paid in advance is escrowed at once, and pays for answers whatever happens to the wallet.
contract PrepaidTest is PrepaidSetup {
    function testEscrowsThePriceOfAllAnswers() public {
        uint32 id = _openPrepaid();
        _assertEscrowed(id, ETH, TOTAL, 0);
        assertEq(_allowed(ETH), FUNDS - TOTAL);
        assertEq(address(wallet).balance, FUNDS);
        assertTrue(coordinator.getTerms(id).prepaid);
    }

    function testTellsWhatWasPrepaid() public {
        vm.expectEmit(address(coordinator));
        emit ICoordinator.Prepaid(1, TOTAL);
        _openPrepaid();
    }

    function testCannotPrepayWithoutFunds() public {
        vm.prank(owner);
        wallet.withdraw(ETH, FUNDS - TOTAL + 1);
        vm.expectRevert(Wallet.InsufficientFunds.selector);
        _openPrepaid();
    }

    function testCannotPrepayWithoutAllowance() public {
        vm.prank(owner);
        wallet.approve(address(consumer), ETH, TOTAL - 1);
        vm.expectRevert(Wallet.InsufficientAllowance.selector);
        _openPrepaid();
    }

    function testCannotPrepayWithWhatIsPrepaidAlready() public {
        vm.prank(owner);
        wallet.withdraw(ETH, FUNDS - TOTAL - 1);
        _openPrepaid();
        vm.expectRevert(Wallet.InsufficientFunds.selector);
        _openPrepaid();
    }

    function testCannotPrepayMoreThanANumberHolds() public {
        Request memory request = _request(ETH, type(uint256).max / 2 + 1, NOBODY);
        request.redundancy = 2;
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 0x11));
        consumer.open(request, _prepaidTerms(type(uint32).max));
    }

    function testCannotWithdrawWhatIsPrepaid() public {
        _openPrepaid();
        vm.startPrank(owner);
        vm.expectRevert(Wallet.InsufficientFunds.selector);
        wallet.withdraw(ETH, FUNDS - TOTAL + 1);
        wallet.withdraw(ETH, FUNDS - TOTAL);
        vm.stopPrank();
    }

    function testReleasesThePriceOfEachAnswer() public {
        uint32 id = _openPrepaid();
        vm.warp(BEGIN);
        _deliver(id);
        _assertEscrowed(id, ETH, 3 ether, 0);
        assertEq(address(nodeWallet).balance, FUNDS + 0.8978 ether);
        assertEq(feeRecipient.balance, 0.1022 ether);
        assertEq(_allowed(ETH), FUNDS - TOTAL);
    }

    function testPaysInTokens() public {
        uint32 id = _openPrepaid(address(token), NOBODY, 0);
        vm.warp(BEGIN);
        _deliver(id);
        _assertEscrowed(id, address(token), 3 ether, 0);
        assertEq(token.balanceOf(address(nodeWallet)), FUNDS + 0.8978 ether);
        assertEq(token.balanceOf(feeRecipient), 0.1022 ether);
    }

    function testPaysAfterTheOwnerHasTakenAllBack() public {
        uint32 id = _openPrepaid();
        vm.startPrank(owner);
        wallet.approve(address(consumer), ETH, 0);
        wallet.withdraw(ETH, FUNDS - TOTAL);
        vm.stopPrank();
        _answerAll(id);
        _assertEscrowed(id, ETH, 0, 0);
        assertEq(address(wallet).balance, 0);
        assertEq(address(nodeWallet).balance, FUNDS + 2 * 0.8978 ether);
        assertEq(address(otherWallet).balance, FUNDS + 2 * 0.8978 ether);
    }

    function testHasNothingLeftAfterTheLastAnswer() public {
        uint32 id = _openPrepaid();
        _answerAll(id);
        _assertEscrowed(id, ETH, 0, 0);
        vm.warp(END);
        assertEq(coordinator.reclaimPrepayment(id), 0);
    }

    function testKeepsTwoApart() public {
        uint32 first = _openPrepaid();
        uint32 second = _openPrepaid();
        vm.warp(BEGIN);
        _deliver(first);
        assertEq(coordinator.prepayments(first), 3 ether);
        assertEq(coordinator.prepayments(second), 4 ether);
        assertEq(wallet.lockedBalance(ETH), 7 ether);
    }

    function testLosesNothingToRounding(uint256 amount, uint16 charged) public {
        amount = bound(amount, 1, 100 ether);
        vm.prank(feeRecipient);
        fee.updateFee(uint16(bound(charged, 0, 5000)));
        uint32 id = consumer.open(_request(address(token), amount, NOBODY), _prepaidTerms(type(uint32).max));
        _deliver(id);
        _assertEscrowed(id, address(token), 0, 0);
        assertEq(token.balanceOf(address(wallet)), FUNDS - amount);
        assertEq(token.balanceOf(address(nodeWallet)) - FUNDS + token.balanceOf(feeRecipient), amount);
    }

    function _answerAll(uint32 id) private {
        for (uint32 interval = 1; interval <= 2; interval++) {
            vm.warp(BEGIN + (interval - 1) * 60);
            vm.prank(node);
            coordinator.deliverCompute(id, interval, "", "", "", address(nodeWallet));
            vm.prank(otherNode);
            coordinator.deliverCompute(id, interval, "", "", "", address(otherWallet));
        }
    }
}
