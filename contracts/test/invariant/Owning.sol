// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Fee} from "src/payments/Fee.sol";
import {Wallet} from "src/payments/Wallet.sol";
import {OddToken} from "./Actors.sol";
import {Judging} from "./Judging.sol";

/// @notice What the owners of wallets, of the fee and of tokens do.
abstract contract Owning is Judging {
    function fund(uint256 seed) external seeded(seed) {
        _fund(_any(tokens), address(_anyDesk()), _oneIn(2) ? _anyAmount() : FUNDS / (1 + _draw(8)));
    }

    function withdraw(uint256 seed) external seeded(seed) {
        (Wallet wallet, address token) = _anyPurse();
        uint256 free = _free(address(wallet), token);
        uint256 amount = locked[token][address(wallet)] > 0 || _oneIn(8)
            ? free + _draw(2)
            : _oneIn(4) ? free + 1 : _draw(free / 2 + 1);
        address owner = wallet.owner();
        bool isOwned = owner != address(0) && !_oneIn(16);
        if (!isOwned) owner = address(0xBEEF);
        bytes memory spec = isOwned
            ? abi.encodeCall(this.spec_withdraw, (address(wallet), owner, token, amount))
            : abi.encodeCall(this.spec_refuse, ());
        _act("withdraw", owner, address(wallet), abi.encodeCall(Wallet.withdraw, (token, amount)), spec);
    }

    function approve(uint256 seed) external seeded(seed) {
        Wallet wallet = _anyDesk();
        address spender = _oneIn(2) ? _any(nodes) : address(consumers[_draw(consumers.length)]);
        address token = _any(tokens);
        uint256 kind = _draw(16);
        uint256 amount = kind == 0 ? 0 : kind < 6 ? type(uint256).max - _draw(3) : kind == 6 ? _anyAmount() : FUNDS;
        bytes memory spec = abi.encodeCall(this.spec_approve, (address(wallet), spender, token, amount));
        _act("approve", wallet.owner(), address(wallet), abi.encodeCall(Wallet.approve, (spender, token, amount)), spec);
    }

    /// @notice An owner leaves its wallet for ever, and somebody makes another.
    function renounce(uint256 seed) external seeded(seed) {
        if (wallets.length == MAX_WALLETS || !_oneIn(4)) return;
        uint256 place = _draw(desk.length - 1);
        vm.prank(desk[place].owner());
        desk[place].renounceOwnership();
        desk[place] = Wallet(payable(factory.createWallet(owners[_draw(2)])));
        holders.push(address(desk[place]));
        _furnish(desk[place]);
    }

    function claim(uint256 seed) external seeded(seed) {
        if (debts.length == 0) return;
        _claim(debts[_draw(debts.length)]);
    }

    function changeFee(uint256 seed) external seeded(seed) {
        if (recipient == address(0)) return;
        uint16 bps = uint16(_oneIn(16) ? 5_000 - _draw(100) : _draw(800));
        vm.prank(recipient);
        fee.updateFee(bps);
        feeBps = bps;
    }

    function passFee(uint256 seed) external seeded(seed) {
        if (recipient == address(0)) return;
        vm.startPrank(recipient);
        if (_oneIn(32)) {
            fee.renounceOwnership();
            recipient = address(0);
        } else {
            recipient = _any(recipients);
            fee.transferOwnership(recipient);
        }
        vm.stopPrank();
    }

    /// @notice A token stops, or resumes, to move for somebody.
    function refuse(uint256 seed) external seeded(seed) {
        address token = _any(tokens);
        if (isOdd[token]) OddToken(token).refuse(_any(holders), _oneIn(3));
    }

    /// @dev Half the time one in which something is locked, if there is.
    function _anyPurse() internal returns (Wallet wallet, address token) {
        if (open.length == 0 || _oneIn(2)) return (wallets[_draw(wallets.length)], _any(tokens));
        Open memory o = _anyOpen();
        token = asked[o.id - 1].sub.paymentToken;
        wallet = Wallet(payable(_oneIn(2) ? o.wallet : asked[o.id - 1].sub.wallet));
    }

    function _claim(Debt memory debt) internal returns (bool success) {
        Wallet wallet = Wallet(payable(debt.wallet));
        uint256 due = owed[debt.token][debt.wallet][debt.to];
        _expect(wallet.owed(debt.token, debt.to) == due, "owed");
        bytes memory spec = abi.encodeCall(this.spec_claim, (debt.wallet, debt.token, debt.to));
        bytes memory data = abi.encodeCall(Wallet.claim, (debt.token, debt.to));
        (success,) = _act("claim", address(0xBEEF), debt.wallet, data, spec);
    }
}
