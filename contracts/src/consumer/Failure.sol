// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IFailureConsumer} from "../interface/IFailureConsumer.sol";
import {BaseConsumer} from "./Base.sol";

/// @title FailureConsumer
/// @notice Beside a consumer: hears of computations that failed. Override `_receiveFailure`.
/// @dev Any node may say so of any request: with an `Allowlist`, believe only those on it.
abstract contract FailureConsumer is BaseConsumer, IFailureConsumer {
    /// @notice The container failed, or answered with an error.
    uint32 internal constant CONTAINER_FAILED = 1;
    /// @notice The container did not answer in time.
    uint32 internal constant TIMED_OUT = 2;
    /// @notice The input is nothing that the container takes.
    uint32 internal constant INVALID_INPUT = 3;

    /// @inheritdoc IFailureConsumer
    function rawReceiveFailure(uint32 subscriptionId, uint32 interval, address node, uint32 code) external {
        if (msg.sender != address(COORDINATOR)) revert NotCoordinator();
        _receiveFailure(subscriptionId, interval, node, code);
    }

    /// @notice What to do about it. Another node may still answer.
    function _receiveFailure(uint32 subscriptionId, uint32 interval, address node, uint32 code) internal virtual;
}
