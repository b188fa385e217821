// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {CallbackConsumer} from "infernet-sdk/consumer/Callback.sol";

/// @title Callback
/// @notice Asks a container once, is called back with the answer, and keeps it.
/// @dev Nobody is paid and nothing is proven: any node may answer, and may say what it likes. `DelegatedAllowlist` chooses its nodes,
/// `PaidWithProof` asks for proof.
contract Callback is CallbackConsumer {
    /// @notice What was answered. Empty before that.
    mapping(uint32 subscriptionId => string answer) public answers;

    /// @notice A question was answered.
    event Answered(uint32 indexed subscriptionId, address node, string answer);

    /// @param registry Of the deployment: it knows where the coordinator is.
    constructor(address registry) CallbackConsumer(registry) {}

    /// @notice Asks the container of this name. Several names with commas between them: each is given what the one before has said.
    /// @return subscriptionId Under which the answer will be kept.
    function ask(string calldata container, bytes calldata question) external returns (uint32 subscriptionId) {
        // One node; no token, amount, wallet or verifier, since nobody is paid.
        return _requestCompute(container, question, 1, address(0), 0, address(0), address(0));
    }

    /// @dev Only the coordinator gets here. What reverts here undoes the delivery, so that another node can try.
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
    ) internal override {
        // A node gives a container's JSON as a string; `PaidWithProof` shows the other form.
        string memory answer = abi.decode(output, (string));
        answers[subscriptionId] = answer;
        delete subscriptionInputs[subscriptionId];
        emit Answered(subscriptionId, node, answer);
    }
}
