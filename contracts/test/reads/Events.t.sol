// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {DelegationSetup} from "../support/Delegation.sol";
import {StrangeToken} from "../support/StrangeToken.sol";
import {AtomicVerifier, OptimisticVerifier} from "../support/Verifiers.sol";
import {Call, ICoordinator, Request, Subscription, Terms} from "src/interface/ICoordinator.sol";
import {Allowlist} from "src/pattern/Allowlist.sol";
import {Vm} from "forge-std/Vm.sol";

/// @notice What is logged beyond what the first deployments log. Each has two topics at most: some of those who read logs follow no more.
contract EventsTest is DelegationSetup {
    bytes32 private constant CONTAINER = keccak256(abi.encode("container"));

    function testTellsWhatWasCreated() public {
        vm.expectEmit(address(coordinator));
        emit ICoordinator.SubscriptionCreated(1);
        vm.expectEmit(address(coordinator));
        emit ICoordinator.SubscriptionOpened(CONTAINER, 1, address(consumer));
        _callback(1);
    }

    function testTellsWhatWasOpened() public {
        vm.expectEmit(address(coordinator));
        emit ICoordinator.SubscriptionOpened(CONTAINER, 1, address(consumer));
        consumer.open(_request(ETH, 0, NOBODY), _noTerms());
    }

    function testTellsWhatWasDelegated() public {
        Subscription memory sub = _delegatedSub();
        vm.expectEmit(address(coordinator));
        emit ICoordinator.SubscriptionOpened(CONTAINER, 1, address(delegated));
        _delegate(0, sub);
    }

    function testTellsWhichAnswerWasAccepted() public {
        uint32 id = _callback(2);
        _deliver(id);
        vm.expectEmit(address(coordinator));
        emit ICoordinator.SubscriptionFulfilled(id, otherNode);
        vm.expectEmit(address(coordinator));
        emit ICoordinator.AnswerAccepted(id, 1, 2, keccak256("output"));
        _deliver(id, otherNode, NOBODY);
    }

    function testTellsWhichLazyAnswerWasAccepted() public {
        uint32 id = consumer.create("container", 1, 0, 1, true, ETH, 0, NOBODY, NOBODY);
        vm.expectEmit(address(coordinator));
        emit ICoordinator.AnswerAccepted(id, 1, 1, keccak256("output"));
        _deliver(id);
    }

    function testTellsAtOnceWhoseAnswerWasRejected() public {
        AtomicVerifier verifier = new AtomicVerifier(coordinator);
        verifier.setVerdict(false);
        uint32 id = _paid(ETH, 1 ether, address(verifier));
        vm.expectEmit(address(coordinator));
        emit ICoordinator.AnswerRejected(id, 1, node);
        _deliver(id);
    }

    function testTellsOfNoAnswerThatWasRejected() public {
        AtomicVerifier verifier = new AtomicVerifier(coordinator);
        verifier.setVerdict(false);
        uint32 id = _paid(ETH, 1 ether, address(verifier));
        vm.recordLogs();
        _deliver(id);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(_times(logs, ICoordinator.AnswerRejected.selector), 1);
        assertEq(_times(logs, ICoordinator.SubscriptionFulfilled.selector), 0);
        assertEq(_times(logs, ICoordinator.AnswerAccepted.selector), 0);
    }

    function testTellsLaterWhoseAnswerWasRejected() public {
        OptimisticVerifier verifier = new OptimisticVerifier(coordinator);
        uint32 id = _paid(ETH, 1 ether, address(verifier));
        _deliver(id);
        vm.expectEmit(address(coordinator));
        emit ICoordinator.AnswerRejected(id, 1, node);
        verifier.finalize(id, 1, node, false);
    }

    function testTellsOfNoRejectionThatIsLate() public {
        OptimisticVerifier verifier = new OptimisticVerifier(coordinator);
        uint32 id = _paid(ETH, 1 ether, address(verifier));
        _deliver(id);
        vm.warp(1_750_000_000 + 1 weeks);
        vm.recordLogs();
        verifier.finalize(id, 1, node, false);
        assertEq(_times(vm.getRecordedLogs(), ICoordinator.AnswerRejected.selector), 0);
    }

    function testHasTwoTopicsAtMost() public {
        vm.recordLogs();
        _doEverything();
        Vm.Log[] memory logs = vm.getRecordedLogs();
        string[13] memory added = [
            "SubscriptionOpened(bytes32,uint32,address)",
            "AnswerAccepted(uint32,uint32,uint16,bytes32)",
            "AnswerRejected(uint32,uint32,address)",
            "ComputeFailed(uint32,uint32,address,uint32)",
            "CallFailed(uint256,bytes)",
            "Prepaid(uint32,uint256)",
            "PrepaymentReclaimed(uint32,uint256)",
            "Committed(bytes32)",
            "DelegationInvalidated(address,uint32)",
            "FeeUpdated(uint16,uint16)",
            "SignerUpdated(address)",
            "AllowlistUpdated(address,bool)",
            "Owed(address,address,uint256)"
        ];
        for (uint256 i = 0; i < added.length; i++) {
            _assertTwoTopics(logs, added[i]);
        }
    }

    function _assertTwoTopics(Vm.Log[] memory logs, string memory signature) private pure {
        uint256 seen;
        for (uint256 i = 0; i < logs.length; i++) {
            if (logs[i].topics[0] != keccak256(bytes(signature))) continue;
            seen++;
            assertLe(logs[i].topics.length, 2, signature);
        }
        assertGt(seen, 0, signature);
    }

    function _times(Vm.Log[] memory logs, bytes32 topic) private pure returns (uint256 times) {
        for (uint256 i = 0; i < logs.length; i++) {
            if (logs[i].topics[0] == topic) times++;
        }
    }

    function _doEverything() private {
        AtomicVerifier verifier = new AtomicVerifier(coordinator);
        verifier.setVerdict(false);
        _deliver(_paid(ETH, 1 ether, address(verifier)));
        _deliver(_callback(1));
        coordinator.reportFailure(_callback(1), 1, 1);
        coordinator.deliverComputeBatch(new Call[](1));
        coordinator.commitCompute("commitment");
        vm.prank(signer);
        coordinator.invalidateNonce(address(delegated), 1);
        Terms memory terms = _noTerms();
        (terms.prepaid, terms.expiresAt) = (true, 1_750_000_001);
        Request memory request = _request(ETH, 1 ether, NOBODY);
        uint32 id = consumer.open(request, terms);
        vm.warp(1_750_000_001);
        coordinator.reclaimPrepayment(id);
        vm.prank(feeRecipient);
        fee.updateFee(0);
        delegated.updateSigner(owner);
        new OneNode(node);
        _owe();
    }

    /// @dev A node's stake, in a token that does not let it go.
    function _owe() private {
        StrangeToken strange = new StrangeToken();
        strange.mint(address(wallet), 1 ether);
        strange.mint(address(nodeWallet), 1 ether);
        vm.startPrank(owner);
        wallet.approve(address(consumer), address(strange), 1 ether);
        nodeWallet.approve(node, address(strange), 1 ether);
        vm.stopPrank();
        OptimisticVerifier verifier = new OptimisticVerifier(coordinator);
        uint32 id = _paid(address(strange), 1 ether, address(verifier));
        _deliver(id);
        strange.setBlocked(address(nodeWallet), true);
        verifier.finalize(id, 1, node, false);
    }
}

contract OneNode is Allowlist {
    constructor(address node) Allowlist(_only(node)) {}

    function _only(address node) private pure returns (address[] memory nodes) {
        nodes = new address[](1);
        nodes[0] = node;
    }
}
