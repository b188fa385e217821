// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Registry} from "./Registry.sol";
import {IInbox, InboxItem} from "./interface/IInbox.sol";
import {BlobStore} from "./utility/BlobStore.sol";
import {Coordinated} from "./utility/Coordinated.sol";
import {LibBytes} from "solady/utils/LibBytes.sol";

/// @title Inbox
/// @notice See `IInbox`.
/// @dev An item is a blob, and a list is a number: how many there are. A blob begins with a head: timestamp, subscription, interval (4
/// bytes each), lengths of input, output and proof (3 bytes each; what is longer, no block has gas for).
contract Inbox is IInbox, BlobStore, Coordinated {
    uint256 private constant HEAD = 21;
    /// @dev An index beyond the end of an array.
    uint256 private constant PANIC = 0x32;

    /// @inheritdoc IInbox
    mapping(bytes32 containerId => mapping(address node => uint256 items)) public count;

    constructor(Registry registry) Coordinated(registry) {}

    /// @inheritdoc IInbox
    function write(bytes32 containerId, bytes calldata input, bytes calldata output, bytes calldata proof)
        external
        returns (uint256)
    {
        return _write(containerId, msg.sender, 0, 0, input, output, proof);
    }

    /// @inheritdoc IInbox
    function writeViaCoordinator(
        bytes32 containerId,
        address node,
        uint32 subscriptionId,
        uint32 interval,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof
    ) external onlyCoordinator returns (uint256) {
        return _write(containerId, node, subscriptionId, interval, input, output, proof);
    }

    /// @inheritdoc IInbox
    function read(bytes32 containerId, address node, uint256 index) public view returns (InboxItem memory item) {
        if (index >= count[containerId][node]) _panic();
        bytes32 name = _nameOf(containerId, node, index);
        bytes memory head = _readBlob(name, HEAD);
        item.timestamp = uint32(_numberAt(head, 0, 4));
        item.subscriptionId = uint32(_numberAt(head, 4, 4));
        item.interval = uint32(_numberAt(head, 8, 4));
        uint256 outputFrom = HEAD + _numberAt(head, 12, 3);
        uint256 proofFrom = outputFrom + _numberAt(head, 15, 3);
        uint256 end = proofFrom + _numberAt(head, 18, 3);
        bytes memory data = _readBlob(name, end);
        item.input = LibBytes.slice(data, HEAD, outputFrom);
        item.output = LibBytes.slice(data, outputFrom, proofFrom);
        item.proof = LibBytes.slice(data, proofFrom, end);
    }

    /// @inheritdoc IInbox
    function items(bytes32 containerId, address node, uint256 index)
        external
        view
        returns (
            uint32 timestamp,
            uint32 subscriptionId,
            uint32 interval,
            bytes memory input,
            bytes memory output,
            bytes memory proof
        )
    {
        InboxItem memory item = read(containerId, node, index);
        return (item.timestamp, item.subscriptionId, item.interval, item.input, item.output, item.proof);
    }

    function _write(
        bytes32 containerId,
        address node,
        uint32 subscriptionId,
        uint32 interval,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof
    ) private returns (uint256 index) {
        index = count[containerId][node]++;
        bytes memory head = abi.encodePacked(
            uint32(block.timestamp),
            subscriptionId,
            interval,
            uint24(input.length),
            uint24(output.length),
            uint24(proof.length)
        );
        _writeBlob(_nameOf(containerId, node, index), bytes.concat(head, input, output, proof));
        emit NewInboxItem(containerId, node, index);
    }

    function _nameOf(bytes32 containerId, address node, uint256 index) private pure returns (bytes32) {
        return keccak256(abi.encode(containerId, node, index));
    }

    function _numberAt(bytes memory head, uint256 from, uint256 size) private pure returns (uint256) {
        return uint256(LibBytes.load(head, from)) >> (256 - 8 * size);
    }

    function _panic() private pure {
        assembly ("memory-safe") {
            mstore(0x00, 0x4e487b71) // Panic(uint256)
            mstore(0x20, PANIC)
            revert(0x1c, 0x24)
        }
    }
}
