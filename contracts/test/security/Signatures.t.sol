// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Delegated} from "./Delegated.sol";
import {EIP712Coordinator} from "src/EIP712Coordinator.sol";
import {ECDSA} from "solady/utils/ECDSA.sol";

/// @dev A signer that is a contract (EIP-1271), and says or does what it is told to.
contract ContractSigner {
    enum Way {
        Accept,
        Refuse,
        Revert,
        Short,
        Dirty,
        Long
    }

    Way private _way;
    bytes32 public accepts;

    function set(Way way, bytes32 digest) external {
        (_way, accepts) = (way, digest);
    }

    function isValidSignature(bytes32 digest, bytes calldata) external view returns (bytes4) {
        if (_way == Way.Accept) return digest == accepts ? bytes4(0x1626ba7e) : bytes4(0);
        if (_way == Way.Revert) revert();
        assembly {
            // The magic value, but cut, with something beside it, or none at all.
            mstore(0, shl(224, 0x1626ba7e))
            switch sload(0)
            case 3 { return(0, 4) }
            case 4 {
                mstore(4, not(0))
                return(0, 0x20)
            }
            case 5 {
                mstore(0, 0)
                return(0, 100000)
            }
        }
        return bytes4(0xffffffff);
    }
}

/// @notice Signatures that were taken back, bent, or never made.
contract SignaturesTest is Delegated {
    function _cannotCreate(bytes4 selector) internal {
        (uint8 v, bytes32 r, bytes32 s) = _sign(1, _sub());
        _cannotCreate(v, r, s, selector);
    }

    function _cannotCreate(uint8 v, bytes32 r, bytes32 s, bytes4 selector) internal {
        vm.expectRevert(selector);
        coordinator.createSubscriptionDelegatee(1, expiry, _sub(), v, r, s);
    }

    function testOwnerTakesANonceBack() public {
        delegator.invalidate(1);
        assertTrue(coordinator.isNonceInvalidated(address(delegator), 1));
        _cannotCreate(EIP712Coordinator.NonceInvalidated.selector);
    }

    function testSignerTakesANonceBack() public {
        vm.prank(signer);
        coordinator.invalidateNonce(address(delegator), 1);
        _cannotCreate(EIP712Coordinator.NonceInvalidated.selector);
    }

    function testStrangersCannotTakeANonceBack(address stranger) public {
        vm.assume(stranger != signer && stranger != address(delegator));
        vm.prank(stranger);
        vm.expectRevert(EIP712Coordinator.NotDelegator.selector);
        coordinator.invalidateNonce(address(delegator), 1);
    }

    function testCannotTakeBackWhatIsCreated() public {
        uint32 id = _create(1);
        vm.prank(signer);
        vm.expectRevert(EIP712Coordinator.NonceUsed.selector);
        coordinator.invalidateNonce(address(delegator), 1);
        assertEq(_create(1), id);
    }

    function testOtherNoncesStay() public {
        delegator.invalidate(1);
        assertGt(_create(2), 0);
    }

    function testReplacedSignerSignsNothing() public {
        delegator.updateSigner(node);
        _cannotCreate(EIP712Coordinator.SignerMismatch.selector);
    }

    function testNobodyIsNoSigner() public {
        // What cannot be recovered is the zero address: it must not be taken for a signer of zero.
        delegator.updateSigner(NOBODY);
        _cannotCreate(27, bytes32(0), bytes32(0), ECDSA.InvalidSignature.selector);
        _cannotCreate(EIP712Coordinator.SignerMismatch.selector);
    }

    function testCannotBendTheSignature() public {
        (uint8 v, bytes32 r, bytes32 s) = _sign(1, _sub());
        _cannotCreate(v ^ 7, r, bytes32(ORDER - uint256(s)), ECDSA.InvalidSignature.selector);
    }

    function testCannotSignWithAnotherV(uint8 v) public {
        vm.assume(v != 27 && v != 28);
        (, bytes32 r, bytes32 s) = _sign(1, _sub());
        _cannotCreate(v, r, s, ECDSA.InvalidSignature.selector);
    }

    function testCannotSignInAnotherLength(bytes calldata signature) public {
        vm.assume(signature.length != 65);
        vm.expectRevert(ECDSA.InvalidSignature.selector);
        coordinator.createSubscriptionSigned(1, expiry, _sub(), signature);
    }

    function testCannotSignInShort() public {
        // EIP-2098, with v in the highest bit of s: a second form of the same signature.
        (uint8 v, bytes32 r, bytes32 s) = _sign(1, _sub());
        bytes memory short = abi.encodePacked(r, bytes32(uint256(s) | (uint256(v - 27) << 255)));
        vm.expectRevert(ECDSA.InvalidSignature.selector);
        coordinator.createSubscriptionSigned(1, expiry, _sub(), short);
    }

    function testCannotSubmitTooLate() public {
        skip(1 days);
        _cannotCreate(EIP712Coordinator.SignatureExpired.selector);
    }

    function testContractAccepts(bytes calldata signature) public {
        _contractSigner(ContractSigner.Way.Accept);
        assertGt(coordinator.createSubscriptionSigned(1, expiry, _sub(), signature), 0);
    }

    function testContractAcceptsNothingElse() public {
        _contractSigner(ContractSigner.Way.Accept);
        vm.expectRevert(EIP712Coordinator.SignerMismatch.selector);
        coordinator.createSubscriptionSigned(2, expiry, _sub(), "");
    }

    function testContractThatDoesNotAccept(uint8 way) public {
        _contractSigner(ContractSigner.Way(bound(way, 1, 5)));
        _cannotCreate(EIP712Coordinator.SignerMismatch.selector);
    }

    function _contractSigner(ContractSigner.Way way) private {
        ContractSigner contractSigner = new ContractSigner();
        contractSigner.set(way, _digest(1, _sub()));
        delegator.updateSigner(address(contractSigner));
    }
}
