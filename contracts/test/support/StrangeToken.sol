// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Token} from "./Tokens.sol";

/// @notice A token with whatever tokens do that one does not expect. Without being told to, it does none of it.
contract StrangeToken is Token {
    mapping(address account => bool) public isBlocked;
    /// @notice Instead of reverting.
    bool public saysFalse;
    bool public saysNothing;
    bool public bombs;
    bool public burnsGas;
    /// @notice Basis points that a transfer loses.
    uint256 public lost;
    /// @notice Called once the funds have moved.
    address public hook;
    uint256 public zeroTransfers;

    function setBlocked(address account, bool blocked) external {
        isBlocked[account] = blocked;
    }

    function setAnswers(bool saysFalse_, bool saysNothing_, bool bombs_) external {
        (saysFalse, saysNothing, bombs) = (saysFalse_, saysNothing_, bombs_);
    }

    function setBurnsGas(bool burnsGas_) external {
        burnsGas = burnsGas_;
    }

    function setLost(uint256 basisPoints) external {
        lost = basisPoints;
    }

    function setHook(address hook_) external {
        hook = hook_;
    }

    /// @notice Rebases one account.
    function shrink(address account, uint256 by) external {
        _burn(account, by);
    }

    function balanceOf(address account) public view override returns (uint256) {
        while (burnsGas) {}
        return super.balanceOf(account);
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        require(to != address(0), "zero address");
        if (isBlocked[to] || isBlocked[msg.sender]) {
            if (saysFalse) return false;
            if (bombs) _answer(1_000_000, true);
            revert("blocked");
        }
        if (amount == 0) zeroTransfers++;
        super.transfer(to, amount);
        if (lost > 0) _burn(to, amount * lost / 10_000);
        if (hook != address(0)) {
            (bool success,) = hook.call("");
            require(success, "hook");
        }
        if (saysNothing) _answer(0, false);
        return true;
    }

    function _answer(uint256 size, bool fails) private pure {
        assembly ("memory-safe") {
            if fails { revert(mload(0x40), size) }
            return(0, size)
        }
    }
}
