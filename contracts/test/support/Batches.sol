// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {EmptyConsumer} from "./Consumers.sol";
import {Setup} from "./Setup.sol";
import {Call, ICoordinator} from "src/interface/ICoordinator.sol";

/// @notice Reverts with what it is told to.
contract RevertingConsumer is EmptyConsumer {
    bytes private reason;

    constructor(address registry) EmptyConsumer(registry) {}

    function setReason(bytes calldata reason_) external {
        reason = reason_;
    }

    function _receiveCompute(
        uint32,
        uint32,
        uint16,
        address,
        bytes calldata,
        bytes calldata,
        bytes calldata,
        bytes32,
        uint256
    ) internal view override {
        bytes memory reason_ = reason;
        assembly ("memory-safe") {
            revert(add(reason_, 0x20), mload(reason_))
        }
    }
}

/// @notice The same contracts, and calls to put into batches.
abstract contract BatchSetup is Setup {
    bytes4 internal constant NONE = bytes4(0);
    bytes4 internal constant UNNAMED = 0xffffffff;

    function _delivery(uint32 id, uint32 interval) internal view returns (Call memory) {
        return Call({
            gasLimit: 0,
            data: abi.encodeCall(
                ICoordinator.deliverCompute, (id, interval, "input", "output", "proof", address(nodeWallet))
            )
        });
    }

    function _send(Call memory call) internal returns (bytes4) {
        return _send(_list(call))[0];
    }

    function _send(Call[] memory calls) internal returns (bytes4[] memory) {
        vm.prank(node);
        return coordinator.deliverComputeBatch(calls);
    }

    function _list(Call memory call) internal pure returns (Call[] memory calls) {
        calls = new Call[](1);
        calls[0] = call;
    }

    function _list(Call memory first, Call memory second, Call memory third)
        internal
        pure
        returns (Call[] memory calls)
    {
        calls = new Call[](3);
        (calls[0], calls[1], calls[2]) = (first, second, third);
    }
}
