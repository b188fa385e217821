// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {DelegationSetup} from "../support/DelegationSetup.sol";
import {EIP712Coordinator} from "src/EIP712Coordinator.sol";
import {ICoordinator, Subscription} from "src/interface/ICoordinator.sol";
import {Delegator} from "src/pattern/Delegator.sol";
import {ECDSA} from "solady/utils/ECDSA.sol";

contract DelegatedCreationTest is DelegationSetup {
    uint256 private constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    function testAnyoneMaySubmit(address caller) public {
        Subscription memory sub = _sub();
        Signature memory signature = _sign(0, sub);
        vm.prank(caller);
        assertEq(_submit(0, expiry, sub, signature), 1);
        assertEq(coordinator.getSubscription(1).owner, address(delegator));
    }

    function testTellsTheId() public {
        _callback(1);
        Subscription memory sub = _sub();
        Signature memory signature = _sign(0, sub);
        vm.expectEmit(address(coordinator));
        emit ICoordinator.SubscriptionCreated(2);
        assertEq(_submit(0, expiry, sub, signature), 2);
        assertEq(coordinator.id(), 3);
    }

    function testIsActiveWhenItWasSignedToBe() public {
        Subscription memory sub = _sub();
        sub.activeAt = expiry + 1 days;
        sub.period = 60;
        assertEq(coordinator.getSubscription(_delegate(0, sub)).activeAt, sub.activeAt);
        sub.activeAt = 5;
        assertEq(coordinator.getSubscription(_delegate(1, sub)).activeAt, 5);
    }

    function testCannotSubmitAtTheExpiry() public {
        Subscription memory sub = _sub();
        Signature memory signature = _sign(0, sub);
        vm.warp(expiry);
        vm.expectRevert(EIP712Coordinator.SignatureExpired.selector);
        _submit(0, expiry, sub, signature);
    }

    function testMaySubmitInTheLastSecond() public {
        Subscription memory sub = _sub();
        vm.warp(expiry - 1);
        assertEq(_delegate(0, sub), 1);
    }

    function testCannotSignForAnother() public {
        (, uint256 key) = makeAddrAndKey("stranger");
        Signature memory signature = _signAs(key, 0, expiry, _sub());
        vm.expectRevert(EIP712Coordinator.SignerMismatch.selector);
        _submit(0, expiry, _sub(), signature);
    }

    function testCannotSignForAnotherOwner() public {
        Subscription memory sub = _sub();
        Signature memory signature = _sign(0, sub);
        sub.owner = address(consumer);
        // It has no signer to ask for.
        vm.expectRevert(bytes(""));
        _submit(0, expiry, sub, signature);
    }

    function testCannotSubmitWithoutASignature() public {
        vm.expectRevert(ECDSA.InvalidSignature.selector);
        _submit(0, expiry, _sub(), Signature(0, 0, 0));
    }

    function testCannotSubmitAnotherRecoveryByte(uint8 v) public {
        vm.assume(v != 27 && v != 28);
        Signature memory signature = _sign(0, _sub());
        signature.v = v;
        vm.expectRevert(ECDSA.InvalidSignature.selector);
        _submit(0, expiry, _sub(), signature);
    }

    function testExpiredBeforeMalformed() public {
        vm.warp(expiry);
        vm.expectRevert(EIP712Coordinator.SignatureExpired.selector);
        _submit(0, expiry, _sub(), Signature(0, 0, 0));
    }

    function testMalformedBeforeMismatch() public {
        delegator.setSigner(owner);
        vm.expectRevert(ECDSA.InvalidSignature.selector);
        _submit(0, expiry, _sub(), Signature(29, bytes32(uint256(1)), bytes32(uint256(1))));
    }

    function testMalformedBeforeOwnerWithoutSigner() public {
        Subscription memory sub = _sub();
        sub.owner = address(consumer);
        vm.expectRevert(ECDSA.InvalidSignature.selector);
        _submit(0, expiry, sub, Signature(0, 0, 0));
    }

    function testMalformedBeforeOwnerWithoutCode() public {
        Subscription memory sub = _sub();
        sub.owner = makeAddr("no code");
        vm.expectRevert(ECDSA.InvalidSignature.selector);
        _submit(0, expiry, sub, Signature(0, 0, 0));
    }

    function testMalformedBeforeSignerThatIsNoAddress() public {
        Subscription memory sub = _sub();
        vm.mockCall(sub.owner, abi.encodeCall(Delegator.getSigner, ()), abi.encode(type(uint256).max));
        vm.expectRevert(ECDSA.InvalidSignature.selector);
        _submit(0, expiry, sub, Signature(0, 0, 0));
    }

    /// @dev Unlike the first deployments (D12), which took either of the two forms.
    function testCannotSubmitTheSecondForm() public {
        Signature memory signature = _sign(0, _sub());
        signature.v = signature.v == 27 ? 28 : 27;
        signature.s = bytes32(ORDER - uint256(signature.s));
        vm.expectRevert(ECDSA.InvalidSignature.selector);
        _submit(0, expiry, _sub(), signature);
    }

    /// @dev An account that has taken on code (EIP-7702), which knows nothing of signatures.
    function testSignerMayHaveTakenOnCode() public {
        vm.etch(signer, address(token).code);
        assertEq(_delegate(0, _sub()), 1);
    }

    function testCannotSignForAnAccountThatHasTakenOnCode() public {
        vm.etch(signer, address(token).code);
        (, uint256 key) = makeAddrAndKey("stranger");
        Signature memory signature = _signAs(key, 0, expiry, _sub());
        vm.expectRevert(EIP712Coordinator.SignerMismatch.selector);
        _submit(0, expiry, _sub(), signature);
    }

    function testOwnerCancelsIt() public {
        uint32 id = _delegate(0, _sub());
        delegator.cancel(id);
        assertEq(coordinator.getSubscription(id).activeAt, type(uint32).max);
    }
}
