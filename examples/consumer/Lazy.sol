// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {SubscriptionConsumer} from "infernet-sdk/consumer/Subscription.sol";
import {InboxItem} from "infernet-sdk/interface/IInbox.sol";

/// @title Lazy
/// @notice Asks for something long. The answer is put into the Inbox, where it costs a third of what storage does, and this contract is told
/// only where: whoever needs it reads it there, on-chain or off.
contract Lazy is SubscriptionConsumer {
    /// @notice Where an answer lies.
    struct Place {
        bytes32 containerId;
        address node;
        uint256 index;
    }

    /// @notice Each answer's place; all zero before there is one.
    mapping(uint32 subscriptionId => Place) public places;

    mapping(uint32 subscriptionId => bytes question) private _questions;

    /// @notice There is no answer yet.
    error Unanswered();

    constructor(address registry) SubscriptionConsumer(registry) {}

    /// @notice Asks once: one interval of no length is open from now on.
    function ask(string calldata container, bytes calldata question) external returns (uint32 subscriptionId) {
        subscriptionId = _createComputeSubscription(container, 1, 0, 1, true, address(0), 0, address(0), address(0));
        _questions[subscriptionId] = question;
    }

    /// @notice The answer.
    function read(uint32 subscriptionId) external view returns (bytes memory output) {
        Place memory place = places[subscriptionId];
        if (place.node == address(0)) revert Unanswered();
        InboxItem memory item = INBOX.read(place.containerId, place.node, place.index);
        // Whoever finds items in another way than by a place has to check this: anyone can write to the Inbox in its own name.
        assert(item.subscriptionId == subscriptionId);
        return item.output;
    }

    /// @notice What nodes give to the container.
    function getContainerInputs(uint32 subscriptionId, uint32, uint32, address)
        external
        view
        override
        returns (bytes memory)
    {
        return _questions[subscriptionId];
    }

    /// @dev Input, output and proof are empty when it is lazy.
    function _receiveCompute(
        uint32 subscriptionId,
        uint32,
        uint16,
        address node,
        bytes calldata,
        bytes calldata,
        bytes calldata,
        bytes32 containerId,
        uint256 index
    ) internal override {
        places[subscriptionId] = Place(containerId, node, index);
    }
}
