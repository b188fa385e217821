// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Subscription, Terms} from "../interface/ICoordinator.sol";

/// @notice A subscription as it is stored: what most leave at its default is zero, and costs nothing to store.
/// @param head owner (160 bits, lowest), activeAt, period (32 each), frequency (20), redundancy (8), lazy (1), and three flags: which of the
/// next slots are not zero. A delivery that is not paid needs this slot alone.
/// @param payment wallet (160 bits), amount (96)
/// @param terms verifier (160 bits), flags (8), expiresAt (32), maxFee (16)
/// @param large amount, frequency and redundancy, each where its bits above are all ones
struct Packed {
    uint256 head;
    bytes32 containerId;
    uint256 payment;
    uint256 terms;
    address token;
    uint256 largeAmount;
    uint256 largeFrequency;
    uint256 largeRedundancy;
}

using PackedLib for Packed global;

/// @title PackedLib
/// @notice Between `Subscription` and its slots. Each part is read by itself, and only where it was written.
library PackedLib {
    /// @dev In `terms`.
    uint256 internal constant PREPAID = 1 << 160;
    uint256 internal constant COMMITTED = 1 << 161;
    uint256 internal constant REFUND_ON_SILENCE = 1 << 162;

    /// @dev In `head`.
    uint256 private constant LAZY = 1 << 252;
    uint256 private constant HAS_PAYMENT = 1 << 253;
    uint256 private constant HAS_TERMS = 1 << 254;
    uint256 private constant HAS_TOKEN = 1 << 255;
    uint256 private constant LARGE_FREQUENCY = (1 << 20) - 1;
    uint256 private constant LARGE_REDUNDANCY = (1 << 8) - 1;
    uint256 private constant LARGE_AMOUNT = type(uint96).max;
    uint256 private constant CANCELLED = uint256(type(uint32).max) << 160;

    function store(Packed storage self, Subscription memory sub, uint256 flags) internal {
        uint256 head = _storePayment(self, sub) | _storeTerms(self, sub, flags) | _storeCounts(self, sub);
        if (sub.lazy) head |= LAZY;
        if (sub.paymentToken != address(0)) {
            self.token = sub.paymentToken;
            head |= HAS_TOKEN;
        }
        self.containerId = sub.containerId;
        self.head = head | uint256(uint160(sub.owner)) | (uint256(sub.activeAt) << 160) | (uint256(sub.period) << 192);
    }

    function load(Packed storage self) internal view returns (Subscription memory sub) {
        uint256 head = self.head;
        uint256 payment = self.paymentOf(head);
        uint256 terms = self.termsOf(head);
        sub.owner = ownerOf(head);
        sub.activeAt = activeAtOf(head);
        sub.period = periodOf(head);
        sub.frequency = self.frequencyOf(head);
        sub.redundancy = self.redundancyOf(head);
        sub.containerId = self.containerId;
        sub.lazy = isLazy(head);
        sub.verifier = payable(verifierOf(terms));
        sub.paymentAmount = self.amountOf(payment);
        sub.paymentToken = self.tokenOf(head);
        sub.wallet = payable(walletOf(payment));
    }

    function paymentOf(Packed storage self, uint256 head) internal view returns (uint256) {
        return head & HAS_PAYMENT > 0 ? self.payment : 0;
    }

    function termsOf(Packed storage self, uint256 head) internal view returns (uint256) {
        return head & HAS_TERMS > 0 ? self.terms : 0;
    }

    function tokenOf(Packed storage self, uint256 head) internal view returns (address) {
        return head & HAS_TOKEN > 0 ? self.token : address(0);
    }

    function frequencyOf(Packed storage self, uint256 head) internal view returns (uint32) {
        uint256 frequency = (head >> 224) & LARGE_FREQUENCY;
        return uint32(frequency == LARGE_FREQUENCY ? self.largeFrequency : frequency);
    }

    function redundancyOf(Packed storage self, uint256 head) internal view returns (uint16) {
        uint256 redundancy = (head >> 244) & LARGE_REDUNDANCY;
        return uint16(redundancy == LARGE_REDUNDANCY ? self.largeRedundancy : redundancy);
    }

    function amountOf(Packed storage self, uint256 payment) internal view returns (uint256 amount) {
        amount = payment >> 160;
        if (amount == LARGE_AMOUNT) amount = self.largeAmount;
    }

    function cancel(Packed storage self, uint256 head) internal {
        self.head = head | CANCELLED;
    }

    /// @dev Of a subscription that has terms.
    function setExpiry(Packed storage self, uint256 terms, uint32 expiresAt) internal {
        self.terms = (terms & ~(uint256(type(uint32).max) << 168)) | (uint256(expiresAt) << 168);
    }

    /// @return flags To be stored with a subscription.
    function pack(Terms calldata terms) internal pure returns (uint256 flags) {
        if (terms.prepaid) flags |= PREPAID;
        if (terms.committed) flags |= COMMITTED;
        if (terms.refundOnSilence) flags |= REFUND_ON_SILENCE;
        flags |= (uint256(terms.expiresAt) << 168) | (uint256(terms.maxFee) << 200);
    }

    function unpack(uint256 terms) internal pure returns (Terms memory) {
        return Terms({
            expiresAt: expiresAtOf(terms),
            maxFee: maxFeeOf(terms),
            prepaid: terms & PREPAID > 0,
            committed: terms & COMMITTED > 0,
            refundOnSilence: terms & REFUND_ON_SILENCE > 0
        });
    }

    /// @dev Each of these returns its part of the head.
    function _storePayment(Packed storage self, Subscription memory sub) private returns (uint256) {
        uint256 amount = sub.paymentAmount;
        if (amount >= LARGE_AMOUNT) {
            self.largeAmount = amount;
            amount = LARGE_AMOUNT;
        }
        uint256 payment = uint256(uint160(address(sub.wallet))) | (amount << 160);
        if (payment == 0) return 0;
        self.payment = payment;
        return HAS_PAYMENT;
    }

    function _storeTerms(Packed storage self, Subscription memory sub, uint256 flags) private returns (uint256) {
        uint256 terms = uint256(uint160(address(sub.verifier))) | flags;
        if (terms == 0) return 0;
        self.terms = terms;
        return HAS_TERMS;
    }

    function _storeCounts(Packed storage self, Subscription memory sub) private returns (uint256) {
        uint256 frequency = sub.frequency;
        if (frequency >= LARGE_FREQUENCY) {
            self.largeFrequency = frequency;
            frequency = LARGE_FREQUENCY;
        }
        uint256 redundancy = sub.redundancy;
        if (redundancy >= LARGE_REDUNDANCY) {
            self.largeRedundancy = redundancy;
            redundancy = LARGE_REDUNDANCY;
        }
        return (frequency << 224) | (redundancy << 244);
    }

    function ownerOf(uint256 head) internal pure returns (address) {
        return address(uint160(head));
    }

    function activeAtOf(uint256 head) internal pure returns (uint32) {
        return uint32(head >> 160);
    }

    function periodOf(uint256 head) internal pure returns (uint32) {
        return uint32(head >> 192);
    }

    function isLazy(uint256 head) internal pure returns (bool) {
        return head & LAZY > 0;
    }

    function walletOf(uint256 payment) internal pure returns (address) {
        return address(uint160(payment));
    }

    function verifierOf(uint256 terms) internal pure returns (address) {
        return address(uint160(terms));
    }

    function expiresAtOf(uint256 terms) internal pure returns (uint32) {
        return uint32(terms >> 168);
    }

    function maxFeeOf(uint256 terms) internal pure returns (uint16) {
        return uint16(terms >> 200);
    }
}
