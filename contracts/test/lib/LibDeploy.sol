// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

// Where the tests of other projects look for it.
import {LibDeploy} from "../../script/LibDeploy.sol";
