// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";

/// @notice Payments where nobody judges, to the unit.
contract PaymentsTest is Setup {
    function _setFee(uint16 amount) private {
        vm.prank(feeRecipient);
        fee.updateFee(amount);
    }

    function testPaysEtherLessTwiceTheFee() public {
        _deliver(_paid(ETH, 1 ether, NOBODY));
        assertEq(feeRecipient.balance, 0.1022 ether);
        assertEq(address(nodeWallet).balance, FUNDS + 0.8978 ether);
        assertEq(address(wallet).balance, FUNDS - 1 ether);
        assertEq(wallet.allowance(address(consumer), ETH), FUNDS - 1 ether);
    }

    function testPaysTokensLessTwiceTheFee() public {
        _deliver(_paid(address(token), 50e6, NOBODY));
        assertEq(token.balanceOf(feeRecipient), 5_110_000);
        assertEq(token.balanceOf(address(nodeWallet)), FUNDS + 44_890_000);
        assertEq(token.balanceOf(address(wallet)), FUNDS - 50e6);
        assertEq(wallet.allowance(address(consumer), address(token)), FUNDS - 50e6);
    }

    function testPaysAllToTheNodeWithoutAFee() public {
        _setFee(0);
        _deliver(_paid(ETH, 1 ether, NOBODY));
        assertEq(feeRecipient.balance, 0);
        assertEq(address(nodeWallet).balance, FUNDS + 1 ether);
        assertEq(wallet.allowance(address(consumer), ETH), FUNDS - 1 ether);
    }

    function testPaysNothingToTheNodeAtTheHighestFee() public {
        _setFee(5000);
        uint32 id = _paid(ETH, 1 ether, NOBODY);
        _deliver(id);
        assertEq(feeRecipient.balance, 1 ether);
        assertEq(address(nodeWallet).balance, FUNDS);
        assertEq(_count(id, 1), 1);
    }

    /// @dev Amounts that a wallet's slot has room for, and larger ones.
    function testFeeIsRoundedDown(uint256 amount, uint16 fee_) public {
        amount = bound(amount, 1, 1 << 200);
        fee_ = uint16(bound(fee_, 0, 5000));
        _setFee(fee_);
        token.mint(address(wallet), amount);
        vm.prank(owner);
        wallet.approve(address(consumer), address(token), amount);
        _deliver(_paid(address(token), amount, NOBODY));
        uint256 taken = amount * 2 * fee_ / 10_000;
        assertEq(token.balanceOf(feeRecipient), taken);
        assertEq(token.balanceOf(address(nodeWallet)), FUNDS + amount - taken);
        assertEq(token.balanceOf(address(wallet)), FUNDS);
        assertEq(wallet.allowance(address(consumer), address(token)), 0);
    }

    function testPaysEachNode() public {
        uint32 id = consumer.create("container", 1, 0, 2, false, ETH, 1 ether, address(wallet), NOBODY);
        _deliver(id);
        _deliver(id, otherNode, address(otherWallet));
        assertEq(address(nodeWallet).balance, FUNDS + 0.8978 ether);
        assertEq(address(otherWallet).balance, FUNDS + 0.8978 ether);
        assertEq(feeRecipient.balance, 0.2044 ether);
    }

    function testPaysEachInterval() public {
        uint32 id = consumer.create("container", 2, 60, 1, false, address(token), 50e6, address(wallet), NOBODY);
        for (uint32 interval = 1; interval <= 2; interval++) {
            skip(60);
            vm.prank(node);
            coordinator.deliverCompute(id, interval, "", "", "", address(nodeWallet));
        }
        assertEq(token.balanceOf(address(nodeWallet)), FUNDS + 2 * 44_890_000);
        assertEq(wallet.allowance(address(consumer), address(token)), FUNDS - 100e6);
    }

    function testPaysLazyAnswersAlike() public {
        uint32 id = consumer.create("container", 1, 0, 1, true, ETH, 1 ether, address(wallet), NOBODY);
        _deliver(id);
        assertEq(address(nodeWallet).balance, FUNDS + 0.8978 ether);
    }

    function testPaysIntoAnyWalletOfTheFactory() public {
        _deliver(_paid(ETH, 1 ether, NOBODY), node, address(otherWallet));
        assertEq(address(otherWallet).balance, FUNDS + 0.8978 ether);
    }

    function testPaysIntoTheWalletThatPays() public {
        _deliver(_paid(ETH, 1 ether, NOBODY), node, address(wallet));
        assertEq(address(wallet).balance, FUNDS - 0.1022 ether);
        assertEq(wallet.allowance(address(consumer), ETH), FUNDS - 1 ether);
    }

    function testLooksAtNothingUnpaid() public {
        uint32 id = consumer.create("container", 1, 0, 1, false, owner, 0, owner, owner);
        _deliver(id, node, NOBODY);
        assertEq(consumer.answers(), 1);
    }

    function testSpendsInTheNameOfTheOwner() public {
        // Another consumer names the same wallet, and was not approved.
        uint32 id = coordinator.createSubscription("", 1, 0, 1, false, ETH, 1 ether, address(wallet), NOBODY);
        vm.expectRevert(abi.encodeWithSignature("InsufficientAllowance()"));
        _deliver(id);
    }
}
