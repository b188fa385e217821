// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title IFailureConsumer
/// @notice For consumers that want to hear of computations that failed.
interface IFailureConsumer {
    /// @notice A node could not compute.
    /// @dev Must refuse every caller but the coordinator. Its revert changes nothing.
    function rawReceiveFailure(uint32 subscriptionId, uint32 interval, address node, uint32 code) external;
}
