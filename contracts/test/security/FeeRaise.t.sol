// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {TestVerifier} from "../support/Verifiers.sol";
import {Attack} from "./Attack.sol";
import {Coordinator} from "src/Coordinator.sol";
import {Bounds, Terms} from "src/interface/ICoordinator.sol";
import {Fee} from "src/payments/Fee.sol";
import {IVerifier} from "src/payments/IVerifier.sol";
import {Ownable} from "solady/auth/Ownable.sol";

/// @dev Costs nothing when it is asked before a delivery, and everything in it.
contract TwoFacedVerifier is IVerifier {
    Coordinator private immutable _coordinator;
    bytes32 public key;

    constructor(Coordinator coordinator) {
        _coordinator = coordinator;
    }

    receive() external payable {}

    function watch(bytes32 key_) external {
        key = key_;
    }

    function fee(address) external view returns (uint256) {
        return _coordinator.nodeResponded(key) ? 0.8 ether : 0;
    }

    function isSupportedToken(address) external pure returns (bool) {
        return true;
    }

    function getWallet() external view returns (address) {
        return address(this);
    }

    function requestProofVerification(uint32 id, uint32 interval, address node, bytes calldata) external {
        _coordinator.finalizeProofVerification(id, interval, node, true);
    }
}

/// @notice Whoever sets a fee sets it higher while a delivery is under way.
contract FeeRaiseTest is Attack {
    function _atLeast(uint256 payout, address verifier) internal pure returns (Bounds memory bounds) {
        bounds = _noBounds();
        bounds.minPayout = payout;
        bounds.verifier = verifier;
        bounds.maxStake = PRICE;
    }

    function _raise(uint16 to) internal {
        vm.prank(feeRecipient);
        fee.updateFee(to);
    }

    function _cannotDeliver(uint32 id, Bounds memory bounds, bytes4 selector) internal {
        vm.prank(node);
        vm.expectRevert(selector);
        coordinator.deliverComputeBounded(_answer(id), bounds);
    }

    function testFeeCannotExceedHalf(uint16 to) public {
        to = uint16(bound(to, fee.MAX_FEE() + 1, type(uint16).max));
        vm.prank(feeRecipient);
        vm.expectRevert(Fee.FeeTooHigh.selector);
        fee.updateFee(to);
    }

    function testHighestFeeStopsNoDelivery() public {
        _raise(5000);
        _deliver(_paid(ETH, PRICE, NOBODY));
        assertEq(feeRecipient.balance, PRICE);
    }

    function testFeeIsToldWhenItChanges() public {
        vm.expectEmit(address(fee));
        emit Fee.FeeUpdated(FEE, 600);
        _raise(600);
    }

    function testStrangersCannotRaise() public {
        vm.prank(node);
        vm.expectRevert(Ownable.Unauthorized.selector);
        fee.updateFee(1);
    }

    function testNodeIsNotServedLessThanItExpects() public {
        uint32 id = _paid(ETH, PRICE, NOBODY);
        _raise(FEE + 1);
        _cannotDeliver(id, _atLeast(EARNED, NOBODY), Coordinator.PayoutTooLow.selector);
        _raise(FEE);
        vm.prank(node);
        coordinator.deliverComputeBounded(_answer(id), _atLeast(EARNED, NOBODY));
        assertEq(address(nodeWallet).balance, FUNDS + EARNED);
    }

    function testVerifierCannotRaiseItsFeeEither() public {
        uint32 id = _paid(ETH, PRICE, address(optimistic));
        optimistic.setFee(ETH, 1);
        _cannotDeliver(id, _atLeast(EARNED, address(optimistic)), Coordinator.PayoutTooLow.selector);
    }

    function testVerifierCannotTellTwoFees() public {
        TwoFacedVerifier verifier = new TwoFacedVerifier(coordinator);
        uint32 id = _paid(ETH, PRICE, address(verifier));
        verifier.watch(_key(id, node));
        _cannotDeliver(id, _atLeast(EARNED, address(verifier)), Coordinator.PayoutTooLow.selector);
    }

    function testConsumerPaysNoMoreThanItsTerms() public {
        Terms memory terms = _noTerms();
        terms.maxFee = FEE;
        uint32 id = _openWith(terms, ETH, NOBODY);
        _raise(FEE + 1);
        vm.prank(node);
        vm.expectRevert(Coordinator.FeeAboveTerms.selector);
        coordinator.deliverCompute(id, 1, "", "", "", address(nodeWallet));
        _raise(FEE);
        _deliver(id);
        assertEq(feeRecipient.balance, TAKEN);
    }

    function testConsumerNeverPaysMoreThanThePrice(uint16 fee_, uint256 ofVerifier) public {
        _raise(uint16(bound(fee_, 0, 5000)));
        optimistic.setFee(ETH, bound(ofVerifier, 0, PRICE + 1));
        uint32 id = _paid(ETH, PRICE, address(optimistic));
        vm.prank(node);
        try coordinator.deliverCompute(id, 1, "", "", "", address(nodeWallet)) {
            assertGe(wallet.unlockedBalance(ETH), FUNDS - PRICE);
        } catch {
            assertEq(address(wallet).balance, FUNDS);
        }
    }
}
