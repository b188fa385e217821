// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {BaseConsumer} from "./Base.sol";

/// @title CallbackConsumer
/// @notice Asks once at a time, and is called back with the answer.
abstract contract CallbackConsumer is BaseConsumer {
    /// @notice The input of each request, by its subscription.
    mapping(uint32 subscriptionId => bytes input) internal subscriptionInputs;

    constructor(address registry) BaseConsumer(registry) {}

    /// @notice The input of a request, whoever asks and when.
    function getContainerInputs(uint32 subscriptionId, uint32, uint32, address)
        external
        view
        override
        returns (bytes memory)
    {
        return subscriptionInputs[subscriptionId];
    }

    /// @notice Asks: `Coordinator.createSubscription` with one interval that is open at once.
    /// @return The subscription's id.
    function _requestCompute(
        string memory containerId,
        bytes memory inputs,
        uint16 redundancy,
        address paymentToken,
        uint256 paymentAmount,
        address wallet,
        address verifier
    ) internal returns (uint32) {
        uint32 subscriptionId = COORDINATOR.createSubscription(
            containerId, 1, 0, redundancy, false, paymentToken, paymentAmount, wallet, verifier
        );
        subscriptionInputs[subscriptionId] = inputs;
        return subscriptionId;
    }
}
