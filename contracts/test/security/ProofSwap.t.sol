// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Attack} from "./Attack.sol";
import {Registry} from "src/Registry.sol";
import {Delivery} from "src/interface/ICoordinator.sol";
import {BoundVerifier} from "src/payments/BoundVerifier.sol";

/// @dev A proof is the hash of what was computed with what, as a circuit's public instances would be.
contract HashVerifier is BoundVerifier {
    constructor(Registry registry) BoundVerifier(registry) {}

    receive() external payable {}

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
        bytes32 about = keccak256(abi.encode(delivery.containerId, delivery.inputHash, delivery.outputHash));
        _finalize(delivery, keccak256(proof) == keccak256(abi.encode(about)));
    }
}

/// @notice A proof that holds, put beside an output that it is not about.
contract ProofSwapTest is Attack {
    HashVerifier internal verifier;
    uint32 internal id;

    function setUp() public override {
        super.setUp();
        verifier = new HashVerifier(registry);
        id = _paid(ETH, PRICE, address(verifier));
    }

    function _proof(string memory container, bytes memory input, bytes memory output)
        internal
        pure
        returns (bytes memory)
    {
        bytes32 containerId = keccak256(abi.encode(container));
        return abi.encode(keccak256(abi.encode(containerId, keccak256(input), keccak256(output))));
    }

    function _deliverWith(bytes memory input, bytes memory output, bytes memory proof) internal {
        vm.prank(node);
        coordinator.deliverCompute(id, 1, input, output, proof, address(nodeWallet));
    }

    function testProofOfTheAnswerHolds() public {
        _deliverWith("in", "out", _proof("container", "in", "out"));
        assertEq(consumer.last().output, "out");
        assertEq(address(nodeWallet).balance, FUNDS + EARNED);
    }

    function testProofOfAnotherOutputIsRejected() public {
        _deliverWith("in", "wrong", _proof("container", "in", "out"));
        assertEq(consumer.answers(), 0);
        assertEq(address(nodeWallet).balance, FUNDS - PRICE);
    }

    function testProofOfAnotherInputIsRejected() public {
        _deliverWith("other", "out", _proof("container", "in", "out"));
        assertEq(consumer.answers(), 0);
    }

    function testProofOfAnotherContainerIsRejected() public {
        _deliverWith("in", "out", _proof("cheaper", "in", "out"));
        assertEq(consumer.answers(), 0);
    }

    function testCannotAskInTheCoordinatorsPlace() public {
        vm.expectRevert(BoundVerifier.NotCoordinator.selector);
        verifier.requestProofVerification(id, 1, node, "");
    }

    function testNothingIsToldOutsideADelivery() public {
        _deliverWith("in", "out", _proof("container", "in", "out"));
        Delivery memory none = coordinator.delivery();
        assertEq(keccak256(abi.encode(none)), keccak256(new bytes(192)));
    }
}
