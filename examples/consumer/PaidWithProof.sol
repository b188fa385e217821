// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {BaseConsumer} from "infernet-sdk/consumer/Base.sol";
import {Request, Terms} from "infernet-sdk/interface/ICoordinator.sol";

/// @title PaidWithProof
/// @notice Pays for an answer that a verifier has found proven. The price is escrowed when it asks, so that nodes need not trust that it is
/// still there when they have computed; what is not spent goes back.
/// @dev The wallet is one of the `WalletFactory`; its owner approves this contract there. The verifier can take the stake of the node, and
/// with it decides who is paid: choose one that nodes trust as well.
contract PaidWithProof is BaseConsumer {
    /// @dev Base units of ETH, and basis points.
    uint256 private constant PRICE = 0.01 ether;
    uint16 private constant MAX_FEE = 1000;

    address private immutable owner;
    address private immutable wallet;
    address private immutable verifier;

    /// @notice What was answered, and proven.
    mapping(uint32 subscriptionId => bytes output) public outputs;

    mapping(uint32 subscriptionId => bytes question) private _questions;

    /// @notice Only the owner may: it is its money.
    error NotOwner();
    /// @notice The answer is one to another question.
    error AnotherQuestion();

    constructor(address registry, address owner_, address wallet_, address verifier_) BaseConsumer(registry) {
        (owner, wallet, verifier) = (owner_, wallet_, verifier_);
    }

    /// @notice Asks. Unanswered within a day, it is over, and anyone may call `Coordinator.reclaimPrepayment`.
    function ask(string calldata container, bytes calldata question) external returns (uint32 subscriptionId) {
        if (msg.sender != owner) revert NotOwner();
        Request memory request = Request({
            containerId: container,
            frequency: 1,
            period: 0,
            redundancy: 1,
            lazy: false,
            paymentToken: address(0),
            paymentAmount: PRICE,
            wallet: wallet,
            verifier: verifier
        });
        Terms memory terms = Terms({
            expiresAt: uint32(block.timestamp + 1 days),
            maxFee: MAX_FEE,
            prepaid: true,
            committed: false,
            refundOnSilence: true
        });
        // Unlike `createSubscription`, this refuses what nobody could ever answer.
        subscriptionId = COORDINATOR.openSubscription(request, terms);
        _questions[subscriptionId] = question;
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

    /// @dev A verifier that judges at once, as `AttestationVerifier` does, has done so before this: what is invalid never comes here. After one
    /// that takes its time the answer is provisional for up to a week.
    function _receiveCompute(
        uint32 subscriptionId,
        uint32,
        uint16,
        address,
        bytes calldata input,
        bytes calldata output,
        bytes calldata,
        bytes32,
        uint256
    ) internal override {
        // A container that proves gives input and output twice: as it took and gave them, and as the proof has them.
        (bytes memory question,) = abi.decode(input, (bytes, bytes));
        if (keccak256(question) != keccak256(_questions[subscriptionId])) revert AnotherQuestion();
        (outputs[subscriptionId],) = abi.decode(output, (bytes, bytes));
    }
}
