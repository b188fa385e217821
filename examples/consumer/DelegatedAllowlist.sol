// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {BaseConsumer} from "infernet-sdk/consumer/Base.sol";
import {Allowlist} from "infernet-sdk/pattern/Allowlist.sol";
import {Delegator} from "infernet-sdk/pattern/Delegator.sol";

/// @title DelegatedAllowlist
/// @notice Is answered by chosen nodes, to questions that its signer signs off-chain: nobody sends a transaction to ask, since the node that
/// answers brings the signature along.
/// @dev The signer can ask for anything in this contract's name, with whatever wallets allow it to spend. It takes a signature back with
/// `EIP712Coordinator.invalidateNonce`, if nobody has used it.
contract DelegatedAllowlist is BaseConsumer, Delegator, Allowlist {
    address private immutable owner;

    /// @notice What was answered.
    mapping(uint32 subscriptionId => bytes output) public outputs;

    /// @notice Only the owner may.
    error NotOwner();

    modifier onlyOwner() {
        if (msg.sender != owner) revert NotOwner();
        _;
    }

    /// @param signer An account, or a contract that judges signatures (EIP-1271).
    /// @param nodes Whose answers are taken.
    constructor(address registry, address owner_, address signer, address[] memory nodes)
        BaseConsumer(registry)
        Delegator(signer)
        Allowlist(nodes)
    {
        owner = owner_;
    }

    /// @notice Replaces the signer: what the one before has signed, and nobody has used, is void.
    function updateSigner(address signer) external onlyOwner {
        _updateSigner(signer);
    }

    /// @notice Allows nodes, or does not any more.
    function updateNodes(address[] calldata nodes, bool[] calldata allowed) external onlyOwner {
        _updateAllowlist(nodes, allowed);
    }

    /// @dev A node that is not on the list gets `NodeNotAllowed` here: its whole delivery reverts, and it has paid for the gas.
    function _receiveCompute(
        uint32 subscriptionId,
        uint32,
        uint16,
        address node,
        bytes calldata,
        bytes calldata output,
        bytes calldata,
        bytes32,
        uint256
    ) internal override onlyAllowedNode(node) {
        outputs[subscriptionId] = output;
    }
}
