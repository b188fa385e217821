// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Coordinator} from "../Coordinator.sol";
import {Inbox} from "../Inbox.sol";
import {Registry} from "../Registry.sol";
import {IConsumer} from "../interface/IConsumer.sol";

/// @title BaseConsumer
/// @notice A contract that is answered. Override `_receiveCompute`.
abstract contract BaseConsumer is IConsumer {
    /// @notice Where it asks.
    Coordinator internal immutable COORDINATOR;
    /// @notice Where lazy answers lie.
    Inbox internal immutable INBOX;

    /// @notice The caller is not the coordinator.
    error NotCoordinator();

    constructor(address registry) {
        COORDINATOR = Coordinator(Registry(registry).COORDINATOR());
        INBOX = Inbox(Registry(registry).INBOX());
    }

    /// @inheritdoc IConsumer
    function getContainerInputs(uint32, uint32, uint32, address) external view virtual returns (bytes memory) {}

    /// @inheritdoc IConsumer
    function rawReceiveCompute(
        uint32 subscriptionId,
        uint32 interval,
        uint16 redundancy,
        address node,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof,
        bytes32 containerId,
        uint256 index
    ) external {
        if (msg.sender != address(COORDINATOR)) revert NotCoordinator();
        _receiveCompute(subscriptionId, interval, redundancy, node, input, output, proof, containerId, index);
    }

    /// @notice What to do with an answer: see `IConsumer.rawReceiveCompute`.
    function _receiveCompute(
        uint32 subscriptionId,
        uint32 interval,
        uint16 redundancy,
        address node,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof,
        bytes32 containerId,
        uint256 index
    ) internal virtual {}
}
