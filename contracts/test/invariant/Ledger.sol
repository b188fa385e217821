// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {OddToken} from "./Actors.sol";

/// @title Ledger
/// @notice What wallets ought to hold, lock, owe and allow, in plain arithmetic: written from the description of the payments, and not
/// from the contracts. What ought to be refused reverts.
abstract contract Ledger {
    struct Debt {
        address token;
        address wallet;
        address to;
    }

    /// @dev What one action says in events: base units sent in a spender's name, and owed; answers accepted, and rejected.
    struct Told {
        uint256 sent;
        uint256 owed;
        uint256 accepted;
        uint256 rejected;
    }

    address internal constant ETH = address(0);

    mapping(address token => mapping(address holder => uint256)) public balances;
    mapping(address token => mapping(address wallet => uint256)) public locked;
    mapping(address token => mapping(address wallet => uint256)) public owedOf;
    mapping(address token => mapping(address wallet => mapping(address to => uint256))) public owed;
    mapping(address token => mapping(address wallet => mapping(address spender => uint256))) public allowances;
    /// @notice All there is of a token: what was minted, less what was burned.
    mapping(address token => uint256) public supply;
    /// @dev What was owed once, and may have been claimed since.
    Debt[] internal debts;
    Told internal told;
    /// @dev Tokens that do as they like.
    mapping(address token => bool) internal isOdd;

    /// @dev The functions of the model are called by the contract itself, so that what ought to be refused leaves no trace.
    modifier model() {
        require(msg.sender == address(this), "model");
        _;
    }

    function spec_withdraw(address wallet, address owner, address token, uint256 amount) external model {
        require(amount <= _free(wallet, token), "free");
        require(_send(wallet, token, owner, amount), "sent");
    }

    function spec_approve(address wallet, address spender, address token, uint256 amount) external model {
        allowances[token][wallet][spender] = amount;
    }

    function spec_claim(address wallet, address token, address to) external model {
        uint256 amount = owed[token][wallet][to];
        if (amount == 0) return;
        owed[token][wallet][to] = 0;
        owedOf[token][wallet] -= amount;
        locked[token][wallet] -= amount;
        require(_send(wallet, token, to, amount), "sent");
    }

    /// @notice What ought to be refused, whatever the state.
    function spec_refuse() external pure {
        revert("refused");
    }

    function _mint(address token, address to, uint256 amount) internal {
        balances[token][to] += amount;
        supply[token] += amount;
    }

    function _free(address wallet, address token) internal view returns (uint256) {
        uint256 balance = balances[token][wallet];
        uint256 held = locked[token][wallet];
        return balance > held ? balance - held : 0;
    }

    function _pay(address wallet, address spender, address token, address to, uint256 amount) internal {
        if (amount == 0) return;
        _spend(wallet, spender, token, amount);
        require(amount <= _free(wallet, token), "free");
        require(_send(wallet, token, to, amount), "sent");
        told.sent += amount;
    }

    function _lock(address wallet, address spender, address token, uint256 amount) internal {
        require(amount <= _free(wallet, token), "free");
        _spend(wallet, spender, token, amount);
        locked[token][wallet] += amount;
    }

    function _unlock(address wallet, address spender, address token, uint256 amount) internal {
        locked[token][wallet] -= amount;
        uint256 left = allowances[token][wallet][spender];
        bool above = amount > type(uint256).max - left;
        allowances[token][wallet][spender] = above ? type(uint256).max : left + amount;
    }

    /// @dev Out of what is locked, as far as the balance goes; what the token refuses, or is not there, stays locked, and is owed.
    /// @return whole Whether nothing is owed.
    function _settle(address wallet, address token, address to, uint256 amount) internal returns (bool whole) {
        uint256 there = balances[token][wallet];
        uint256 sent = amount < there ? amount : there;
        if (sent > 0 && !_send(wallet, token, to, sent)) sent = 0;
        locked[token][wallet] -= sent;
        told.sent += sent;
        whole = sent == amount;
        if (!whole) {
            owed[token][wallet][to] += amount - sent;
            owedOf[token][wallet] += amount - sent;
            told.owed += amount - sent;
            debts.push(Debt(token, wallet, to));
        }
    }

    function _spend(address wallet, address spender, address token, uint256 amount) private {
        require(allowances[token][wallet][spender] >= amount, "allowance");
        allowances[token][wallet][spender] -= amount;
    }

    function _send(address from, address token, address to, uint256 amount) private returns (bool) {
        if (balances[token][from] < amount) return false;
        uint256 cut;
        if (isOdd[token]) {
            OddToken odd = OddToken(token);
            if (odd.isRefused(from) || odd.isRefused(to)) return false;
            cut = amount * odd.cut() / 10_000;
        }
        balances[token][from] -= amount;
        balances[token][to] += amount - cut;
        supply[token] -= cut;
        return true;
    }
}
