// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Request, Terms} from "src/interface/ICoordinator.sol";
import {Setup} from "./Setup.sol";

/// @notice The same contracts, and subscriptions that are paid in advance: 1 ether for each of four answers, two nodes in each of two
/// intervals of a minute.
abstract contract PrepaidSetup is Setup {
    uint256 internal constant PRICE = 1 ether;
    uint256 internal constant TOTAL = 4 ether;
    uint256 internal constant BEGIN = 1_750_000_060;
    uint256 internal constant END = BEGIN + 120;

    function _openPrepaid(address token_, address verifier, uint32 expiresAt) internal returns (uint32) {
        Request memory request = _request(token_, PRICE, verifier);
        (request.frequency, request.period, request.redundancy) = (2, 60, 2);
        return consumer.open(request, _prepaidTerms(expiresAt));
    }

    function _openPrepaid() internal returns (uint32) {
        return _openPrepaid(ETH, NOBODY, 0);
    }

    /// @notice A callback, paid in advance.
    function _openPrepaidCallback(address token_, address verifier) internal returns (uint32) {
        return consumer.open(_request(token_, PRICE, verifier), _prepaidTerms(type(uint32).max));
    }

    function _prepaidTerms(uint32 expiresAt) internal pure returns (Terms memory terms) {
        terms.prepaid = true;
        terms.expiresAt = expiresAt;
    }

    /// @notice What the wallet has locked is what is prepaid, and so much besides.
    function _assertEscrowed(uint32 id, address token_, uint256 prepaid, uint256 besides) internal view {
        assertEq(coordinator.prepayments(id), prepaid, "prepaid");
        assertEq(wallet.lockedBalance(token_), prepaid + besides, "locked");
    }

    function _allowed(address token_) internal view returns (uint256) {
        return wallet.allowance(address(consumer), token_);
    }
}
