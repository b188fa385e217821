// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Token} from "../support/Tokens.sol";
import {Attack} from "./Attack.sol";
import {Intruder} from "./Intruder.sol";
import {Wallet} from "src/payments/Wallet.sol";

/// @dev Calls its hook before anything has moved.
contract EarlyToken is Token {
    address private _hook;

    function setHook(address hook) external {
        _hook = hook;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        if (_hook != address(0)) {
            (bool success,) = _hook.call("");
            require(success);
        }
        return super.transfer(to, amount);
    }
}

/// @notice A wallet's owner that is called while a payment is under way, and balances do not show it yet.
contract EarlyHookTest is Attack {
    Intruder internal intruder;
    EarlyToken internal early;
    Wallet internal owned;
    address internal tokenAt;

    function setUp() public override {
        super.setUp();
        intruder = new Intruder();
        early = new EarlyToken();
        tokenAt = address(early);
        owned = Wallet(payable(factory.createWallet(address(intruder))));
        early.mint(address(owned), 3 * PRICE);
        early.mint(address(nodeWallet), PRICE);
        _setAllowance(nodeWallet, node, tokenAt, PRICE);
        intruder.act(address(owned), abi.encodeCall(Wallet.approve, (address(intruder), tokenAt, 3 * PRICE)));
    }

    function _ask(address verifier) internal returns (uint32 id) {
        id = coordinator.id();
        intruder.act(
            address(coordinator),
            abi.encodeCall(
                coordinator.createSubscription, ("c", 1, 0, 1, false, tokenAt, PRICE, address(owned), verifier)
            )
        );
    }

    function _plan(uint256 amount) internal {
        intruder.plan(address(owned), abi.encodeCall(Wallet.withdraw, (tokenAt, amount)));
        early.setHook(address(intruder));
    }

    function _assertCovered() internal view {
        assertGe(early.balanceOf(address(owned)), owned.lockedBalance(tokenAt));
    }

    function testCannotWithdrawLockedFundsInAWithdrawal() public {
        uint32 id = _ask(address(optimistic));
        _deliver(id);
        uint256 free = owned.unlockedBalance(tokenAt);
        _plan(EARNED);
        (bool success,) = address(intruder)
            .call(abi.encodeCall(intruder.act, (address(owned), abi.encodeCall(Wallet.withdraw, (tokenAt, free)))));
        success;
        _assertCovered();
    }

    function testCannotWithdrawLockedFundsInADelivery() public {
        uint32 id = _ask(address(optimistic));
        _deliver(id);
        vm.prank(feeRecipient);
        fee.updateFee(0);
        uint32 second = _ask(NOBODY);
        _plan(owned.unlockedBalance(tokenAt) - TAKEN);
        vm.prank(otherNode);
        vm.expectRevert(Wallet.InsufficientFunds.selector);
        coordinator.deliverCompute(second, 1, "", "", "", address(otherWallet));
        _assertCovered();
    }

    function testCannotWithdrawWhatIsBeingSettled() public {
        uint32 id = _ask(address(optimistic));
        _deliver(id);
        intruder.act(address(owned), abi.encodeCall(Wallet.withdraw, (tokenAt, owned.unlockedBalance(tokenAt))));
        _plan(EARNED);
        optimistic.finalize(id, 1, node, true);
        assertEq(early.balanceOf(address(nodeWallet)), PRICE + EARNED);
        _assertCovered();
    }
}
