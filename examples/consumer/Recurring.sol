// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {SubscriptionConsumer} from "infernet-sdk/consumer/Subscription.sol";

/// @title Recurring
/// @notice Asks three nodes for a number every hour, for a day, and takes the one in the middle: one that errs or lies decides nothing.
/// @dev An interval that nodes miss is lost, and the number stays the one before: look at `updatedAt`. Who runs two of the three nodes
/// decides all the same: choose nodes with an `Allowlist`.
contract Recurring is SubscriptionConsumer {
    uint32 private constant HOURS = 24;
    uint16 private constant NODES = 3;

    address private immutable owner;

    /// @notice The number in the middle, of the last interval that had all its answers, and when the last of them came.
    uint256 public number;
    uint256 public updatedAt;
    /// @notice The subscription whose answers are taken.
    uint32 public subscriptionId;

    mapping(uint32 subscriptionId => mapping(uint32 interval => uint256[] numbers)) private _numbers;

    /// @notice Only the owner may.
    error NotOwner();

    modifier onlyOwner() {
        if (msg.sender != owner) revert NotOwner();
        _;
    }

    constructor(address registry, address owner_) SubscriptionConsumer(registry) {
        owner = owner_;
    }

    /// @notice Asks from an hour later on. What was asked before ends.
    function start(string calldata container) external onlyOwner {
        if (subscriptionId != 0) _cancelComputeSubscription(subscriptionId);
        subscriptionId =
            _createComputeSubscription(container, HOURS, 1 hours, NODES, false, address(0), 0, address(0), address(0));
    }

    /// @notice Asks no more. It cannot be taken back, but `start` begins anew.
    function stop() external onlyOwner {
        _cancelComputeSubscription(subscriptionId);
        subscriptionId = 0;
    }

    /// @notice What nodes give to the container. It may follow the interval, the time, or who asks: here, the interval.
    function getContainerInputs(uint32, uint32 interval, uint32, address)
        external
        pure
        override
        returns (bytes memory)
    {
        return abi.encode(interval);
    }

    function _receiveCompute(
        uint32 subscriptionId_,
        uint32 interval,
        uint16 redundancy,
        address,
        bytes calldata,
        bytes calldata output,
        bytes calldata,
        bytes32,
        uint256
    ) internal override {
        (bytes memory raw,) = abi.decode(output, (bytes, bytes));
        uint256[] storage numbers = _numbers[subscriptionId_][interval];
        numbers.push(abi.decode(raw, (uint256)));
        // `redundancy` counts the answers of this interval, from 1.
        if (redundancy < NODES) return;
        number = _middle(numbers[0], numbers[1], numbers[2]);
        updatedAt = block.timestamp;
        delete _numbers[subscriptionId_][interval];
    }

    function _middle(uint256 a, uint256 b, uint256 c) private pure returns (uint256) {
        if (a > b) (a, b) = (b, a);
        if (c <= a) return a;
        return c < b ? c : b;
    }
}
