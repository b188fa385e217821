// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Subscription, Terms} from "src/interface/ICoordinator.sol";
import {MoodyConsumer, MoodyVerifier} from "./Actors.sol";
import {Ledger} from "./Ledger.sol";

/// @title Model
/// @notice What the coordinator ought to do, on the books of `Ledger`: who is paid what, which answers count, what stays open.
abstract contract Model is Ledger {
    /// @dev A subscription as it was asked for, and what has become of it.
    struct Asked {
        Subscription sub;
        Terms terms;
        bool cancelled;
        /// @dev Of a prepayment: all of it; what is left; what answers have cost, but for those judged invalid whose stake
        /// made it whole; what went back.
        uint256 prepaid;
        uint256 left;
        uint256 spent;
        uint256 reclaimed;
    }

    struct Open {
        uint32 id;
        uint32 interval;
        address node;
        address wallet;
        uint256 escrow;
        uint256 expiry;
    }

    uint256 internal constant WINDOW = 7 days;
    uint256 internal constant NOTICE = 1 hours;

    uint256 internal feeBps;
    address internal recipient;
    mapping(address wallet => bool) internal isWallet;

    Asked[] internal asked;
    mapping(uint32 id => mapping(uint32 interval => uint256)) public counts;
    mapping(uint32 id => mapping(uint32 interval => mapping(address node => bool))) public responded;
    mapping(uint32 id => mapping(uint32 interval => mapping(address node => uint256))) internal payouts;
    Open[] internal open;
    mapping(uint32 id => mapping(uint32 interval => mapping(address node => uint256 place))) internal places;
    /// @notice Answers that a consumer was given.
    mapping(address consumer => uint256) public received;

    function spec_open(Subscription memory sub, Terms memory terms) external model {
        Asked storage a = asked.push();
        a.sub = sub;
        a.terms = terms;
        if (!terms.prepaid) return;
        a.prepaid = a.left = sub.paymentAmount * sub.redundancy * sub.frequency;
        _lock(sub.wallet, sub.owner, sub.paymentToken, a.left);
    }

    function spec_cancel(uint32 id) external model {
        Asked storage a = asked[id - 1];
        if (!a.terms.prepaid) {
            a.cancelled = true;
            return;
        }
        uint32 end = uint32(block.timestamp + NOTICE);
        if (a.terms.expiresAt == 0 || end < a.terms.expiresAt) a.terms.expiresAt = end;
    }

    function spec_reclaim(uint32 id) external model {
        Asked storage a = asked[id - 1];
        require(_isOver(a), "not over");
        _unlock(a.sub.wallet, a.sub.owner, a.sub.paymentToken, a.left);
        a.reclaimed += a.left;
        a.left = 0;
    }

    function spec_fail(uint32 id, uint32 interval, address node) external model {
        Asked storage a = asked[id - 1];
        _checkOpen(a, interval);
        require(counts[id][interval] < a.sub.redundancy, "complete");
        require(!responded[id][interval][node], "responded");
        responded[id][interval][node] = true;
    }

    /// @param minPayout What the node wants at least, as the verifier's fee is before the delivery, and as it is in the course of it.
    function spec_deliver(uint32 id, uint32 interval, address node, address wallet, bool revealed, uint256 minPayout)
        external
        model
    {
        require(_payoutOf(id) >= minPayout, "payout");
        _deliver(id, interval, node, wallet, revealed);
        require(_payoutOf(id) >= minPayout, "payout");
    }

    function _deliver(uint32 id, uint32 interval, address node, address wallet, bool revealed) private {
        Asked storage a = asked[id - 1];
        _checkOpen(a, interval);
        require(counts[id][interval] < a.sub.redundancy, "complete");
        require(!responded[id][interval][node], "responded");
        require(!a.terms.committed || revealed, "commitment");
        responded[id][interval][node] = true;
        counts[id][interval]++;
        if (a.sub.paymentAmount > 0 && !_charge(a, id, interval, node, wallet)) return;
        require(MoodyConsumer(a.sub.owner).mood() != MoodyConsumer.Mood.Reverts, "consumer");
        received[a.sub.owner]++;
        told.accepted++;
    }

    function spec_finalize(uint32 id, uint32 interval, address node, bool valid, address caller) external model {
        uint256 place = places[id][interval][node];
        require(place > 0, "not open");
        Open memory o = open[place - 1];
        require(block.timestamp >= o.expiry || caller == asked[id - 1].sub.verifier, "verifier");
        _close(o, valid);
    }

    /// @return counts_ Whether the answer counts, and so reaches the consumer.
    function _charge(Asked storage a, uint32 id, uint32 interval, address node, address wallet)
        private
        returns (bool counts_)
    {
        Subscription memory sub = a.sub;
        require(isWallet[wallet] && isWallet[sub.wallet], "wallet");
        uint256 bps = recipient == address(0) ? 0 : feeBps;
        require(a.terms.maxFee == 0 || bps <= a.terms.maxFee, "fee");
        uint256 taken = sub.paymentAmount * (2 * bps) / 10_000;
        uint256 left = sub.paymentAmount - taken;
        if (a.terms.prepaid) {
            require(a.left >= sub.paymentAmount, "spent");
            a.left -= sub.paymentAmount;
            a.spent += sub.paymentAmount;
        }
        if (sub.verifier == address(0)) {
            _charge(a, recipient, taken);
            _charge(a, wallet, left);
            payouts[id][interval][node]++;
            return true;
        }
        MoodyVerifier verifier = MoodyVerifier(sub.verifier);
        (MoodyVerifier.Mood mood, bool intrudes,, bool refuses,,) = verifier.conduct();
        uint256 fee = _feeOf(verifier);
        require(!refuses && fee <= left && mood != MoodyVerifier.Mood.Reverts, "verifier");
        uint256 takenOfFee = fee * bps / 10_000;
        left -= fee;
        // One by one where not all of it is there at once: of a token that takes a cut, another unit may arrive.
        bool together = a.terms.prepaid
            || (allowances[sub.paymentToken][sub.wallet][sub.owner] >= sub.paymentAmount
                && _free(sub.wallet, sub.paymentToken) >= sub.paymentAmount);
        _charge(a, recipient, together ? taken + takenOfFee : taken);
        if (!together) _charge(a, recipient, takenOfFee);
        _charge(a, sub.verifier, fee - takenOfFee);
        _lock(wallet, node, sub.paymentToken, sub.paymentAmount);
        if (!a.terms.prepaid) _lock(sub.wallet, sub.owner, sub.paymentToken, left);
        open.push(Open(id, interval, node, wallet, left, block.timestamp + WINDOW));
        places[id][interval][node] = open.length;
        if (intrudes) {
            allowances[verifier.token()][address(verifier.wallet())][verifier.spender()] = type(uint256).max;
        }
        if (mood == MoodyVerifier.Mood.Silent) return true;
        _close(open[open.length - 1], mood == MoodyVerifier.Mood.Valid);
        return mood == MoodyVerifier.Mood.Valid;
    }

    /// @dev What a verifier asks for, which is more as soon as the answer that it watches is under way.
    function _feeOf(MoodyVerifier verifier) private view returns (uint256 fee) {
        uint256 surcharge;
        (,,,, fee, surcharge) = verifier.conduct();
        (uint32 id, uint32 interval, address node) = verifier.watched();
        if (responded[id][interval][node]) fee += surcharge;
    }

    /// @dev What an answer would bring the node.
    function _payoutOf(uint32 id) private view returns (uint256) {
        Subscription memory sub = asked[id - 1].sub;
        uint256 taken = sub.paymentAmount * (2 * (recipient == address(0) ? 0 : feeBps)) / 10_000;
        if (sub.paymentAmount > 0 && sub.verifier != address(0)) taken += _feeOf(MoodyVerifier(sub.verifier));
        return sub.paymentAmount > taken ? sub.paymentAmount - taken : 0;
    }

    function _charge(Asked storage a, address to, uint256 amount) private {
        if (a.terms.prepaid) require(_settle(a.sub.wallet, a.sub.paymentToken, to, amount), "stuck");
        else _pay(a.sub.wallet, a.sub.owner, a.sub.paymentToken, to, amount);
    }

    function _close(Open memory o, bool valid) private {
        Asked storage a = asked[o.id - 1];
        bool inTime = block.timestamp < o.expiry;
        if (inTime && !valid) _slash(a, o);
        else _release(a, o, inTime || !a.terms.refundOnSilence);
        uint256 place = places[o.id][o.interval][o.node];
        Open memory last = open[open.length - 1];
        open[place - 1] = last;
        places[last.id][last.interval][last.node] = place;
        places[o.id][o.interval][o.node] = 0;
        open.pop();
    }

    function _release(Asked storage a, Open memory o, bool earned) private {
        _unlock(o.wallet, o.node, a.sub.paymentToken, a.sub.paymentAmount);
        if (earned) {
            _settle(a.sub.wallet, a.sub.paymentToken, o.wallet, o.escrow);
            payouts[o.id][o.interval][o.node]++;
        } else {
            _unlock(a.sub.wallet, a.sub.owner, a.sub.paymentToken, o.escrow);
        }
    }

    function _slash(Asked storage a, Open memory o) private {
        Subscription memory sub = a.sub;
        bool whole = _settle(o.wallet, sub.paymentToken, sub.wallet, sub.paymentAmount);
        uint256 missing = sub.paymentAmount - o.escrow;
        if (whole && a.terms.prepaid && missing <= _free(sub.wallet, sub.paymentToken)) {
            locked[sub.paymentToken][sub.wallet] += missing;
            a.left += sub.paymentAmount;
            a.spent -= sub.paymentAmount;
        } else {
            _unlock(sub.wallet, sub.owner, sub.paymentToken, o.escrow);
        }
        counts[o.id][o.interval]--;
        told.rejected++;
    }

    function _checkOpen(Asked storage a, uint32 interval) private view {
        require(!a.cancelled && block.timestamp >= a.sub.activeAt, "inactive");
        require(a.terms.expiresAt == 0 || block.timestamp < a.terms.expiresAt, "expired");
        require(_intervalOf(a) == interval && interval <= a.sub.frequency, "interval");
    }

    function _intervalOf(Asked storage a) internal view returns (uint32) {
        if (a.sub.period == 0) return 1;
        if (block.timestamp < a.sub.activeAt) return 0;
        return uint32((block.timestamp - a.sub.activeAt) / a.sub.period + 1);
    }

    function _isOver(Asked storage a) internal view returns (bool) {
        if (a.terms.expiresAt > 0 && block.timestamp >= a.terms.expiresAt) return true;
        // One that was cancelled has no end, and nothing to give back: what is prepaid expires when it is cancelled.
        return
            a.sub.period > 0 && !a.cancelled
                && block.timestamp >= a.sub.activeAt + uint256(a.sub.period) * a.sub.frequency;
    }
}
