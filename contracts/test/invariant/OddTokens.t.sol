// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {OddToken} from "./Actors.sol";
import {Campaign} from "./Campaign.sol";
import {Handler} from "./Handler.sol";

/// @notice Payments in tokens that say false, take a cut of transfers, and change balances by themselves.
contract OddTokensInvariant is Campaign {
    /// @dev No action reverts, whatever the contracts do: one that does has not been checked.
    /// forge-config: default.invariant.fail-on-revert = true
    function invariant_BooksAreKeptWhateverTokensDo() public {
        _checkAll();
    }

    function _handler() internal override returns (Handler) {
        address[] memory tokens = new address[](3);
        tokens[0] = address(new OddToken(OddToken.Refusal.SaysFalse, false, 0));
        tokens[1] = address(new OddToken(OddToken.Refusal.Reverts, false, 100));
        bool[] memory odd = new bool[](3);
        odd[0] = odd[1] = true;
        return _deployHandler(tokens, odd, true);
    }
}
