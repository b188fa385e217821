// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Attack} from "./Attack.sol";
import {Request, Terms} from "src/interface/ICoordinator.sol";

/// @notice Whatever order things happen in: what wallets have locked is what the coordinator's books say, to the unit, and nothing that is
/// locked can leave otherwise.
contract LockBooksTest is Attack {
    uint32[] internal ids;
    address[] internal nodes;

    function setUp() public override {
        super.setUp();
        nodes = [node, makeAddr("second"), makeAddr("third")];
        for (uint256 i = 0; i < nodes.length; i++) {
            _setAllowance(nodeWallet, nodes[i], ETH, FUNDS);
        }
    }

    function testWalletsLockWhatIsOpen(uint256[20] calldata steps) public {
        for (uint256 i = 0; i < steps.length; i++) {
            _step(steps[i]);
            _check();
        }
    }

    function _step(uint256 seed) private {
        uint256 kind = seed % 8;
        if (kind == 0 || ids.length == 0) return _ask(seed >> 8);
        uint32 id = ids[(seed >> 8) % ids.length];
        address as_ = nodes[(seed >> 16) % nodes.length];
        vm.warp(vm.getBlockTimestamp() + ((seed >> 24) % 2) * ((seed >> 32) % 3 days));
        // What is refused must leave nothing: that is what is checked after it.
        if (kind < 4) {
            atomic.setVerdict(seed >> 64 & 1 == 1);
            vm.prank(as_);
            try coordinator.deliverCompute(id, 1, "", "", "", address(nodeWallet)) {} catch {}
        } else if (kind == 4) {
            try optimistic.finalize(id, 1, as_, seed >> 64 & 1 == 1) {} catch {}
        } else if (kind == 5) {
            try coordinator.reclaimPrepayment(id) {} catch {}
        } else if (kind == 6) {
            consumer.cancel(id);
        } else {
            vm.prank(owner);
            try (seed >> 64 & 1 == 1 ? wallet : nodeWallet).withdraw(ETH, (seed >> 72) % 100 ether) {} catch {}
        }
    }

    function _ask(uint256 seed) private {
        address verifier = [NOBODY, address(atomic), address(optimistic)][seed % 3];
        optimistic.setFee(ETH, (seed >> 64) % 0.5 ether);
        Request memory request = _request(ETH, PRICE + (seed >> 128) % 1 ether, verifier);
        request.redundancy = uint16(1 + (seed >> 8) % 3);
        Terms memory terms = _noTerms();
        terms.prepaid = seed >> 16 & 1 == 1;
        terms.refundOnSilence = seed >> 17 & 1 == 1;
        try consumer.open(request, terms) returns (uint32 id) {
            ids.push(id);
        } catch {}
    }

    function _check() private view {
        uint256 ofConsumer;
        uint256 ofNodes;
        for (uint256 i = 0; i < ids.length; i++) {
            ofConsumer += coordinator.prepayments(ids[i]);
            for (uint256 j = 0; j < nodes.length; j++) {
                (uint32 expiry,, uint256 escrow) = coordinator.proofRequests(_key(ids[i], nodes[j]));
                ofConsumer += escrow;
                if (expiry > 0) ofNodes += coordinator.getSubscription(ids[i]).paymentAmount;
            }
        }
        assertEq(wallet.lockedBalance(ETH), ofConsumer);
        assertEq(nodeWallet.lockedBalance(ETH), ofNodes);
        assertGe(address(wallet).balance, ofConsumer);
        assertGe(address(nodeWallet).balance, ofNodes);
    }
}
