// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {EmptyConsumer} from "../support/Consumers.sol";
import {Setup} from "../support/Setup.sol";
import {Registry} from "src/Registry.sol";
import {Delivery} from "src/interface/ICoordinator.sol";
import {BoundVerifier} from "src/payments/BoundVerifier.sol";

/// @notice A verifier is told which answer a proof has to be about.
contract BoundVerifierTest is Setup {
    HashVerifier private verifier;

    function setUp() public override {
        super.setUp();
        verifier = new HashVerifier(registry);
    }

    function testTakesTheProofOfThisAnswer() public {
        uint32 id = _paid(ETH, 1 ether, address(verifier));
        _deliverProven(id, _proofOf("input", "output"));
        assertEq(consumer.answers(), 1);
        assertEq(address(nodeWallet).balance, FUNDS + 0.8978 ether);
    }

    function testCannotPassOffTheProofOfAnotherOutput() public {
        _assertRejected(_proofOf("input", "better output"));
    }

    function testCannotPassOffTheProofOfAnotherInput() public {
        _assertRejected(_proofOf("easier input", "output"));
    }

    function testTellsWhatIsDelivered() public {
        uint32 id = _paid(ETH, 1 ether, address(verifier));
        _deliverProven(id, "");
        Delivery memory expected = Delivery({
            subscriptionId: id,
            interval: 1,
            node: node,
            containerId: keccak256(abi.encode("container")),
            inputHash: keccak256("input"),
            outputHash: keccak256("output")
        });
        assertEq(abi.encode(verifier.last()), abi.encode(expected));
    }

    function testTellsNothingOutsideOfDeliveries() public {
        _assertTellsNothing();
        _deliverProven(_paid(ETH, 1 ether, address(verifier)), "");
        _assertTellsNothing();
    }

    function testTellsTheConsumerNothing() public {
        NosyConsumer nosy = new NosyConsumer(address(registry));
        vm.prank(owner);
        wallet.approve(address(nosy), ETH, 1 ether);
        uint32 id = nosy.create("container", 1, 0, 1, false, ETH, 1 ether, address(wallet), address(verifier));
        _deliverProven(id, _proofOf("input", "output"));
        assertTrue(nosy.answered());
        assertEq(nosy.seen(), 0);
    }

    function testTellsNothingOfTheUnproven() public {
        NosyConsumer nosy = new NosyConsumer(address(registry));
        uint32 id = nosy.create("container", 1, 0, 1, false, ETH, 0, NOBODY, NOBODY);
        _deliver(id);
        assertTrue(nosy.answered());
        assertEq(nosy.seen(), 0);
    }

    function testJudgesLater() public {
        verifier.wait_();
        uint32 id = _paid(ETH, 1 ether, address(verifier));
        _deliverProven(id, _proofOf("input", "output"));
        assertEq(nodeWallet.lockedBalance(ETH), 1 ether);
        verifier.judge();
        assertEq(nodeWallet.lockedBalance(ETH), 0);
        assertEq(address(nodeWallet).balance, FUNDS + 0.8978 ether);
    }

    function testTellsOneAfterAnotherInATransaction() public {
        uint32 first = _paid(ETH, 1 ether, address(verifier));
        uint32 second = _paid(ETH, 1 ether, address(verifier));
        _deliverProven(first, "");
        vm.prank(otherNode);
        coordinator.deliverCompute(second, 1, "other input", "other output", "", address(otherWallet));
        assertEq(verifier.last().subscriptionId, second);
        assertEq(verifier.last().node, otherNode);
        assertEq(verifier.last().inputHash, keccak256("other input"));
        assertEq(verifier.last().outputHash, keccak256("other output"));
    }

    function testCannotBeAskedByOthers() public {
        vm.expectRevert(BoundVerifier.NotCoordinator.selector);
        verifier.requestProofVerification(1, 1, node, "");
    }

    function _deliverProven(uint32 id, bytes memory proof) private {
        vm.prank(node);
        coordinator.deliverCompute(id, 1, "input", "output", proof, address(nodeWallet));
    }

    function _assertRejected(bytes memory proof) private {
        uint32 id = _paid(ETH, 1 ether, address(verifier));
        _deliverProven(id, proof);
        assertEq(consumer.answers(), 0);
        assertEq(address(nodeWallet).balance, FUNDS - 1 ether);
    }

    function _assertTellsNothing() private view {
        Delivery memory none;
        assertEq(abi.encode(coordinator.delivery()), abi.encode(none));
    }

    function _proofOf(bytes memory input, bytes memory output) private pure returns (bytes memory) {
        return abi.encode(keccak256(input), keccak256(output));
    }
}

/// @notice A proof is the hashes of what it proves.
contract HashVerifier is BoundVerifier {
    Delivery private delivered;
    bool private waits;
    bool private valid;

    constructor(Registry registry) BoundVerifier(registry) {}

    receive() external payable {}

    function wait_() external {
        waits = true;
    }

    function judge() external {
        _finalize(delivered, valid);
    }

    function last() external view returns (Delivery memory) {
        return delivered;
    }

    function getWallet() external view returns (address) {
        return address(this);
    }

    function isSupportedToken(address) external pure returns (bool) {
        return true;
    }

    function fee(address) external pure returns (uint256) {
        return 0;
    }

    function _verify(Delivery memory delivery, bytes calldata proof) internal override {
        delivered = delivery;
        valid = keccak256(proof) == keccak256(abi.encode(delivery.inputHash, delivery.outputHash));
        if (!waits) _finalize(delivery, valid);
    }
}

/// @notice Looks at what verifiers are told.
contract NosyConsumer is EmptyConsumer {
    uint32 public seen = 1;
    bool public answered;

    constructor(address registry) EmptyConsumer(registry) {}

    function _receiveCompute(
        uint32,
        uint32,
        uint16,
        address,
        bytes calldata,
        bytes calldata,
        bytes calldata,
        bytes32,
        uint256
    ) internal override {
        seen = COORDINATOR.delivery().subscriptionId;
        answered = true;
    }
}
