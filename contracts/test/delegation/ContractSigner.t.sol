// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {DelegationSetup} from "../support/Delegation.sol";
import {EIP712Coordinator} from "src/EIP712Coordinator.sol";
import {Subscription} from "src/interface/ICoordinator.sol";

/// @notice A signer that is a contract judges signatures itself (EIP-1271).
contract ContractSignerTest is DelegationSetup {
    JudgingSigner private judge;

    function setUp() public override {
        super.setUp();
        judge = new JudgingSigner();
        delegated.updateSigner(address(judge));
    }

    function testCreatesWhatTheContractAccepts() public {
        Subscription memory sub = _delegatedSub();
        judge.accept(_digestOf(3, EXPIRY, sub), "any form");
        uint32 id = coordinator.createSubscriptionSigned(3, EXPIRY, sub, "any form");
        assertEq(abi.encode(coordinator.getSubscription(id)), abi.encode(sub));
    }

    function testAsksForSixtyFiveBytesInTheOldForm() public {
        Subscription memory sub = _delegatedSub();
        (bytes32 r, bytes32 s) = (bytes32(type(uint256).max), bytes32(type(uint256).max));
        judge.accept(_digestOf(3, EXPIRY, sub), abi.encodePacked(r, s, uint8(0)));
        assertEq(coordinator.createSubscriptionDelegatee(3, EXPIRY, sub, 0, r, s), 1);
    }

    function testDeliversWhatTheContractAccepts() public {
        Subscription memory sub = _delegatedSub();
        (bytes32 r, bytes32 s) = (bytes32("r"), bytes32("s"));
        judge.accept(_digestOf(3, EXPIRY, sub), abi.encodePacked(r, s, uint8(1)));
        vm.prank(node);
        coordinator.deliverComputeDelegatee(3, EXPIRY, sub, 1, r, s, 1, "input", "output", "", NOBODY);
        assertEq(delegated.last().output, "output");
    }

    function testCannotCreateWhatTheContractRefuses() public {
        _expectMismatch("other form");
    }

    function testCannotCreateWhatAnAccountHasSigned() public {
        _expectMismatch(_signature(3, _delegatedSub()));
    }

    function testCannotCreateForAContractThatReverts() public {
        judge.fail();
        _expectMismatch("any form");
    }

    function testCannotCreateForAContractThatDoesNotJudge() public {
        delegated.updateSigner(address(consumer));
        _expectMismatch("any form");
    }

    function testTakesBackAsAContract() public {
        vm.prank(address(judge));
        coordinator.invalidateNonce(address(delegated), 3);
        assertTrue(coordinator.isNonceInvalidated(address(delegated), 3));
    }

    function _expectMismatch(bytes memory signature) private {
        vm.expectRevert(EIP712Coordinator.SignerMismatch.selector);
        coordinator.createSubscriptionSigned(3, EXPIRY, _delegatedSub(), signature);
    }
}

/// @notice Accepts one signature of one digest.
contract JudgingSigner {
    bytes32 private accepted;
    bool private fails;

    function accept(bytes32 digest, bytes calldata signature) external {
        accepted = keccak256(abi.encode(digest, signature));
    }

    function fail() external {
        fails = true;
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        require(!fails, "no");
        return keccak256(abi.encode(digest, signature)) == accepted ? this.isValidSignature.selector : bytes4(0);
    }
}
