// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {TestBase} from "forge-std/Base.sol";
import {StdAssertions} from "forge-std/StdAssertions.sol";
import {StdCheats} from "forge-std/StdCheats.sol";
import {StdUtils} from "forge-std/StdUtils.sol";

/// @notice forge-std's `Test` without what only campaigns need. Its ten public getters would be compiled into every test contract:
/// 1.5 seconds of each one's 2 to 4, measured with solc 0.8.37.
abstract contract Test is TestBase, StdAssertions, StdCheats, StdUtils {}
