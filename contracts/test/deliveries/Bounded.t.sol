// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {OptimisticVerifier} from "../support/Verifiers.sol";
import {Coordinator} from "src/Coordinator.sol";
import {Answer, Bounds} from "src/interface/ICoordinator.sol";

/// @notice A node gets what it computes for and risks what it means to, or nothing is delivered.
contract BoundedTest is Setup {
    uint256 private constant PAYOUT = 0.8978 ether;

    OptimisticVerifier private verifier;
    Bounds private bounds;

    function setUp() public override {
        super.setUp();
        verifier = new OptimisticVerifier(coordinator);
        verifier.setFee(ETH, 0.1 ether);
    }

    function testDeliversWithinAllBounds() public {
        uint32 id = _paid(ETH, 1 ether, address(verifier));
        bounds = Bounds({
            minPayout: PAYOUT - 0.1 ether,
            maxStake: 1 ether,
            paymentToken: ETH,
            verifier: address(verifier),
            deadline: 1_750_000_000,
            containerId: keccak256(abi.encode("container"))
        });
        _deliverBounded(id);
        assertEq(consumer.last().output, "output");
        assertEq(wallet.lockedBalance(ETH), PAYOUT - 0.1 ether);
    }

    function testDeliversForThePayout() public {
        bounds.minPayout = PAYOUT;
        _deliverBounded(_paid(ETH, 1 ether, NOBODY));
        assertEq(address(nodeWallet).balance, FUNDS + PAYOUT);
    }

    function testCannotDeliverForLess() public {
        bounds.minPayout = PAYOUT + 1;
        _expect(_paid(ETH, 1 ether, NOBODY), Coordinator.PayoutTooLow.selector);
    }

    function testCannotDeliverForLessThanWhatTheVerifierLeaves() public {
        (bounds.verifier, bounds.maxStake) = (address(verifier), 1 ether);
        bounds.minPayout = PAYOUT - 0.1 ether + 1;
        _expect(_paid(ETH, 1 ether, address(verifier)), Coordinator.PayoutTooLow.selector);
    }

    function testCannotDeliverOnceTheFeeWasRaised() public {
        bounds.minPayout = PAYOUT;
        uint32 id = _paid(ETH, 1 ether, NOBODY);
        vm.prank(feeRecipient);
        fee.updateFee(FEE + 1);
        _expect(id, Coordinator.PayoutTooLow.selector);
    }

    function testCannotDeliverOnceTheVerifiersFeeWasRaised() public {
        (bounds.verifier, bounds.maxStake) = (address(verifier), 1 ether);
        bounds.minPayout = PAYOUT - 0.1 ether;
        uint32 id = _paid(ETH, 1 ether, address(verifier));
        verifier.setFee(ETH, 0.1 ether + 1);
        _expect(id, Coordinator.PayoutTooLow.selector);
    }

    function testPaysNothingWhereFeesTakeMoreThanAll() public {
        (bounds.verifier, bounds.maxStake, bounds.minPayout) = (address(verifier), 1 ether, 1);
        uint32 id = _paid(ETH, 1 ether, address(verifier));
        verifier.setFee(ETH, 2 ether);
        _expect(id, Coordinator.PayoutTooLow.selector);
    }

    function testCannotDeliverTheUnpaidForMoney() public {
        bounds.minPayout = 1;
        _expect(_callback(1), Coordinator.PayoutTooLow.selector);
    }

    function testDeliversTheUnpaidWhateverTheToken() public {
        bounds.paymentToken = address(token);
        bounds.verifier = address(verifier);
        _deliverBounded(_callback(1));
        assertEq(consumer.answers(), 1);
    }

    function testBindsOneDeliveryOnly() public {
        bounds.minPayout = PAYOUT;
        _deliverBounded(_paid(ETH, 1 ether, NOBODY));
        uint32 id = _paid(ETH, 1 ether, address(verifier));
        _deliver(id);
        assertEq(_count(id, 1), 1);
    }

    function testCannotStakeMore() public {
        (bounds.verifier, bounds.maxStake) = (address(verifier), 1 ether - 1);
        _expect(_paid(ETH, 1 ether, address(verifier)), Coordinator.StakeTooHigh.selector);
    }

    function testStakesNothingWithoutVerifier() public {
        bounds.maxStake = 0;
        _deliverBounded(_paid(ETH, 1 ether, NOBODY));
        assertEq(consumer.answers(), 1);
    }

    function testCannotDeliverForAnotherToken() public {
        bounds.paymentToken = address(token);
        _expect(_paid(ETH, 1 ether, NOBODY), Coordinator.UnexpectedSubscription.selector);
    }

    function testCannotDeliverToAnotherVerifier() public {
        bounds.maxStake = 1 ether;
        _expect(_paid(ETH, 1 ether, address(verifier)), Coordinator.UnexpectedSubscription.selector);
    }

    function testCannotDeliverWithoutTheVerifierExpected() public {
        bounds.verifier = address(verifier);
        _expect(_paid(ETH, 1 ether, NOBODY), Coordinator.UnexpectedSubscription.selector);
    }

    function testCannotDeliverAnotherContainersAnswer() public {
        bounds.containerId = keccak256(abi.encode("another"));
        _expect(_callback(1), Coordinator.UnexpectedSubscription.selector);
    }

    function testDeliversUntilTheDeadline() public {
        bounds.deadline = 1_750_000_009;
        uint32 id = _callback(1);
        vm.warp(1_750_000_009);
        _deliverBounded(id);
        assertEq(consumer.answers(), 1);
    }

    function testCannotDeliverAfterTheDeadline() public {
        bounds.deadline = 1_750_000_009;
        uint32 id = _callback(1);
        vm.warp(1_750_000_010);
        _expect(id, Coordinator.DeliveryTooLate.selector);
    }

    function testCannotDeliverWhatIsNotThere() public {
        _expect(77, Coordinator.SubscriptionNotFound.selector);
    }

    function testRefusesAsOtherDeliveriesDo() public {
        uint32 id = _callback(1);
        _deliver(id);
        _expect(id, Coordinator.IntervalCompleted.selector);
    }

    /// @dev The payout that is promised is the payout that comes, to the last unit.
    function testPaysWhatItWasBoundTo(uint256 amount, uint16 charged, uint256 verifierFee, bool verified) public {
        amount = bound(amount, 1, 100 ether);
        charged = uint16(bound(charged, 0, 5000));
        vm.prank(feeRecipient);
        fee.updateFee(charged);
        uint256 left = amount - amount * (2 * uint256(charged)) / 10_000;
        verifierFee = verified ? bound(verifierFee, 0, left) : 0;
        verifier.setFee(ETH, verifierFee);
        uint32 id = _paid(ETH, amount, verified ? address(verifier) : NOBODY);
        bounds.minPayout = left - verifierFee + 1;
        bounds.maxStake = amount;
        bounds.verifier = verified ? address(verifier) : NOBODY;
        _expect(id, Coordinator.PayoutTooLow.selector);
        bounds.minPayout -= 1;
        _deliverBounded(id);
        if (verified) verifier.finalize(id, 1, node, true);
        assertEq(address(nodeWallet).balance, FUNDS + bounds.minPayout);
    }

    /// @dev It loses a race with bounds that would not have held either: it is told of the race, which costs it less.
    function testWhoeverComesSecondIsToldBeforeItsBounds() public {
        uint32 id = _paid(ETH, 1 ether, NOBODY);
        _deliver(id, otherNode, address(otherWallet));
        bounds.minPayout = PAYOUT + 1;
        _expect(id, Coordinator.IntervalCompleted.selector);
    }

    function _deliverBounded(uint32 id) private {
        vm.prank(node);
        coordinator.deliverComputeBounded(Answer(id, 1, "input", "output", "proof", address(nodeWallet)), bounds);
    }

    function _expect(uint32 id, bytes4 refusal) private {
        Bounds memory bounds_ = bounds;
        vm.expectRevert(refusal);
        vm.prank(node);
        coordinator.deliverComputeBounded(Answer(id, 1, "input", "output", "proof", address(nodeWallet)), bounds_);
    }
}
