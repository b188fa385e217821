// SPDX-License-Identifier: MIT
pragma solidity ^0.8.4;

import {Coordinator} from "infernet-sdk/Coordinator.sol";
import {Inbox} from "infernet-sdk/Inbox.sol";
import {CallbackConsumer} from "infernet-sdk/consumer/Callback.sol";
import {SubscriptionConsumer} from "infernet-sdk/consumer/Subscription.sol";
import {Allowlist} from "infernet-sdk/pattern/Allowlist.sol";
import {Delegator} from "infernet-sdk/pattern/Delegator.sol";

/// @notice Two patterns at once, with a signer and a list that an admin changes.
contract Oracle is CallbackConsumer, Delegator, Allowlist {
    /// @dev Names that the first deployments' patterns kept to themselves, and so were free to be used.
    address private signer;
    mapping(address => bool) private allowedNodes;

    address internal admin = msg.sender;
    uint32 public answered;

    constructor(address registry, address signer_, address[] memory nodes)
        CallbackConsumer(registry)
        Delegator(signer_)
        Allowlist(nodes)
    {}

    function setSigner(address newSigner) external {
        require(msg.sender == admin);
        _updateSigner(newSigner);
    }

    function setNodes(address[] memory nodes, bool[] memory statuses) external {
        require(msg.sender == admin);
        _updateAllowlist(nodes, statuses);
    }

    function coordinator() external view returns (Coordinator) {
        return COORDINATOR;
    }

    function inbox() external view returns (Inbox) {
        return INBOX;
    }

    function _receiveCompute(
        uint32 subscriptionId,
        uint32,
        uint16,
        address node,
        bytes calldata,
        bytes calldata,
        bytes calldata,
        bytes32,
        uint256
    ) internal override onlyAllowedNode(node) {
        answered = subscriptionId;
    }
}

/// @notice With a signer and nothing else: everything is asked for off-chain.
contract Delegated is SubscriptionConsumer, Delegator {
    constructor(address registry, address signer) SubscriptionConsumer(registry) Delegator(signer) {}
}
