// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {StrangeToken} from "../support/StrangeToken.sol";
import {Attack} from "./Attack.sol";
import {Intruder} from "./Intruder.sol";
import {Request} from "src/interface/ICoordinator.sol";
import {Wallet} from "src/payments/Wallet.sol";

/// @notice The doors that stay open during a delivery (wallets, new requests): what moves funds twice must fail.
contract WalletReentrancyTest is Attack {
    Intruder internal intruder;
    StrangeToken internal strange;
    Wallet internal owned;
    address internal tokenAt;

    function setUp() public override {
        super.setUp();
        intruder = new Intruder();
        strange = new StrangeToken();
        tokenAt = address(strange);
        owned = Wallet(payable(factory.createWallet(address(intruder))));
        _give(owned, PRICE);
        _give(nodeWallet, FUNDS);
        _setAllowance(nodeWallet, node, tokenAt, FUNDS);
        _approve(address(intruder), PRICE);
    }

    function _give(Wallet to, uint256 amount) private {
        strange.mint(address(to), amount);
        vm.deal(address(to), amount);
    }

    function _approve(address spender, uint256 amount) internal {
        intruder.act(address(owned), abi.encodeCall(Wallet.approve, (spender, tokenAt, amount)));
        intruder.act(address(owned), abi.encodeCall(Wallet.approve, (spender, ETH, amount)));
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

    function _withdrawal(address token_, uint256 amount) internal pure returns (bytes memory) {
        return abi.encodeCall(Wallet.withdraw, (token_, amount));
    }

    function _cannotDeliver(uint32 id, bytes4 selector) internal {
        strange.setHook(address(intruder));
        vm.prank(node);
        vm.expectRevert(selector);
        coordinator.deliverCompute(id, 1, "", "", "", address(nodeWallet));
    }

    function testCannotWithdrawTwice() public {
        intruder.plan(address(owned), _withdrawal(ETH, PRICE));
        intruder.act(address(owned), _withdrawal(ETH, PRICE));
        assertEq(intruder.failed(), 1);
        assertEq(address(intruder).balance, PRICE);
    }

    function testCannotWithdrawBetweenTwoPayments() public {
        uint32 id = _ask(NOBODY);
        intruder.plan(address(owned), _withdrawal(tokenAt, EARNED));
        _cannotDeliver(id, 0x90b8ec18); // TransferFailed
        assertEq(strange.balanceOf(address(owned)), PRICE);
    }

    function testCannotWithdrawBetweenPaymentAndEscrow() public {
        uint32 id = _ask(address(optimistic));
        intruder.plan(address(owned), _withdrawal(tokenAt, 1));
        _cannotDeliver(id, Wallet.InsufficientFunds.selector);
        assertEq(nodeWallet.lockedBalance(tokenAt), 0);
    }

    function testCannotPrepayAnotherRequestBetweenPaymentAndEscrow() public {
        _approve(address(intruder), 2 * PRICE);
        uint32 id = _ask(address(optimistic));
        Request memory request = _request(tokenAt, EARNED, NOBODY);
        request.wallet = address(owned);
        intruder.plan(address(coordinator), abi.encodeCall(coordinator.openSubscription, (request, _prepaid())));
        _cannotDeliver(id, Wallet.InsufficientFunds.selector);
    }

    function testCannotSpendAnAllowanceTwiceByRaisingItMeanwhile() public {
        uint32 id = _ask(NOBODY);
        intruder.plan(address(owned), abi.encodeCall(Wallet.approve, (address(intruder), tokenAt, type(uint256).max)));
        strange.setHook(address(intruder));
        _deliver(id);
        assertEq(strange.balanceOf(address(nodeWallet)), FUNDS + EARNED);
        assertEq(strange.balanceOf(address(owned)), 0);
    }

    function testCannotWithdrawWhatASettlementIsSending() public {
        uint32 id = _ask(address(optimistic));
        _deliver(id);
        strange.setHook(address(intruder));
        intruder.plan(address(owned), _withdrawal(tokenAt, 1));
        optimistic.finalize(id, 1, node, true);
        assertEq(intruder.failed(), 1);
        assertEq(strange.balanceOf(address(nodeWallet)), FUNDS + EARNED);
    }

    function testCannotClaimTwice() public {
        uint32 id = _ask(address(optimistic));
        _deliver(id);
        strange.setBlocked(address(owned), true);
        optimistic.finalize(id, 1, node, true);
        strange.setBlocked(address(owned), false);
        strange.mint(address(owned), PRICE);
        strange.setHook(address(intruder));
        intruder.plan(address(owned), abi.encodeCall(Wallet.claim, (tokenAt, address(nodeWallet))));
        owned.claim(tokenAt, address(nodeWallet));
        assertEq(strange.balanceOf(address(nodeWallet)), FUNDS + EARNED);
        assertEq(owned.lockedBalance(tokenAt), 0);
    }
}
