// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Attack} from "./Attack.sol";
import {Intruder} from "./Intruder.sol";
import {Coordinator} from "src/Coordinator.sol";
import {Wallet} from "src/payments/Wallet.sol";

/// @notice The one door that is open in a delivery, the verdict on the proof that is asked about, and what can be pushed through it.
contract VerdictReentrancyTest is Attack {
    Intruder internal intruder;

    function setUp() public override {
        super.setUp();
        intruder = new Intruder();
        _setAllowance(wallet, address(intruder), ETH, FUNDS);
    }

    function _planVerdict(uint32 id, address node_, bool valid) internal {
        intruder.plan(
            address(coordinator), abi.encodeCall(coordinator.finalizeProofVerification, (id, 1, node_, valid))
        );
    }

    function testVerdictCountsOnce() public {
        uint32 id = coordinator.id();
        _planVerdict(id, node, true);
        _planVerdict(id, node, true);
        _deliver(_paid(address(token), PRICE, address(intruder)));
        assertEq(intruder.succeeded(), 1);
        assertEq(intruder.failed(), 1);
        assertEq(token.balanceOf(address(nodeWallet)), FUNDS + EARNED - 0.1 ether);
        assertEq(_locked(address(token)), 0);
    }

    function testSecondVerdictCannotUndoTheFirst() public {
        uint32 id = coordinator.id();
        _planVerdict(id, node, true);
        _planVerdict(id, node, false);
        _deliver(_paid(address(token), PRICE, address(intruder)));
        assertEq(consumer.answers(), 1);
        assertEq(token.balanceOf(address(nodeWallet)), FUNDS + EARNED - 0.1 ether);
    }

    function testCannotJudgeAnotherNodesProofMeanwhile() public {
        uint32 id = consumer.create("c", 1, 0, 2, false, address(token), PRICE, address(wallet), address(intruder));
        _deliver(id);
        _planVerdict(id, node, false);
        _deliver(id, otherNode, address(otherWallet));
        assertEq(intruder.refused(), 1);
        assertGt(_expiryOfProof(id, 1, node), 0);
    }

    function testConsumerCannotJudgeInItsCallback() public {
        // The verifier has been silent when it was asked, and speaks when the consumer calls it.
        uint32 id = coordinator.id();
        bytes memory create = abi.encodeCall(
            coordinator.createSubscription, ("c", 1, 0, 1, false, ETH, PRICE, address(wallet), address(optimistic))
        );
        intruder.act(address(coordinator), create);
        intruder.plan(address(optimistic), abi.encodeCall(optimistic.finalize, (id, 1, node, false)));
        _deliver(id);
        assertEq(intruder.refused(), 1);
        assertGt(_expiryOfProof(id, 1, node), 0);
    }

    function testStrangerCannotJudgeWhileTheVerifierIsAsked() public {
        // The verifier calls it, but is not it.
        RelayingVerifier relay = new RelayingVerifier(address(intruder));
        uint32 id = coordinator.id();
        _planVerdict(id, node, false);
        _deliver(_paid(address(token), PRICE, address(relay)));
        assertEq(intruder.failed(), 1);
        assertEq(consumer.answers(), 1);
    }

    function testCancellingInTheCallbackKeepsThePayment() public {
        uint32 id = coordinator.id();
        bytes memory create =
            abi.encodeCall(coordinator.createSubscription, ("c", 1, 0, 2, false, ETH, PRICE, address(wallet), NOBODY));
        intruder.act(address(coordinator), create);
        intruder.plan(address(coordinator), abi.encodeCall(coordinator.cancelSubscription, (id)));
        _deliver(id);
        assertEq(address(nodeWallet).balance, FUNDS + EARNED);
        vm.prank(otherNode);
        vm.expectRevert(Coordinator.SubscriptionNotActive.selector);
        coordinator.deliverCompute(id, 1, "", "", "", address(otherWallet));
    }
}

/// @dev Lets somebody else speak when it is asked.
contract RelayingVerifier {
    address private immutable _friend;

    constructor(address friend) {
        _friend = friend;
    }

    function isSupportedToken(address) external pure returns (bool) {
        return true;
    }

    function fee(address) external pure returns (uint256) {
        return 0;
    }

    function getWallet() external view returns (address) {
        return address(this);
    }

    function requestProofVerification(uint32, uint32, address, bytes calldata) external {
        (bool success,) = _friend.call("");
        require(success);
    }
}
