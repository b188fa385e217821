// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @notice What a node has written.
/// @param timestamp Unix seconds, of the block.
/// @param subscriptionId What it answers. Zero: the node wrote it of its own accord, and nobody has checked anything.
/// @param interval Zero with the subscription.
struct InboxItem {
    uint32 timestamp;
    uint32 subscriptionId;
    uint32 interval;
    bytes input;
    bytes output;
    bytes proof;
}

/// @title IInbox
/// @notice Keeps lazy answers, by containers and node, in lists that only grow.
/// @dev Anyone can write under its own name: whoever reads has to look whether `subscriptionId` is the one that it asked with.
interface IInbox {
    /// @notice An item was added.
    event NewInboxItem(bytes32 indexed containerId, address indexed node, uint256 index);

    /// @notice Adds an item of the caller's own accord.
    /// @return Its index in the list, from 0.
    function write(bytes32 containerId, bytes calldata input, bytes calldata output, bytes calldata proof)
        external
        returns (uint256);

    /// @notice Adds a node's answer. The coordinator alone may: `NotCoordinator`.
    function writeViaCoordinator(
        bytes32 containerId,
        address node,
        uint32 subscriptionId,
        uint32 interval,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof
    ) external returns (uint256);

    /// @notice An item. Panics (0x32) beyond the end of the list.
    function read(bytes32 containerId, address node, uint256 index) external view returns (InboxItem memory);

    /// @notice The same, its members one by one.
    function items(bytes32 containerId, address node, uint256 index)
        external
        view
        returns (
            uint32 timestamp,
            uint32 subscriptionId,
            uint32 interval,
            bytes memory input,
            bytes memory output,
            bytes memory proof
        );

    /// @notice How many items the list has.
    function count(bytes32 containerId, address node) external view returns (uint256);
}
