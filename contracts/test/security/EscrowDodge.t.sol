// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Attack} from "./Attack.sol";

/// @notice Somebody about to lose sets the allowance to the highest number, so that giving back what was locked would overflow and no
/// verdict could be carried out.
contract EscrowDodgeTest is Attack {
    uint32 internal id;

    function setUp() public override {
        super.setUp();
        id = _paid(address(token), PRICE, address(optimistic));
        _deliver(id);
    }

    function testNodeIsSlashedDespiteHighestAllowance() public {
        _setAllowance(nodeWallet, node, address(token), type(uint256).max);
        optimistic.finalize(id, 1, node, false);
        assertEq(token.balanceOf(address(nodeWallet)), FUNDS - PRICE);
        assertEq(token.balanceOf(address(wallet)), FUNDS - TAKEN + PRICE);
        assertEq(_locked(address(token)), 0);
    }

    function testNodeGetsItsStakeBackDespiteHighestAllowance() public {
        _setAllowance(nodeWallet, node, address(token), type(uint256).max);
        optimistic.finalize(id, 1, node, true);
        assertEq(nodeWallet.allowance(node, address(token)), type(uint256).max);
        assertEq(nodeWallet.unlockedBalance(address(token)), FUNDS + EARNED);
    }

    function testConsumerPaysDespiteHighestAllowance() public {
        _setAllowance(wallet, address(consumer), address(token), type(uint256).max);
        optimistic.finalize(id, 1, node, true);
        assertEq(token.balanceOf(address(nodeWallet)), FUNDS + EARNED);
        assertEq(_locked(address(token)), 0);
    }

    function testConsumerCannotFreezeTheStakeOfANodeInTheWrong() public {
        _setAllowance(wallet, address(consumer), address(token), type(uint256).max);
        optimistic.finalize(id, 1, node, false);
        assertEq(wallet.allowance(address(consumer), address(token)), type(uint256).max);
        assertEq(_locked(address(token)), 0);
    }

    function testConsumerCannotFreezeTheStakeByRevokingTheAllowance() public {
        _setAllowance(wallet, address(consumer), address(token), 0);
        optimistic.finalize(id, 1, node, true);
        assertEq(token.balanceOf(address(nodeWallet)), FUNDS + EARNED);
    }

    function testNodeIsSlashedWithoutAllowance() public {
        _setAllowance(nodeWallet, node, address(token), 0);
        optimistic.finalize(id, 1, node, false);
        assertEq(token.balanceOf(address(nodeWallet)), FUNDS - PRICE);
    }

    function testExpiredProofIsClosedWhateverBothAllowances(uint256 ofNode, uint256 ofConsumer) public {
        _setAllowance(nodeWallet, node, address(token), ofNode);
        _setAllowance(wallet, address(consumer), address(token), ofConsumer);
        skip(WINDOW);
        coordinator.finalizeProofVerification(id, 1, node, false);
        assertEq(token.balanceOf(address(nodeWallet)), FUNDS + EARNED);
        assertEq(_locked(address(token)), 0);
    }

    function testPrepaymentComesBackDespiteHighestAllowance() public {
        uint32 prepaid = _openWith(_prepaid(), address(token), NOBODY);
        consumer.cancel(prepaid);
        _setAllowance(wallet, address(consumer), address(token), type(uint256).max);
        skip(1 hours);
        assertEq(coordinator.reclaimPrepayment(prepaid), PRICE);
        assertEq(wallet.allowance(address(consumer), address(token)), type(uint256).max);
    }
}
