// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Request, Terms} from "src/interface/ICoordinator.sol";
import {CallbackConsumer} from "src/consumer/Callback.sol";
import {SubscriptionConsumer} from "src/consumer/Subscription.sol";
import {BaseConsumer} from "src/consumer/Base.sol";

/// @notice Takes answers and does nothing with them.
contract EmptyConsumer is BaseConsumer {
    constructor(address registry) BaseConsumer(registry) {}

    function create(
        uint32 frequency,
        uint32 period,
        uint16 redundancy,
        bool lazy,
        address token,
        uint256 amount,
        address wallet,
        address verifier
    ) external returns (uint32) {
        return COORDINATOR.createSubscription(
            "container", frequency, period, redundancy, lazy, token, amount, wallet, verifier
        );
    }

    function open(Request calldata request, Terms calldata terms) external returns (uint32) {
        return COORDINATOR.openSubscription(request, terms);
    }

    function cancel(uint32 id) external {
        COORDINATOR.cancelSubscription(id);
    }
}
