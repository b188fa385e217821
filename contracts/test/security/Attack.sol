// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {AtomicVerifier, OptimisticVerifier} from "../support/Verifiers.sol";
import {Answer, Bounds, Terms} from "src/interface/ICoordinator.sol";
import {Wallet} from "src/payments/Wallet.sol";

/// @notice What most attacks need: verifiers of both kinds, and short ways to ask and to answer.
abstract contract Attack is Setup {
    uint256 internal constant PRICE = 1 ether;
    /// @dev Of `PRICE`, with `FEE` on either side.
    uint256 internal constant TAKEN = 0.1022 ether;
    uint256 internal constant EARNED = PRICE - TAKEN;
    uint256 internal constant WINDOW = 1 weeks;

    AtomicVerifier internal atomic;
    OptimisticVerifier internal optimistic;

    function setUp() public virtual override {
        super.setUp();
        atomic = new AtomicVerifier(coordinator);
        optimistic = new OptimisticVerifier(coordinator);
    }

    /// @notice A request of the consumer's with terms, for `PRICE`.
    function _openWith(Terms memory terms, address token_, address verifier) internal returns (uint32) {
        return consumer.open(_request(token_, PRICE, verifier), terms);
    }

    function _prepaid() internal pure returns (Terms memory terms) {
        terms = _noTerms();
        terms.prepaid = true;
        terms.expiresAt = type(uint32).max;
    }

    function _setAllowance(Wallet of_, address spender, address token_, uint256 amount) internal {
        vm.prank(owner);
        of_.approve(spender, token_, amount);
    }

    function _withdraw(Wallet of_, address token_, uint256 amount) internal {
        vm.prank(owner);
        of_.withdraw(token_, amount);
    }

    function _key(uint32 id, address node_) internal pure returns (bytes32) {
        return keccak256(abi.encode(id, uint32(1), node_));
    }

    function _answer(uint32 id) internal view returns (Answer memory) {
        return Answer(id, 1, "input", "output", "proof", address(nodeWallet));
    }

    function _noBounds() internal pure returns (Bounds memory) {
        return Bounds(0, 0, ETH, NOBODY, 0, bytes32(0));
    }

    /// @notice Every open lock of the three wallets, as they book it themselves.
    function _locked(address token_) internal view returns (uint256) {
        return wallet.lockedBalance(token_) + nodeWallet.lockedBalance(token_) + otherWallet.lockedBalance(token_);
    }
}
