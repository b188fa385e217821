// SPDX-License-Identifier: MIT
pragma solidity ^0.8.4;

import {Inbox, InboxItem} from "infernet-sdk/Inbox.sol";
import {SubscriptionConsumer} from "infernet-sdk/consumer/Subscription.sol";

/// @notice Asks every hour, always the same, and looks answers up in the inbox.
contract Heartbeat is SubscriptionConsumer {
    bytes public latest;

    constructor(address registry) SubscriptionConsumer(registry) {}

    function start(uint32 frequency) external returns (uint32) {
        return
            _createComputeSubscription("heartbeat", frequency, 1 hours, 1, true, address(0), 0, address(0), address(0));
    }

    function stop(uint32 subscriptionId) external {
        _cancelComputeSubscription(subscriptionId);
    }

    /// @dev Stricter than what it overrides: it reads nothing.
    function getContainerInputs(uint32, uint32 interval, uint32, address)
        external
        pure
        override
        returns (bytes memory)
    {
        return abi.encode("beat", interval);
    }

    function _receiveCompute(
        uint32 subscriptionId,
        uint32 interval,
        uint16,
        address node,
        bytes calldata,
        bytes calldata,
        bytes calldata,
        bytes32 containerId,
        uint256 index
    ) internal override {
        Inbox inbox = INBOX;
        InboxItem memory item = inbox.read(containerId, node, index);
        require(item.subscriptionId == subscriptionId && item.interval == interval);
        latest = item.output;
    }
}
