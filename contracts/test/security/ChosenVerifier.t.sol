// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {OptimisticVerifier} from "../support/Verifiers.sol";
import {Attack} from "./Attack.sol";
import {Coordinator} from "src/Coordinator.sol";
import {Bounds} from "src/interface/ICoordinator.sol";
import {Wallet} from "src/payments/Wallet.sol";

/// @notice A consumer chooses a verifier of its own, to take the stake of a node that answered well.
contract ChosenVerifierTest is Attack {
    OptimisticVerifier internal accomplice;
    uint32 internal id;

    function setUp() public override {
        super.setUp();
        accomplice = new OptimisticVerifier(coordinator);
        id = _paid(ETH, PRICE, address(accomplice));
    }

    function _cannotDeliver(Bounds memory bounds, bytes4 selector) internal {
        vm.prank(node);
        vm.expectRevert(selector);
        coordinator.deliverComputeBounded(_answer(id), bounds);
    }

    function testNodeIsNotJudgedByAnotherThanItTrusts() public {
        Bounds memory bounds = _noBounds();
        bounds.maxStake = PRICE;
        bounds.verifier = address(optimistic);
        _cannotDeliver(bounds, Coordinator.UnexpectedSubscription.selector);
        bounds.verifier = NOBODY;
        _cannotDeliver(bounds, Coordinator.UnexpectedSubscription.selector);
    }

    function testNodeDoesNotStakeMoreThanItWants() public {
        Bounds memory bounds = _noBounds();
        bounds.verifier = address(accomplice);
        bounds.maxStake = PRICE - 1;
        _cannotDeliver(bounds, Coordinator.StakeTooHigh.selector);
    }

    function testNodeIsNotPaidInAnotherToken() public {
        Bounds memory bounds = _noBounds();
        bounds.verifier = address(accomplice);
        bounds.maxStake = PRICE;
        bounds.paymentToken = address(token);
        _cannotDeliver(bounds, Coordinator.UnexpectedSubscription.selector);
    }

    function testNodeDoesNotAnswerWhatAReorganisationPutThere() public {
        Bounds memory bounds = _noBounds();
        bounds.containerId = keccak256(abi.encode("another"));
        _cannotDeliver(bounds, Coordinator.UnexpectedSubscription.selector);
    }

    function testNodeDoesNotDeliverTooLate() public {
        Bounds memory bounds = _noBounds();
        bounds.deadline = uint32(block.timestamp - 1);
        _cannotDeliver(bounds, Coordinator.DeliveryTooLate.selector);
    }

    function testNodeLosesNoMoreThanItsWalletsOwnerApproved() public {
        _setAllowance(nodeWallet, node, ETH, PRICE - 1);
        vm.prank(node);
        vm.expectRevert(Wallet.InsufficientAllowance.selector);
        coordinator.deliverCompute(id, 1, "", "", "", address(nodeWallet));
    }

    function testNobodyElsesWalletIsStaked() public {
        vm.prank(node);
        vm.expectRevert(Wallet.InsufficientAllowance.selector);
        coordinator.deliverCompute(id, 1, "", "", "", address(otherWallet));
    }

    function testNodeThatAcceptsTheVerifierIsAtItsMercy() public {
        // Not prevented: whoever is named as the verifier can take the stake.
        _deliver(id);
        accomplice.finalize(id, 1, node, false);
        assertEq(address(nodeWallet).balance, FUNDS - PRICE);
    }
}
