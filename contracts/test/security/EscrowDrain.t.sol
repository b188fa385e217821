// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {EmptyConsumer} from "../support/Consumers.sol";
import {Attack} from "./Attack.sol";
import {Wallet} from "src/payments/Wallet.sol";

/// @notice The owner of a wallet with locked funds pays them out to himself, through a subscription of his own that his own node answers.
contract EscrowDrainTest is Attack {
    address internal immutable accomplice = makeAddr("accomplice");

    EmptyConsumer internal dummy;
    Wallet internal loot;
    uint32 internal id;

    function setUp() public override {
        super.setUp();
        dummy = new EmptyConsumer(address(registry));
        loot = Wallet(payable(factory.createWallet(owner)));
    }

    /// @dev Leaves just what the escrow holds.
    function _lockEverything(address token_) internal {
        id = _paid(token_, PRICE, address(optimistic));
        _deliver(id);
        _withdraw(nodeWallet, token_, FUNDS - PRICE);
        _withdraw(wallet, token_, FUNDS - PRICE);
    }

    function _cannotPayFrom(Wallet from, address token_, uint256 amount) internal {
        _setAllowance(from, address(dummy), token_, type(uint256).max);
        uint32 fake = dummy.create("container", 1, 0, 1, false, token_, amount, address(from), NOBODY);
        vm.prank(accomplice);
        vm.expectRevert(Wallet.InsufficientFunds.selector);
        coordinator.deliverCompute(fake, 1, "", "", "", address(loot));
    }

    function testCannotDrainAStakeInEth() public {
        _lockEverything(ETH);
        _cannotPayFrom(nodeWallet, ETH, PRICE);
        optimistic.finalize(id, 1, node, false);
        assertEq(address(nodeWallet).balance, 0);
        assertEq(address(wallet).balance, PRICE - TAKEN + PRICE);
    }

    function testCannotDrainAStakeInTokens() public {
        _lockEverything(address(token));
        _cannotPayFrom(nodeWallet, address(token), PRICE);
        optimistic.finalize(id, 1, node, false);
        assertEq(token.balanceOf(address(wallet)), PRICE - TAKEN + PRICE);
    }

    function testCannotDrainWhatTheNodeWaitsFor() public {
        _lockEverything(ETH);
        _cannotPayFrom(wallet, ETH, EARNED);
        optimistic.finalize(id, 1, node, true);
        assertEq(address(nodeWallet).balance, PRICE + EARNED);
    }

    function testCannotDrainThroughAVerifiersFee() public {
        _lockEverything(ETH);
        atomic.setFee(ETH, 0.5 ether);
        _setAllowance(wallet, address(dummy), ETH, type(uint256).max);
        uint32 fake = dummy.create("container", 1, 0, 1, false, ETH, PRICE, address(wallet), address(atomic));
        vm.prank(otherNode);
        vm.expectRevert(Wallet.InsufficientFunds.selector);
        coordinator.deliverCompute(fake, 1, "", "", "", address(otherWallet));
    }

    function testCannotLockTheSameFundsTwice() public {
        _lockEverything(ETH);
        _setAllowance(wallet, address(consumer), ETH, type(uint256).max);
        vm.expectRevert(Wallet.InsufficientFunds.selector);
        consumer.open(_request(ETH, 1, NOBODY), _prepaid());
    }

    function testCannotWithdrawLockedFunds() public {
        _lockEverything(address(token));
        vm.startPrank(owner);
        vm.expectRevert(Wallet.InsufficientFunds.selector);
        nodeWallet.withdraw(address(token), 1);
        vm.expectRevert(Wallet.InsufficientFunds.selector);
        wallet.withdraw(address(token), 1);
    }

    function testCannotDrainWhatIsPrepaid() public {
        id = _openWith(_prepaid(), ETH, NOBODY);
        _withdraw(wallet, ETH, FUNDS - PRICE);
        _cannotPayFrom(wallet, ETH, 1);
        _deliver(id);
        assertEq(address(nodeWallet).balance, FUNDS + EARNED);
    }

    function testCannotStakeWhatIsStaked() public {
        _lockEverything(ETH);
        uint32 second =
            consumer.create("container", 1, 0, 2, false, ETH, PRICE, address(otherWallet), address(optimistic));
        _setAllowance(otherWallet, address(consumer), ETH, PRICE);
        vm.prank(node);
        vm.expectRevert(Wallet.InsufficientFunds.selector);
        coordinator.deliverCompute(second, 1, "", "", "", address(nodeWallet));
    }

    function testFreeFundsStaySpendableBesideLockedOnes(uint256 free) public {
        free = bound(free, 1, FUNDS - PRICE);
        id = _paid(ETH, PRICE, address(optimistic));
        _deliver(id);
        uint256 unlocked = nodeWallet.unlockedBalance(ETH);
        _withdraw(nodeWallet, ETH, unlocked - free);
        _cannotPayFrom(nodeWallet, ETH, 10 * (free + 1));
        _withdraw(nodeWallet, ETH, free);
        assertEq(address(nodeWallet).balance, PRICE);
    }
}
