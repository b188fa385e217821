// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {DelegationSetup} from "../support/DelegationSetup.sol";
import {TypedData} from "../support/TypedData.sol";
import {EIP712Coordinator} from "src/EIP712Coordinator.sol";
import {Subscription} from "src/interface/ICoordinator.sol";

contract TypedDataTest is DelegationSetup {
    string private constant SUBSCRIPTION =
        "Subscription(address owner,uint32 activeAt,uint32 period,uint32 frequency,uint16 redundancy,bytes32 containerId,bool lazy,address verifier,uint256 paymentAmount,address paymentToken,address wallet)";

    function testTypesHashToWhatWasPublished() public pure {
        assertEq(keccak256(bytes(SUBSCRIPTION)), TypedData.SUBSCRIPTION_TYPEHASH);
        string memory delegate = "DelegateSubscription(uint32 nonce,uint32 expiry,Subscription sub)";
        assertEq(keccak256(bytes.concat(bytes(delegate), bytes(SUBSCRIPTION))), TypedData.DELEGATE_TYPEHASH);
    }

    function testDomainIsNamed() public view {
        assertEq(coordinator.EIP712_NAME(), "InfernetCoordinator");
        assertEq(coordinator.EIP712_VERSION(), "1");
    }

    function testDomainIsToldByEIP5267() public view {
        (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        ) = coordinator.eip712Domain();
        assertEq(fields, bytes1(0x0f));
        assertEq(name, "InfernetCoordinator");
        assertEq(version, "1");
        assertEq(chainId, block.chainid);
        assertEq(verifyingContract, address(coordinator));
        assertEq(salt, bytes32(0));
        assertEq(extensions.length, 0);
    }

    /// @dev Each member with a value of its own: one that was hashed out of turn, or left out, would give another digest.
    function testSignatureCoversEachMember(
        uint32 nonce,
        uint32[3] calldata times,
        uint16 redundancy,
        bytes32 containerId,
        bool lazy,
        address[3] calldata accounts,
        uint256 amount
    ) public {
        Subscription memory sub = Subscription({
            owner: address(delegator),
            activeAt: times[0],
            period: times[1],
            frequency: times[2],
            redundancy: redundancy,
            containerId: containerId,
            lazy: lazy,
            verifier: payable(accounts[0]),
            paymentAmount: amount,
            paymentToken: accounts[1],
            wallet: payable(accounts[2])
        });
        uint32 id = _delegate(nonce, sub);
        assertEq(abi.encode(coordinator.getSubscription(id)), abi.encode(sub));
    }

    function testCannotUseASignatureForAnotherNonce() public {
        Signature memory signature = _sign(1, _sub());
        vm.expectRevert(EIP712Coordinator.SignerMismatch.selector);
        _submit(2, expiry, _sub(), signature);
    }

    function testCannotUseASignatureForAnotherExpiry() public {
        Signature memory signature = _sign(1, _sub());
        vm.expectRevert(EIP712Coordinator.SignerMismatch.selector);
        _submit(1, expiry + 1, _sub(), signature);
    }

    function testCannotUseASignatureOnAnotherChain() public {
        Signature memory signature = _sign(1, _sub());
        vm.chainId(4242);
        vm.expectRevert(EIP712Coordinator.SignerMismatch.selector);
        _submit(1, expiry, _sub(), signature);
    }

    function testCannotUseASignatureAtAnotherCoordinator() public {
        Subscription memory sub = _sub();
        Signature memory signature = _sign(1, sub);
        EIP712Coordinator other = new EIP712Coordinator(registry);
        vm.expectRevert(EIP712Coordinator.SignerMismatch.selector);
        other.createSubscriptionDelegatee(1, expiry, sub, signature.v, signature.r, signature.s);
    }

    /// @dev The same code at another address, with whatever its constructor has noted.
    function testFollowsItsAddress() public {
        address moved = makeAddr("moved");
        vm.etch(moved, address(coordinator).code);
        Subscription memory sub = _sub();
        Signature memory old = _sign(1, sub);
        vm.expectRevert(EIP712Coordinator.SignerMismatch.selector);
        EIP712Coordinator(moved).createSubscriptionDelegatee(1, expiry, sub, old.v, old.r, old.s);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(signerKey, TypedData.digest(moved, 1, expiry, sub));
        EIP712Coordinator(moved).createSubscriptionDelegatee(1, expiry, sub, v, r, s);
        (,,,, address verifyingContract,,) = EIP712Coordinator(moved).eip712Domain();
        assertEq(verifyingContract, moved);
    }

    function testFollowsTheChainWhenItSplits() public {
        vm.chainId(4242);
        assertEq(_delegate(1, _sub()), 1);
    }
}
