// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {CallbackConsumer} from "infernet-sdk/consumer/Callback.sol";

/// @title Paid
/// @notice Asks a container once, pays for the answer when it comes, and keeps it.
/// @dev The wallet is one of the `WalletFactory`; its owner approves this contract there. Nothing is proven: whichever node answers first is
/// paid, whatever it says. `DelegatedAllowlist` chooses its nodes, `PaidWithProof` asks for proof.
contract Paid is CallbackConsumer {
    address private immutable owner;
    address private immutable wallet;

    /// @notice What was answered. Empty before that.
    mapping(uint32 subscriptionId => string answer) public answers;

    /// @notice Only the owner may: it is its money.
    error NotOwner();

    constructor(address registry, address owner_, address wallet_) CallbackConsumer(registry) {
        (owner, wallet) = (owner_, wallet_);
    }

    /// @notice Asks the container of this name. Nothing is paid before the answer, and nothing if none comes.
    /// @param price Base units of ETH, the protocol's fee included: nodes answer if it is not below their containers' prices.
    /// @return subscriptionId Under which the answer will be kept.
    function ask(string calldata container, bytes calldata question, uint256 price)
        external
        returns (uint32 subscriptionId)
    {
        if (msg.sender != owner) revert NotOwner();
        return _requestCompute(container, question, 1, address(0), price, wallet, address(0));
    }

    function _receiveCompute(
        uint32 subscriptionId,
        uint32,
        uint16,
        address,
        bytes calldata,
        bytes calldata output,
        bytes calldata,
        bytes32,
        uint256
    ) internal override {
        answers[subscriptionId] = abi.decode(output, (string));
        delete subscriptionInputs[subscriptionId];
    }
}
