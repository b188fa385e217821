// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {OptimisticVerifier} from "../support/Verifiers.sol";

/// @notice Numbers beyond their packed width do what small ones do.
contract WideTest is Setup {
    OptimisticVerifier private verifier;

    function setUp() public override {
        super.setUp();
        verifier = new OptimisticVerifier(coordinator);
        vm.prank(feeRecipient);
        fee.updateFee(0);
        token.mint(address(wallet), 1 << 130);
        token.mint(address(nodeWallet), 1 << 130);
        vm.startPrank(owner);
        wallet.approve(address(consumer), address(token), type(uint256).max);
        nodeWallet.approve(node, address(token), type(uint256).max);
        vm.stopPrank();
    }

    function testPaysAmountsBeyondTheirWidth(uint256 amount) public {
        amount = bound(amount, type(uint96).max - 2, 1 << 130);
        uint256 before = token.balanceOf(address(nodeWallet));
        _deliver(_paid(address(token), amount, NOBODY));
        assertEq(token.balanceOf(address(nodeWallet)), before + amount);
    }

    function testTellsEscrowsAtTheirWidth() public {
        _assertEscrowed(type(uint64).max - 1);
        _assertEscrowed(type(uint64).max);
        _assertEscrowed(uint256(type(uint64).max) + 1);
        _assertEscrowed(1 << 129);
    }

    function testSettlesEscrowsBeyondTheirWidth(uint256 amount, bool valid) public {
        amount = bound(amount, type(uint64).max - 2, 1 << 130);
        uint256 before = token.balanceOf(address(nodeWallet));
        uint32 id = _paid(address(token), amount, address(verifier));
        _deliver(id);
        verifier.finalize(id, 1, node, valid);
        assertEq(token.balanceOf(address(nodeWallet)), valid ? before + amount : before - amount);
        assertEq(wallet.lockedBalance(address(token)), 0);
        assertEq(nodeWallet.lockedBalance(address(token)), 0);
    }

    function testForgetsEscrowsBeyondTheirWidth() public {
        uint32 id = _paid(address(token), 1 << 100, address(verifier));
        _deliver(id);
        verifier.finalize(id, 1, node, true);
        (uint32 expiry,, uint256 escrow) = coordinator.proofRequests(keccak256(abi.encode(id, 1, node)));
        assertEq(expiry, 0);
        assertEq(escrow, 0);
    }

    function testReachesIntervalsBeyondTheirWidth() public {
        uint32 frequency = 1 << 20;
        uint32 id = consumer.create("container", frequency, 1, 1, false, ETH, 0, NOBODY, NOBODY);
        vm.warp(1_750_000_000 + uint256(frequency));
        vm.prank(node);
        coordinator.deliverCompute(id, frequency, "", "", "", NOBODY);
        assertEq(consumer.last().interval, frequency);
        vm.warp(1_750_000_001 + uint256(frequency));
        vm.prank(node);
        vm.expectRevert(bytes4(keccak256("SubscriptionCompleted()")));
        coordinator.deliverCompute(id, frequency + 1, "", "", "", NOBODY);
    }

    function _assertEscrowed(uint256 amount) private {
        uint32 id = _paid(address(token), amount, address(verifier));
        _deliver(id);
        (,, uint256 escrow) = coordinator.proofRequests(keccak256(abi.encode(id, 1, node)));
        assertEq(escrow, amount);
    }
}
