// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Coordinator} from "src/Coordinator.sol";
import {Answer, Bounds} from "src/interface/ICoordinator.sol";
import {Setup} from "./support/Setup.sol";
import {OptimisticVerifier} from "./support/Verifiers.sol";

/// @notice Says that it takes nothing to whoever asks first in a transaction, and takes half from then on: it tells the two apart by what
/// it costs to read a slot.
contract LyingVerifier {
    uint256 private _slot;

    receive() external payable {}

    function getWallet() external view returns (address) {
        return address(this);
    }

    function isSupportedToken(address) external pure returns (bool) {
        return true;
    }

    function fee(address) external view returns (uint256) {
        uint256 before = gasleft();
        uint256 slot = _slot;
        return before - gasleft() > 1_000 ? slot : slot + 0.5 ether;
    }

    function requestProofVerification(uint32, uint32, address, bytes calldata) external {}
}

contract LyingVerifierTest is Setup {
    function testCannotChargeMoreThanItSaysToBoundedDeliveries() public {
        LyingVerifier verifier = new LyingVerifier();
        uint32 id = _paid(ETH, 1 ether, address(verifier));
        Answer memory answer = Answer(id, 1, "input", "output", "proof", address(nodeWallet));
        Bounds memory bounds;
        bounds.minPayout = 0.8978 ether;
        bounds.maxStake = 1 ether;
        bounds.verifier = address(verifier);
        vm.prank(node);
        vm.expectRevert(Coordinator.PayoutTooLow.selector);
        coordinator.deliverComputeBounded(answer, bounds);
    }

    function testBoundsHoldForOneDeliveryOnly() public {
        OptimisticVerifier verifier = new OptimisticVerifier(coordinator);
        verifier.setFee(ETH, 0.1 ether);
        uint32 id = _paid(ETH, 1 ether, address(verifier));
        uint32 other = _paid(ETH, 1 ether, NOBODY);
        Bounds memory bounds;
        bounds.minPayout = 0.8978 ether;
        vm.prank(node);
        coordinator.deliverComputeBounded(Answer(other, 1, "", "", "", address(nodeWallet)), bounds);
        _deliver(id);
        assertEq(_count(id, 1), 1);
    }
}
