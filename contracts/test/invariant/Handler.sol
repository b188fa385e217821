// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Wallet} from "src/payments/Wallet.sol";
import {OddToken} from "./Actors.sol";
import {Owning} from "./Owning.sol";
import {World} from "./World.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";

/// @title Handler
/// @notice All actions, the passing of time, and what has to hold between any two of them and at the end.
contract Handler is Owning {
    /// @dev Tokens whose balances change by themselves, or of which less arrives than was sent: a wallet may hold less than it has locked.
    mapping(address token => bool) private _shrinks;

    /// @param odd Which are `OddToken`s, and may refuse.
    /// @param shrinks Which of these take a cut, and change balances by themselves.
    constructor(address[] memory tokens_, bool[] memory odd, bool[] memory shrinks, uint256 salt) World(tokens_, salt) {
        for (uint256 t = 0; t < tokens_.length; t++) {
            isOdd[tokens_[t]] = odd[t];
            _shrinks[tokens_[t]] = shrinks[t];
        }
    }

    function wait_(uint256 seed) external seeded(seed) {
        uint256 kind = _draw(16);
        uint256 time = kind == 0 ? WINDOW + _draw(1 days) : kind < 5 ? _draw(6 hours) : _draw(30 minutes);
        vm.warp(vm.getBlockTimestamp() + time);
        vm.roll(vm.getBlockNumber() + 1 + time / 12);
    }

    /// @notice A token changes the balance of a wallet.
    function rebase(uint256 seed) external seeded(seed) {
        (Wallet purse, address token) = _anyPurse();
        if (!_shrinks[token]) return;
        address wallet = address(purse);
        uint256 old = balances[token][wallet];
        uint256 held = locked[token][wallet];
        uint256 balance =
            held > 0 ? _draw(2 * held) : _oneIn(2) ? old - old / (1 + _draw(10)) : old + old / (1 + _draw(100));
        OddToken(token).rebase(wallet, balance);
        balances[token][wallet] = balance;
        supply[token] = supply[token] + balance - old;
    }

    /// @notice Whether reality is as the books say, for one token.
    function check(uint256 which) public {
        address token = tokens[which % tokens.length];
        uint256 sum;
        for (uint256 i = 0; i < holders.length; i++) {
            uint256 balance = _balanceOf(token, holders[i]);
            _expect(balance == balances[token][holders[i]], "a balance is not what it ought to be");
            sum += balance;
        }
        _expect(sum == supply[token], "money came or went");
        _expect(_balanceOf(token, address(coordinator)) == 0, "stuck in the coordinator");
        for (uint256 i = 0; i < wallets.length; i++) {
            uint256 held = wallets[i].lockedBalance(token);
            _expect(held == locked[token][address(wallets[i])], "a lock is not what it ought to be");
            if (_shrinks[token]) continue;
            _expect(held <= _balanceOf(token, address(wallets[i])), "more is locked than there is");
        }
        uint256 breaches = verifiers[0].breaches();
        for (uint256 i = 0; i < consumers.length; i++) {
            breaches += consumers[i].breaches();
        }
        _expect(breaches == 0, "an intruder got in");
    }

    /// @notice Nothing that was delivered has changed, and nothing that counts.
    function checkHistory() external {
        for (uint256 i = 0; i < delivered.length; i++) {
            Delivered memory d = delivered[i];
            bytes32 hash = keccak256(abi.encode(inbox.read(d.containerId, d.node, d.index)));
            _expect(hash == d.hash, "an item has changed");
            _expect(inbox.count(d.containerId, d.node) == items[d.containerId][d.node], "items were lost");
        }
        for (uint32 id = 1; id <= asked.length; id++) {
            _checkPrepayment(id);
            for (uint32 k = 1; k <= asked[id - 1].sub.frequency; k++) {
                uint256 count = coordinator.redundancyCount(keccak256(abi.encode(id, k)));
                _expect(count == counts[id][k], "a count has changed");
            }
        }
    }

    /// @notice Whoever may judge can judge either way, as long as the window is open.
    function checkVerdicts() external {
        for (uint256 i = 0; i < open.length && i < 6; i++) {
            Open memory o = open[i];
            address verifier = asked[o.id - 1].sub.verifier;
            for (uint256 valid = 0; valid < 2; valid++) {
                uint256 snapshot = vm.snapshotState();
                bool success = _finalize(o, verifier, valid == 1);
                string memory broken_ = broken;
                vm.revertToState(snapshot);
                _expect(success, "a verdict cannot be given");
                _expect(bytes(broken_).length == 0, broken_);
            }
        }
    }

    /// @notice When all windows are over anyone can close everything, and nothing stays locked but what tokens refuse to move.
    function closeAll() external {
        vm.warp(vm.getBlockTimestamp() + WINDOW);
        while (open.length > 0 && bytes(broken).length == 0) {
            _expect(_finalize(open[open.length - 1], address(0xBEEF), false), "a request cannot be closed");
        }
        for (uint32 id = 1; id <= asked.length; id++) {
            if (asked[id - 1].left > 0) _endAndReclaim(id);
        }
        for (uint256 i = 0; i < debts.length; i++) {
            _letMove(debts[i]);
            if (!_claim(debts[i])) _expect(_shrinks[debts[i].token], "a debt cannot be claimed");
        }
        for (uint256 t = 0; t < tokens.length; t++) {
            check(t);
            for (uint256 i = 0; i < wallets.length; i++) {
                uint256 due = owedOf[tokens[t]][address(wallets[i])];
                _expect(wallets[i].lockedBalance(tokens[t]) == due, "locked for nothing");
                _expect(due == 0 || _shrinks[tokens[t]], "owed for ever");
            }
        }
    }

    function _endAndReclaim(uint32 id) private {
        uint256 snapshotOfTime = vm.getBlockTimestamp();
        if (!_isOver(asked[id - 1])) {
            vm.prank(asked[id - 1].sub.owner);
            coordinator.cancelSubscription(id);
            this.spec_cancel(id);
            vm.warp(snapshotOfTime + NOTICE);
        }
        _expect(_reclaim(id), "a prepayment cannot be reclaimed");
    }

    function _letMove(Debt memory debt) private {
        if (!isOdd[debt.token]) return;
        OddToken(debt.token).refuse(debt.wallet, false);
        OddToken(debt.token).refuse(debt.to, false);
    }

    function _balanceOf(address token, address holder) private view returns (uint256) {
        return token == ETH ? holder.balance : SafeTransferLib.balanceOf(token, holder);
    }
}
