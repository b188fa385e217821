// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {EIP712Coordinator} from "src/EIP712Coordinator.sol";
import {Inbox} from "src/Inbox.sol";
import {Registry} from "src/Registry.sol";
import {BaseConsumer} from "src/consumer/Base.sol";
import {Allowlist} from "src/pattern/Allowlist.sol";
import {Delegator} from "src/pattern/Delegator.sol";
import {Fee} from "src/payments/Fee.sol";
import {IVerifier} from "src/payments/IVerifier.sol";
import {Wallet} from "src/payments/Wallet.sol";
import {WalletFactory} from "src/payments/WalletFactory.sol";
import {Reader} from "src/utility/Reader.sol";
import {Test} from "../support/Test.sol";

/// @notice The selectors that nodes and consumers call.
contract AbiFunctionsTest is Test {
    function _same(bytes4 actual, uint32 published) private pure {
        assertEq(bytes32(actual), bytes32(bytes4(published)));
    }

    function testCoordinator() public view {
        EIP712Coordinator c;
        _same(c.createSubscription.selector, 0x84050893);
        _same(c.cancelSubscription.selector, 0x31e451a9);
        _same(c.deliverCompute.selector, 0xc509543d);
        _same(c.finalizeProofVerification.selector, 0x196ab123);
        _same(c.getSubscription.selector, 0xa17b920b);
        _same(c.getSubscriptionInterval.selector, 0x836a6cc9);
        _same(c.id.selector, 0xaf640d0f);
        _same(c.nodeResponded.selector, 0x298f7bdc);
        _same(c.proofRequests.selector, 0xc34cf5c7);
        _same(c.redundancyCount.selector, 0xbc85694f);
    }

    function testDelegation() public view {
        EIP712Coordinator c;
        _same(c.createSubscriptionDelegatee.selector, 0x9c092514);
        _same(c.deliverComputeDelegatee.selector, 0x9fff314a);
        _same(c.delegateCreatedIds.selector, 0x60ed0f61);
        _same(c.maxSubscriberNonce.selector, 0x7fb61b27);
        _same(c.EIP712_NAME.selector, 0x3b2fb7a8);
        _same(c.EIP712_VERSION.selector, 0xeccec5a8);
        _same(c.eip712Domain.selector, 0x84b0196e);
    }

    function testInbox() public pure {
        Inbox i;
        _same(i.items.selector, 0x93eaef1f);
        _same(i.read.selector, 0x586a6094);
        _same(i.write.selector, 0x198896dd);
        _same(i.writeViaCoordinator.selector, 0x76a87949);
    }

    function testRegistry() public view {
        Registry r;
        _same(r.COORDINATOR.selector, 0x3b2bcbf1);
        _same(r.INBOX.selector, 0xb7010697);
        _same(r.READER.selector, 0x698eec44);
        _same(r.FEE.selector, 0xc57981b5);
        _same(r.WALLET_FACTORY.selector, 0x0e2009f4);
    }

    function testReader() public pure {
        Reader r;
        _same(r.readSubscriptionBatch.selector, 0x3ddc29f5);
        _same(r.readRedundancyCountBatch.selector, 0x757f1c84);
    }

    function testFee() public pure {
        Fee f;
        _same(f.FEE.selector, 0xc57981b5);
        _same(f.FEE_RECIPIENT.selector, 0xebd09054);
        _same(f.updateFee.selector, 0x2c6cda93);
    }

    function testWallet() public view {
        Wallet w;
        _same(w.allowance.selector, 0xdd62ed3e);
        _same(w.approve.selector, 0xe1f21c67);
        _same(w.withdraw.selector, 0xf3fef3a3);
        _same(w.cTransfer.selector, 0x0d67cfd9);
        _same(w.cLock.selector, 0xd0729347);
        _same(w.cUnlock.selector, 0xc7048369);
    }

    function testOwnership() public pure {
        Wallet w;
        Fee f;
        bytes4[7] memory ofWallets = [
            w.owner.selector,
            w.transferOwnership.selector,
            w.renounceOwnership.selector,
            w.requestOwnershipHandover.selector,
            w.cancelOwnershipHandover.selector,
            w.completeOwnershipHandover.selector,
            w.ownershipHandoverExpiresAt.selector
        ];
        bytes4[7] memory ofTheFee = [
            f.owner.selector,
            f.transferOwnership.selector,
            f.renounceOwnership.selector,
            f.requestOwnershipHandover.selector,
            f.cancelOwnershipHandover.selector,
            f.completeOwnershipHandover.selector,
            f.ownershipHandoverExpiresAt.selector
        ];
        uint32[7] memory published =
            [0x8da5cb5b, 0xf2fde38b, 0x715018a6, 0x25692962, 0x54d1f13d, 0xf04e283e, 0xfee81cf4];
        for (uint256 i = 0; i < 7; i++) {
            _same(ofWallets[i], published[i]);
            _same(ofTheFee[i], published[i]);
        }
    }

    function testWalletFactory() public view {
        WalletFactory f;
        _same(f.createWallet.selector, 0xb054a9e8);
        _same(f.isValidWallet.selector, 0x439a3012);
    }

    function testVerifier() public pure {
        IVerifier v;
        _same(v.getWallet.selector, 0x13299604);
        _same(v.isSupportedToken.selector, 0x240028e8);
        _same(v.fee.selector, 0x6fcca69b);
        _same(v.requestProofVerification.selector, 0x81e79a90);
    }

    function testConsumer() public pure {
        BaseConsumer b;
        _same(b.rawReceiveCompute.selector, 0x7a411a8d);
        _same(b.getContainerInputs.selector, 0x962fad75);
    }

    function testPatterns() public pure {
        Delegator d;
        Allowlist a;
        _same(d.getSigner.selector, 0x7ac3c02f);
        _same(a.isAllowedNode.selector, 0xa136e529);
    }
}
