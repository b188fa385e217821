// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Token} from "../support/Tokens.sol";
import {OddToken} from "./Actors.sol";
import {Campaign} from "./Campaign.sol";
import {Handler} from "./Handler.sol";

/// @notice Payments in ETH, in a token as most are, and in one that returns nothing and refuses accounts by reverting.
contract PlainTokensInvariant is Campaign {
    /// @dev No action reverts, whatever the contracts do: one that does has not been checked.
    /// forge-config: default.invariant.fail-on-revert = true
    function invariant_MoneyGoesWhereItOught() public {
        _checkAll();
    }

    function _handler() internal override returns (Handler) {
        address[] memory tokens = new address[](3);
        tokens[1] = address(new Token());
        tokens[2] = address(new OddToken(OddToken.Refusal.Reverts, true, 0));
        bool[] memory odd = new bool[](3);
        odd[2] = true;
        return _deployHandler(tokens, odd, false);
    }
}
