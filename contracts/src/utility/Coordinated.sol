// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Registry} from "../Registry.sol";

/// @title Coordinated
/// @notice For contracts of the deployment that the coordinator alone may call.
abstract contract Coordinated {
    address private immutable _coordinator;

    /// @notice The caller is not the coordinator.
    error NotCoordinator();

    modifier onlyCoordinator() {
        if (msg.sender != _coordinator) revert NotCoordinator();
        _;
    }

    /// @dev Reads no other getter: some registries know nothing but a coordinator.
    constructor(Registry registry) {
        _coordinator = registry.COORDINATOR();
    }
}
