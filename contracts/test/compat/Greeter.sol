// SPDX-License-Identifier: MIT
pragma solidity ^0.8.4;

import {CallbackConsumer} from "infernet-sdk/consumer/Callback.sol";

/// @notice The first consumer that everybody writes: asks one model, and keeps what it says.
contract Greeter is CallbackConsumer {
    event Greeted(uint32 subscriptionId, address node, string greeting);

    constructor(address registry) CallbackConsumer(registry) {}

    function greet(bytes memory prompt) external returns (uint32) {
        return _requestCompute("hello-world", prompt, 1, address(0), 0, address(0), address(0));
    }

    function greetPaid(bytes memory prompt, address token, uint256 amount, address wallet, address verifier)
        external
        returns (uint32)
    {
        return _requestCompute("hello-world", prompt, 1, token, amount, wallet, verifier);
    }

    function promptOf(uint32 subscriptionId) external view returns (bytes memory) {
        return subscriptionInputs[subscriptionId];
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
    ) internal override {
        require(interval == 1 && redundancy == 1 && containerId == 0 && index == 0);
        emit Greeted(subscriptionId, node, abi.decode(output, (string)));
    }
}
