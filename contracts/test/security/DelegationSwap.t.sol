// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Delegated, DelegatingConsumer} from "./Delegated.sol";
import {EIP712Coordinator} from "src/EIP712Coordinator.sol";
import {Subscription} from "src/interface/ICoordinator.sol";

/// @notice A signer that hands out two requests with one nonce, so that a node works for the one and is served the other.
contract DelegationSwapTest is Delegated {
    function testStrictFormRefusesAnotherRequest() public {
        _create(1);
        Subscription memory other = _sub();
        other.containerId = "dearer";
        bytes memory signature = _signature(1, other);
        vm.expectRevert(EIP712Coordinator.DelegationMismatch.selector);
        coordinator.createSubscriptionSigned(1, expiry, other, signature);
    }

    function testStrictFormRefusesACancelledRequest() public {
        delegator.cancel(_create(1));
        bytes memory signature = _signature(1, _sub());
        vm.expectRevert(EIP712Coordinator.DelegationMismatch.selector);
        coordinator.createSubscriptionSigned(1, expiry, _sub(), signature);
    }

    function testStrictFormFindsTheSameRequest() public {
        uint32 id = _create(1);
        assertEq(coordinator.createSubscriptionSigned(1, expiry, _sub(), ""), id);
    }

    function testOldFormServesWhatWasThereFirst() public {
        // As it always did: whoever needs to know asks with the strict form.
        uint32 id = _create(1);
        Subscription memory other = _sub();
        other.containerId = "dearer";
        assertEq(coordinator.createSubscriptionDelegatee(1, 0, other, 0, 0, 0), id);
    }

    function testNothingSignedCanBeChanged(uint8 part) public {
        bytes memory signature = _signature(1, _sub());
        Subscription memory sub = _sub();
        part = uint8(bound(part, 0, 9));
        if (part == 0) sub.activeAt++;
        if (part == 1) sub.period++;
        if (part == 2) sub.frequency++;
        if (part == 3) sub.redundancy++;
        if (part == 4) sub.containerId = "other";
        if (part == 5) sub.lazy = true;
        if (part == 6) sub.verifier = payable(node);
        if (part == 7) sub.paymentAmount++;
        if (part == 8) sub.paymentToken = node;
        if (part == 9) sub.wallet = payable(node);
        vm.expectRevert(EIP712Coordinator.SignerMismatch.selector);
        coordinator.createSubscriptionSigned(1, expiry, sub, signature);
    }

    function testSignatureOfAnotherChainIsVoid() public {
        bytes memory signature = _signature(1, _sub());
        vm.chainId(block.chainid + 1);
        vm.expectRevert(EIP712Coordinator.SignerMismatch.selector);
        coordinator.createSubscriptionSigned(1, expiry, _sub(), signature);
    }

    function testSignatureForAnotherOwnerIsVoid() public {
        // Both have the same signer.
        DelegatingConsumer other = new DelegatingConsumer(address(registry), signer);
        bytes memory signature = _signature(1, _sub());
        Subscription memory sub = _sub();
        sub.owner = address(other);
        vm.expectRevert(EIP712Coordinator.SignerMismatch.selector);
        coordinator.createSubscriptionSigned(1, expiry, sub, signature);
    }
}
