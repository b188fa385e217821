// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {DelegationSetup, SigningConsumer} from "../support/DelegationSetup.sol";
import {EIP712Coordinator} from "src/EIP712Coordinator.sol";
import {Subscription} from "src/interface/ICoordinator.sol";

contract NoncesTest is DelegationSetup {
    function testStandForTheirSubscription() public {
        uint32 id = _delegate(7, _sub());
        bytes memory words = abi.encodePacked(uint256(uint160(address(delegator))), uint256(7));
        assertEq(coordinator.delegateCreatedIds(keccak256(words)), id);
        assertEq(_idOf(6), 0);
    }

    function testComeInAnyOrder() public {
        uint32[4] memory nonces = [uint32(9), 0, type(uint32).max, 4];
        for (uint256 i = 0; i < 4; i++) {
            assertEq(_delegate(nonces[i], _sub()), i + 1);
        }
    }

    function testHighestIsNoted() public {
        uint32[4] memory nonces = [uint32(4), 9, 0, 5];
        uint32[4] memory highest = [uint32(4), 9, 9, 9];
        for (uint256 i = 0; i < 4; i++) {
            _delegate(nonces[i], _sub());
            assertEq(coordinator.maxSubscriberNonce(address(delegator)), highest[i]);
        }
    }

    function testZeroIsOne() public {
        uint32 id = _delegate(0, _sub());
        assertEq(_idOf(0), id);
        assertEq(coordinator.maxSubscriberNonce(address(delegator)), 0);
    }

    function testAreEachOwnersOwn() public {
        SigningConsumer other = new SigningConsumer(address(registry), signer);
        Subscription memory sub = _sub();
        uint32 first = _delegate(3, sub);
        sub.owner = address(other);
        assertEq(_delegate(3, sub), first + 1);
        assertEq(coordinator.maxSubscriberNonce(address(other)), 3);
    }

    function testUsedOneGivesItsSubscription() public {
        uint32 id = _delegate(3, _sub());
        assertEq(_delegate(3, _sub()), id);
        assertEq(coordinator.id(), id + 1);
    }

    function testUsedOneNeedsNoSignatureAndNoTime() public {
        uint32 id = _delegate(3, _sub());
        skip(30 days);
        assertEq(_submit(3, 0, _sub(), Signature(0, 0, 0)), id);
    }

    function testUsedOneOutlastsItsSigner() public {
        uint32 id = _delegate(3, _sub());
        delegator.setSigner(owner);
        assertEq(_submit(3, 0, _sub(), Signature(0, 0, 0)), id);
    }

    function testUsedOneStandsWhateverIsAskedFor() public {
        uint32 id = _delegate(3, _sub());
        Subscription memory other = _sub();
        other.containerId = "other";
        other.redundancy = 9;
        assertEq(_delegate(3, other), id);
        assertEq(coordinator.getSubscription(id).redundancy, 2);
    }

    function testUsedOneStandsForACancelledSubscription() public {
        uint32 id = _delegate(3, _sub());
        delegator.cancel(id);
        assertEq(_delegate(3, _sub()), id);
    }

    function testCannotUseWhatAnEarlierSignerSigned() public {
        Signature memory signature = _sign(3, _sub());
        (address next, uint256 nextKey) = makeAddrAndKey("next signer");
        delegator.setSigner(next);
        vm.expectRevert(EIP712Coordinator.SignerMismatch.selector);
        _submit(3, expiry, _sub(), signature);
        assertEq(_submit(3, expiry, _sub(), _signAs(nextKey, 3, expiry, _sub())), 1);
    }

    function testRefusedOneIsNotUsed() public {
        vm.expectRevert();
        _submit(3, expiry, _sub(), Signature(0, 0, 0));
        assertEq(_idOf(3), 0);
        assertEq(_delegate(3, _sub()), 1);
    }
}
