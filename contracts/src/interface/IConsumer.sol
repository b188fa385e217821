// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title IConsumer
/// @notice What a subscription's owner has to be, to be answered.
interface IConsumer {
    /// @notice An answer. Its revert undoes the delivery, payment included.
    /// @dev Must refuse every caller but the coordinator.
    /// @param redundancy Which of the interval's answers this is, from 1. When an answer is found invalid later, the count goes back by one,
    /// and a number comes again: tell answers apart by `node`.
    /// @param node Whose answer it is.
    /// @param input What the node says that it gave to the containers. Empty when lazy, as `output` and `proof` are.
    /// @param containerId With `node` and `index`, where a lazy answer lies in the Inbox. Zero when eager.
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
    ) external;

    /// @notice The input of an interval, for nodes to read off-chain.
    /// @param timestamp Unix seconds at which the node asks.
    /// @param caller The node.
    function getContainerInputs(uint32 subscriptionId, uint32 interval, uint32 timestamp, address caller)
        external
        view
        returns (bytes memory);
}
