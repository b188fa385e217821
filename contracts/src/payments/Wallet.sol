// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Registry} from "../Registry.sol";
import {Coordinated} from "../utility/Coordinated.sol";
import {Ownable} from "solady/auth/Ownable.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";

/// @title Wallet
/// @notice Holds what a consumer pays from, or a node is paid into and stakes. Its owner approves spenders (consumer contracts, node
/// accounts); the coordinator moves, in a spender's name, what that spender was approved for, and locks what is at stake.
/// @dev Zero stands for ETH among tokens. What is locked can be neither withdrawn nor paid out, but only released or settled by the
/// coordinator, which keeps the books by request: the locks of all requests together are `lockedBalance`. A token that shrinks balances
/// of itself can leave less than that; then nothing is free, and settlements pay as far as the balance goes and owe the rest.
/// @dev Does not serve tokens that take a fee off transfers as a stake for more than what arrives.
contract Wallet is Ownable, Coordinated {
    /// @notice Base units of a token that are escrowed.
    mapping(address token => uint256 amount) public lockedBalance;

    /// @notice Base units of a token that may still be spent in a spender's name.
    mapping(address spender => mapping(address token => uint256 amount)) public allowance;

    /// @notice Base units that a settlement could not send, since the token refused. They stay locked until `claim`.
    mapping(address token => mapping(address to => uint256 amount)) public owed;

    /// @notice The owner took funds out. (The name is spelt as the first deployments spelt it.)
    event Withdrawl(address token, uint256 amount);
    /// @notice The owner set what may be spent in a spender's name.
    event Approval(address indexed spender, address token, uint256 amount);
    /// @notice The coordinator paid in a spender's name.
    event Transfer(address indexed spender, address token, address indexed to, uint256 amount);
    /// @notice The coordinator locked funds in a spender's name, or released them.
    event Escrow(address indexed spender, address token, uint256 amount, bool locked);
    /// @notice A settlement that the token refused to carry out: `claim` does it later.
    event Owed(address indexed to, address token, uint256 amount);

    /// @notice More than what is free, or than what is locked.
    error InsufficientFunds();
    /// @notice More than the spender was approved for.
    error InsufficientAllowance();

    /// @param initialOwner Zero is allowed: then nobody can withdraw or approve.
    constructor(Registry registry, address initialOwner) Coordinated(registry) {
        _initializeOwner(initialOwner);
    }

    receive() external payable {}

    /// @notice Sets the owner of a clone, whose constructor did not run.
    /// @dev The factory calls this in the transaction that makes the clone. Reverts `AlreadyInitialized` ever after.
    function initialize(address initialOwner) external {
        _initializeOwner(initialOwner);
    }

    /// @notice Base units that are not locked; 0 if a token has taken away more than that.
    function unlockedBalance(address token) public view returns (uint256) {
        uint256 balance = _balance(token);
        uint256 locked = lockedBalance[token];
        return balance > locked ? balance - locked : 0;
    }

    /// @notice Whether a spender's allowance and the free funds both reach for so much.
    function canSpend(address spender, address token, uint256 amount) external view returns (bool) {
        return allowance[spender][token] >= amount && unlockedBalance(token) >= amount;
    }

    /// @notice Sends free funds to the owner.
    function withdraw(address token, uint256 amount) external onlyOwner {
        if (amount > unlockedBalance(token)) revert InsufficientFunds();
        _send(token, msg.sender, amount);
        _checkCovered(token, amount);
        emit Withdrawl(token, amount);
    }

    /// @notice Sets (and does not add to) what may be spent in a spender's name. There is no infinite allowance.
    function approve(address spender, address token, uint256 amount) external onlyOwner {
        allowance[spender][token] = amount;
        emit Approval(spender, token, amount);
    }

    /// @notice Sends what a settlement could not. Anyone may ask.
    function claim(address token, address to) external {
        uint256 amount = owed[token][to];
        if (amount == 0) return;
        owed[token][to] = 0;
        _send(token, to, amount);
        lockedBalance[token] -= amount;
    }

    /// @notice Pays in a spender's name.
    function cTransfer(address spender, address token, address to, uint256 amount) public onlyCoordinator {
        _spendAllowance(spender, token, amount);
        // Where nothing is locked, whether there is enough is for the transfer to find out.
        if (lockedBalance[token] > 0 && amount > unlockedBalance(token)) revert InsufficientFunds();
        _transfer(spender, token, to, amount);
        _checkCovered(token, amount);
    }

    /// @notice Pays two in a spender's name; nothing is sent to whom nothing is due.
    function cPay(
        address spender,
        address token,
        address first,
        uint256 firstAmount,
        address second,
        uint256 secondAmount
    ) external onlyCoordinator {
        uint256 amount = firstAmount + secondAmount;
        mapping(address => uint256) storage allowances = allowance[spender];
        uint256 left = allowances[token];
        if (left < amount || (lockedBalance[token] > 0 && amount > unlockedBalance(token))) {
            // One after the other, as ever: refused for what comes first, or not at all, since what a wallet pays itself is free again.
            if (firstAmount > 0) cTransfer(spender, token, first, firstAmount);
            if (secondAmount > 0) cTransfer(spender, token, second, secondAmount);
            return;
        }
        unchecked {
            allowances[token] = left - amount;
        }
        if (firstAmount > 0) _transfer(spender, token, first, firstAmount);
        if (secondAmount > 0) _transfer(spender, token, second, secondAmount);
        _checkCovered(token, amount);
    }

    /// @notice Escrows free funds, out of a spender's allowance.
    function cLock(address spender, address token, uint256 amount) external onlyCoordinator {
        if (amount > unlockedBalance(token)) revert InsufficientFunds();
        _spendAllowance(spender, token, amount);
        lockedBalance[token] += amount;
        emit Escrow(spender, token, amount, true);
    }

    /// @notice Releases escrowed funds, back into the spender's allowance.
    /// @dev The owner may have set the allowance meanwhile, up to the highest number: the sum stops there, since a verdict must not fail.
    function cUnlock(address spender, address token, uint256 amount) external onlyCoordinator {
        _unlock(spender, token, amount);
        uint256 left = allowance[spender][token];
        allowance[spender][token] = amount > type(uint256).max - left ? type(uint256).max : left + amount;
    }

    /// @notice Escrows free funds that came in otherwise than from the owner, and so take nothing off an allowance.
    /// @return held False, and nothing done, when there is not so much.
    function cHold(address spender, address token, uint256 amount) external onlyCoordinator returns (bool held) {
        if (amount > unlockedBalance(token)) return false;
        lockedBalance[token] += amount;
        emit Escrow(spender, token, amount, true);
        return true;
    }

    /// @notice Pays out of what is escrowed, whatever the owner has done meanwhile. Never fails because a token does: what it refuses to
    /// send, or does not have, is owed.
    /// @dev Locked until it is sent, whoever the token calls meanwhile; so is what is owed, until it is claimed.
    /// @return whole Whether nothing is owed.
    function cSettle(address spender, address token, address to, uint256 amount)
        external
        onlyCoordinator
        returns (bool whole)
    {
        if (amount > lockedBalance[token]) revert InsufficientFunds();
        emit Escrow(spender, token, amount, false);
        uint256 sent = _trySend(token, to, amount);
        if (sent > 0) {
            lockedBalance[token] -= sent;
            emit Transfer(spender, token, to, sent);
        }
        if (sent == amount) return true;
        uint256 rest = amount - sent;
        owed[token][to] += rest;
        emit Owed(to, token, rest);
    }

    function _spendAllowance(address spender, address token, uint256 amount) private {
        uint256 left = allowance[spender][token];
        if (left < amount) revert InsufficientAllowance();
        unchecked {
            allowance[spender][token] = left - amount;
        }
    }

    function _unlock(address spender, address token, uint256 amount) private {
        uint256 locked = lockedBalance[token];
        if (amount > locked) revert InsufficientFunds();
        unchecked {
            lockedBalance[token] = locked - amount;
        }
        emit Escrow(spender, token, amount, false);
    }

    function _transfer(address spender, address token, address to, uint256 amount) private {
        _send(token, to, amount);
        emit Transfer(spender, token, to, amount);
    }

    /// @dev Once all has been sent: a token may have called somebody before it moved anything, who then found free what was on its way.
    function _checkCovered(address token, uint256 sent) private view {
        uint256 locked = lockedBalance[token];
        if (sent > 0 && locked > 0 && _balance(token) < locked) revert InsufficientFunds();
    }

    function _balance(address token) private view returns (uint256) {
        return token == address(0) ? address(this).balance : SafeTransferLib.balanceOf(token, address(this));
    }

    /// @dev ETH arrives even where the recipient refuses it, or burns the 100,000 gas that it is given.
    function _send(address token, address to, uint256 amount) private {
        if (token == address(0)) SafeTransferLib.forceSafeTransferETH(to, amount);
        else SafeTransferLib.safeTransfer(token, to, amount);
    }

    /// @return sent As much of the amount as the balance reaches for; 0 when the token refused.
    function _trySend(address token, address to, uint256 amount) private returns (uint256 sent) {
        uint256 balance = _balance(token);
        sent = amount < balance ? amount : balance;
        if (sent == 0) return 0;
        if (token == address(0)) {
            SafeTransferLib.forceSafeTransferETH(to, sent);
            return sent;
        }
        assembly ("memory-safe") {
            mstore(0x14, to)
            mstore(0x34, sent)
            mstore(0x00, 0xa9059cbb000000000000000000000000) // transfer(address,uint256)
            // At most one word of the answer is looked at: a token cannot make us pay for copying a long one.
            let success := call(gas(), token, 0, 0x10, 0x44, 0x00, 0x20)
            // Nothing said counts as yes, if there is a contract to have said it.
            let yes :=
                or(
                    and(gt(returndatasize(), 0x1f), eq(mload(0x00), 1)),
                    and(iszero(returndatasize()), gt(extcodesize(token), 0))
                )
            sent := mul(sent, and(success, yes))
            mstore(0x34, 0)
        }
    }

    /// @dev Solady then refuses to initialise twice, after a renunciation too.
    function _guardInitializeOwner() internal pure override returns (bool) {
        return true;
    }
}
