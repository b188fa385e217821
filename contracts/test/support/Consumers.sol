// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {BaseConsumer} from "src/consumer/Base.sol";
import {Request, Terms} from "src/interface/ICoordinator.sol";
import {Allowlist} from "src/pattern/Allowlist.sol";

/// @notice Asks for whatever it is told to, and does nothing with answers.
contract EmptyConsumer is BaseConsumer {
    constructor(address registry) BaseConsumer(registry) {}

    function create(
        string calldata containerId,
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
            containerId, frequency, period, redundancy, lazy, token, amount, wallet, verifier
        );
    }

    function open(Request calldata request, Terms calldata terms) external returns (uint32) {
        return COORDINATOR.openSubscription(request, terms);
    }

    function cancel(uint32 id) external {
        COORDINATOR.cancelSubscription(id);
    }
}

/// @notice The same, and keeps the last answer as it came.
contract RecordingConsumer is EmptyConsumer {
    struct Received {
        uint32 subscriptionId;
        uint32 interval;
        uint16 redundancy;
        address node;
        bytes input;
        bytes output;
        bytes proof;
        bytes32 containerId;
        uint256 index;
    }

    Received internal received;
    /// @notice Answers so far.
    uint256 public answers;

    constructor(address registry) EmptyConsumer(registry) {}

    function last() external view returns (Received memory) {
        return received;
    }

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
    ) internal virtual override {
        received = Received(subscriptionId, interval, redundancy, node, input, output, proof, containerId, index);
        answers++;
    }
}

/// @notice Takes answers from chosen nodes.
contract ChoosingConsumer is EmptyConsumer, Allowlist {
    uint256 public answers;

    constructor(address registry, address[] memory initial) EmptyConsumer(registry) Allowlist(initial) {}

    function update(address[] memory nodes, bool[] memory statuses) external {
        _updateAllowlist(nodes, statuses);
    }

    function _receiveCompute(
        uint32,
        uint32,
        uint16,
        address node,
        bytes calldata,
        bytes calldata,
        bytes calldata,
        bytes32,
        uint256
    ) internal override onlyAllowedNode(node) {
        answers++;
    }
}
