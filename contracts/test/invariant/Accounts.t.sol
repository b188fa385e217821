// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Campaign} from "./Campaign.sol";

/// @notice Half of the histories: the two run side by side. Each file has a name that begins one half of the list that forge runs on two
/// threads, or one would wait for the other.
contract AccountsInvariant is Campaign(0) {
    /// @dev No action reverts, whatever the contracts do: one that does has not been checked.
    /// forge-config: default.invariant.fail-on-revert = true
    function invariant_MoneyGoesWhereItOught() public {
        _checkAll();
    }
}
