// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Campaign} from "./Campaign.sol";

/// @notice Half of the histories: the two run side by side.
contract BooksInvariant is Campaign {
    /// @dev No action reverts, whatever the contracts do: one that does has not been checked.
    /// forge-config: default.invariant.fail-on-revert = true
    function invariant_MoneyGoesWhereItOught() public {
        _checkAll();
    }
}
