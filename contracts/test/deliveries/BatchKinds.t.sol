// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {BatchSetup} from "../support/Batches.sol";
import {DelegationSetup} from "../support/Delegation.sol";
import {Setup} from "../support/Setup.sol";
import {TestVerifier} from "../support/Verifiers.sol";
import {Coordinator} from "src/Coordinator.sol";
import {Call, ICoordinator, Subscription} from "src/interface/ICoordinator.sol";
import {IEIP712Coordinator} from "src/interface/IEIP712Coordinator.sol";

/// @notice What goes into a batch besides plain deliveries.
contract BatchKindsTest is BatchSetup, DelegationSetup {
    function setUp() public override(Setup, DelegationSetup) {
        DelegationSetup.setUp();
    }

    function testFinalizesManyProofs() public {
        BatchVerifier verifier = new BatchVerifier(coordinator);
        (uint32 a, uint32 b) = (_delivered(verifier), _delivered(verifier));
        bytes4[] memory failures = verifier.judge(_list(_verdict(a, true), _verdict(77, true), _verdict(b, false)));
        assertEq(failures[0], NONE);
        assertEq(failures[1], Coordinator.ProofRequestNotFound.selector);
        assertEq(failures[2], NONE);
        assertEq(address(nodeWallet).balance, FUNDS + 0.8978 ether - 1 ether);
        assertEq(nodeWallet.lockedBalance(ETH), 0);
    }

    function testCannotFinalizeForTheVerifier() public {
        uint32 id = _delivered(new BatchVerifier(coordinator));
        assertEq(_send(_verdict(id, true)), Coordinator.UnauthorizedVerifier.selector);
        assertEq(nodeWallet.lockedBalance(ETH), 1 ether);
    }

    function testDeliversAgainAfterAFinalizationThatFailed() public {
        bytes4[] memory failures =
            _send(_list(_verdict(77, true), _delivery(_callback(1), 1), _delivery(_callback(1), 1)));
        assertEq(failures[0], Coordinator.ProofRequestNotFound.selector);
        assertEq(failures[1], NONE);
        assertEq(failures[2], NONE);
    }

    function testDeliversToDelegatedSubscriptions() public {
        Subscription memory sub = _delegatedSub();
        bytes4[] memory failures =
            _send(_list(_delegatedDelivery(4, sub), _delegatedDelivery(5, sub), _delegatedDelivery(4, sub)));
        assertEq(failures[0], NONE);
        assertEq(failures[1], NONE);
        assertEq(failures[2], Coordinator.NodeRespondedAlready.selector);
        assertEq(delegated.answers(), 2);
        assertEq(delegated.last().node, node);
        assertEq(coordinator.maxSubscriberNonce(address(delegated)), 5);
    }

    function testCreatesNothingForADelegatedDeliveryThatFails() public {
        Subscription memory sub = _delegatedSub();
        sub.activeAt += 1;
        assertEq(_send(_delegatedDelivery(4, sub)), Coordinator.SubscriptionNotActive.selector);
        assertEq(coordinator.id(), 1);
        assertEq(coordinator.delegateCreatedIds(keccak256(abi.encode(address(delegated), uint32(4)))), 0);
    }

    function testReportsFailures() public {
        uint32 id = _callback(1);
        assertEq(_send(Call(0, abi.encodeCall(ICoordinator.reportFailure, (id, 1, 2)))), NONE);
        assertTrue(_responded(id, 1, node));
    }

    function testAsksInABatch() public {
        Call memory ask =
            Call(0, abi.encodeCall(ICoordinator.createSubscription, ("c", 1, 0, 1, false, ETH, 0, NOBODY, NOBODY)));
        _send(_list(ask, ask, ask));
        assertEq(coordinator.id(), 4);
        assertEq(coordinator.getSubscription(3).owner, node);
    }

    function testTakesABatchWithinABatch() public {
        Call[] memory inner = _list(_delivery(_callback(1), 1), _delivery(77, 1), _delivery(_callback(1), 1));
        assertEq(_send(Call(0, abi.encodeCall(ICoordinator.deliverComputeBatch, (inner)))), NONE);
        assertEq(consumer.answers(), 2);
        assertEq(consumer.last().node, node);
    }

    function testCannotDeliverABatchOutOfADelivery() public {
        BatchingConsumer batching = new BatchingConsumer(coordinator);
        uint32 id = batching.ask();
        batching.prepare(_list(_delivery(_callback(1), 1), _delivery(id, 1), _verdict(id, true)));
        _deliver(id);
        assertEq(batching.failures(0), Coordinator.Reentrancy.selector);
        assertEq(batching.failures(1), Coordinator.Reentrancy.selector);
        assertEq(batching.failures(2), Coordinator.Reentrancy.selector);
        assertEq(consumer.answers(), 0);
    }

    function testJudgesAtOnceInABatch() public {
        BatchVerifier verifier = new BatchVerifier(coordinator);
        verifier.judgeAtOnce();
        _delivered(verifier);
        assertEq(address(nodeWallet).balance, FUNDS + 0.8978 ether);
        assertEq(nodeWallet.lockedBalance(ETH), 0);
    }

    function _delivered(BatchVerifier verifier) private returns (uint32 id) {
        id = _paid(ETH, 1 ether, address(verifier));
        _deliver(id);
    }

    function _verdict(uint32 id, bool valid) private view returns (Call memory) {
        return Call(0, abi.encodeCall(ICoordinator.finalizeProofVerification, (id, 1, node, valid)));
    }

    function _delegatedDelivery(uint32 nonce, Subscription memory sub) private view returns (Call memory) {
        (uint8 v, bytes32 r, bytes32 s) = _sign(KEY, nonce, EXPIRY, sub);
        bytes memory data = abi.encodeCall(
            IEIP712Coordinator.deliverComputeDelegatee,
            (nonce, EXPIRY, sub, v, r, s, 1, "input", "output", "proof", address(nodeWallet))
        );
        return Call(0, data);
    }
}

/// @notice Gives its verdicts in batches.
contract BatchVerifier is TestVerifier {
    bool private atOnce;

    constructor(Coordinator coordinator_) TestVerifier(coordinator_) {}

    function judgeAtOnce() external {
        atOnce = true;
    }

    function judge(Call[] memory calls) public returns (bytes4[] memory) {
        return coordinator.deliverComputeBatch(calls);
    }

    function requestProofVerification(uint32 id, uint32 interval, address node, bytes calldata) external {
        if (!atOnce) return;
        Call[] memory calls = new Call[](1);
        calls[0].data = abi.encodeCall(ICoordinator.finalizeProofVerification, (id, interval, node, true));
        judge(calls);
    }
}

/// @notice Calls a batch when it is answered.
contract BatchingConsumer {
    ICoordinator private immutable coordinator;
    Call[] private calls;
    bytes4[] public failures;

    constructor(ICoordinator coordinator_) {
        coordinator = coordinator_;
    }

    function ask() external returns (uint32) {
        return coordinator.createSubscription("container", 1, 0, 1, false, address(0), 0, address(0), address(0));
    }

    function prepare(Call[] calldata calls_) external {
        for (uint256 i = 0; i < calls_.length; i++) {
            calls.push(calls_[i]);
        }
    }

    fallback() external {
        failures = coordinator.deliverComputeBatch(calls);
    }
}
