// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {InboxItem} from "src/interface/IInbox.sol";

/// @notice Items are code of contracts, and come back to the byte whatever their size.
contract InboxCodeTest is Setup {
    bytes32 private constant CONTAINER = "container";
    /// @dev Of an item, before its bytes; and what one contract holds.
    uint256 private constant HEAD = 21;
    uint256 private constant CHUNK = 24_575;

    function testKeepsSmallSizes() public {
        uint256[5] memory sizes = [uint256(0), 1, 31, 32, 33];
        for (uint256 i = 0; i < sizes.length; i++) {
            _assertKept(_bytes(sizes[i], i), "", "");
            _assertKept("", _bytes(sizes[i], i), "");
            _assertKept("", "", _bytes(sizes[i], i));
        }
    }

    function testKeepsSizesAroundOneContract() public {
        for (uint256 size = 24_550; size <= 24_580; size++) {
            _assertKept("", _bytes(size, size), "");
        }
    }

    function testKeepsItemsThatEndWithAContract() public {
        _assertKept(_bytes(CHUNK - HEAD - 1, 1), "", "");
        _assertKept(_bytes(CHUNK - HEAD, 1), "", "");
        _assertKept(_bytes(CHUNK - HEAD, 1), "", "p");
        _assertKept(_bytes(2 * CHUNK - HEAD, 1), "", "");
        _assertKept(_bytes(CHUNK - HEAD, 1), _bytes(CHUNK, 2), "p");
    }

    function testKeepsWhatFillsThreeContracts() public {
        _assertKept("", _bytes(60_000, 1), "");
        _assertKept(_bytes(60_000, 1), "x", _bytes(60_000, 2));
    }

    function testKeepsAnything(bytes memory input, bytes memory output, bytes memory proof) public {
        _assertKept(input, output, proof);
    }

    function testKeepsOneAfterAnother(bytes[4] memory outputs) public {
        for (uint256 i = 0; i < outputs.length; i++) {
            assertEq(inbox.write(CONTAINER, "", outputs[i], ""), i);
        }
        for (uint256 i = 0; i < outputs.length; i++) {
            assertEq(inbox.read(CONTAINER, address(this), i).output, outputs[i]);
        }
        assertEq(inbox.count(CONTAINER, address(this)), outputs.length);
    }

    function testKeepsAShortItemAfterALongOne() public {
        _assertKept("", _bytes(30_000, 1), "");
        _assertKept("", "short", "");
    }

    function testKeepsTheSameTwice() public {
        _assertKept("input", "output", "proof");
        _assertKept("input", "output", "proof");
        assertEq(inbox.count(CONTAINER, address(this)), 2);
    }

    function testCountsByContainersAndNode() public {
        inbox.write(CONTAINER, "", "", "");
        inbox.write("other", "", "", "");
        vm.prank(node);
        inbox.write(CONTAINER, "", "node's", "");
        assertEq(inbox.count(CONTAINER, address(this)), 1);
        assertEq(inbox.count("other", address(this)), 1);
        assertEq(inbox.count(CONTAINER, node), 1);
        assertEq(inbox.count("other", node), 0);
        assertEq(inbox.read(CONTAINER, node, 0).output, "node's");
    }

    function testCannotReadBeyondTheEnd() public {
        inbox.write(CONTAINER, "", "", "");
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 0x32));
        inbox.read(CONTAINER, address(this), 1);
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 0x32));
        inbox.items(CONTAINER, node, 0);
    }

    function testKeepsWhatIsDelivered() public {
        uint32 id = consumer.create("container", 1, 0, 1, true, ETH, 0, NOBODY, NOBODY);
        bytes memory output = _bytes(25_000, 3);
        vm.prank(node);
        coordinator.deliverCompute(id, 1, "input", output, "proof", NOBODY);
        InboxItem memory item = inbox.read(consumer.last().containerId, node, consumer.last().index);
        assertEq(item.subscriptionId, id);
        assertEq(item.interval, 1);
        assertEq(item.timestamp, 1_750_000_000);
        assertEq(item.output, output);
    }

    function testTellsNobodyWhatIsWrittenNext() public {
        inbox.write(CONTAINER, "", "output", "");
        (bool success, bytes memory blob) = address(inbox).staticcall(abi.encodeWithSignature("blob()"));
        assertTrue(success);
        assertEq(blob.length, 0);
    }

    function _assertKept(bytes memory input, bytes memory output, bytes memory proof) private {
        uint256 index = inbox.write(CONTAINER, input, output, proof);
        InboxItem memory item = inbox.read(CONTAINER, address(this), index);
        assertEq(item.timestamp, 1_750_000_000);
        assertEq(item.subscriptionId, 0);
        assertEq(item.interval, 0);
        assertTrue(keccak256(item.input) == keccak256(input), "input");
        assertTrue(keccak256(item.output) == keccak256(output), "output");
        assertTrue(keccak256(item.proof) == keccak256(proof), "proof");
    }

    /// @dev No two words of it are the same, and none is zero.
    function _bytes(uint256 size, uint256 seed) private pure returns (bytes memory data) {
        data = new bytes(size);
        for (uint256 at = 0; at < size; at += 32) {
            bytes32 word = keccak256(abi.encode(seed, at));
            assembly ("memory-safe") {
                let left := sub(size, at)
                let place := add(add(data, 0x20), at)
                switch lt(left, 0x20)
                case 0 { mstore(place, word) }
                default { mstore(place, shl(mul(8, sub(0x20, left)), shr(mul(8, sub(0x20, left)), word))) }
            }
        }
    }
}
