// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {Status} from "src/interface/IReader.sol";

/// @notice Nobody on a page can spoil it for the others.
contract HostileStatusTest is Setup {
    function testReadsPastRefusals() public {
        _assertSpoilsNothing(hex"fd", "", false);
    }

    function testReadsPastThoseThatBurnGas() public {
        uint32 id = _hostile(hex"fe", "");
        uint32 again = _hostile(hex"fe", "");
        uint32 honest = _callback(1);
        uint256 before = gasleft();
        Status[] memory page = reader.readStatusBatch(id, honest + 1, node, 1000);
        assertLt(before - gasleft(), 6_500_000);
        assertFalse(page[0].hasInput);
        assertFalse(page[again - id].hasInput);
        assertTrue(page[honest - id].hasInput);
    }

    function testReadsPastAccounts() public {
        vm.prank(makeAddr("account"));
        uint32 id = coordinator.createSubscription("container", 1, 0, 1, false, ETH, 0, NOBODY, NOBODY);
        assertFalse(reader.readStatusBatch(id, id + 1, node, 1000)[0].hasInput);
    }

    function testReadsPastSilence() public {
        _assertSpoilsNothing("", "", false);
    }

    function testReadsPastHalfAHead() public {
        _assertSpoilsNothing("", abi.encode(32), false);
    }

    function testReadsPastLengthsThatAreNotThere() public {
        _assertSpoilsNothing("", abi.encode(32, 33, bytes32("data")), false);
        _assertSpoilsNothing("", abi.encode(32, type(uint256).max, bytes32("data")), false);
        _assertSpoilsNothing("", abi.encode(32, uint256(type(uint64).max) + 1, bytes32("data")), false);
    }

    function testReadsPastOffsetsElsewhere() public {
        _assertSpoilsNothing("", abi.encode(0, 4, bytes32("data")), false);
        _assertSpoilsNothing("", abi.encode(64, 0, 4, bytes32("data")), false);
        _assertSpoilsNothing("", abi.encode(type(uint256).max, 4, bytes32("data")), false);
    }

    function testReadsPastWhatIsTooLong() public {
        _assertSpoilsNothing("", abi.encode(new bytes(1001)), false);
        _assertSpoilsNothing("", bytes.concat(abi.encode(32, 4, bytes32("data")), new bytes(20_000)), false);
    }

    function testReadsWhatIsNotPadded() public {
        _assertSpoilsNothing("", abi.encodePacked(uint256(32), uint256(4), "data"), true);
    }

    function testReadsPastTokensThatBurnGas() public {
        address hostileToken = _contract(hex"fe", "");
        uint32 id = consumer.create("c", 1, 0, 1, false, hostileToken, 1, address(wallet), NOBODY);
        uint256 before = gasleft();
        Status[] memory page = reader.readStatusBatch(id, id + 1, node, 1000);
        assertLt(before - gasleft(), 500_000);
        assertEq(page[0].funds, 0);
        assertTrue(page[0].hasInput);
    }

    function testReadsPastTokensThatTellTooMuch() public {
        address hostileToken = _contract("", new bytes(20_000));
        uint32 id = consumer.create("c", 1, 0, 1, false, hostileToken, 1, address(wallet), NOBODY);
        assertEq(reader.readStatusBatch(id, id + 1, node, 1000)[0].funds, 0);
    }

    function testReadsPastTokensThatAreNone() public {
        uint32 id = consumer.create("c", 1, 0, 1, false, makeAddr("no token"), 1, address(wallet), NOBODY);
        assertEq(reader.readStatusBatch(id, id + 1, node, 1000)[0].funds, 0);
    }

    /// @dev Between two that are honest.
    function _assertSpoilsNothing(bytes memory code, bytes memory answer, bool known) private {
        uint32 first = _callback(1);
        uint32 hostile = _hostile(code, answer);
        uint32 last = _paid(ETH, 1 ether, NOBODY);
        Status[] memory page = reader.readStatusBatch(first, last + 1, node, 1000);
        assertTrue(page[0].hasInput);
        assertEq(page[hostile - first].hasInput, known);
        assertEq(page[hostile - first].input, known ? bytes("data") : bytes(""));
        assertEq(page[hostile - first].interval, 1);
        assertTrue(page[last - first].hasInput);
        assertEq(page[last - first].funds, FUNDS);
    }

    function _hostile(bytes memory code, bytes memory answer) private returns (uint32) {
        vm.prank(_contract(code, answer));
        return coordinator.createSubscription("container", 1, 0, 1, false, ETH, 0, NOBODY, NOBODY);
    }

    /// @dev Runs some code, if any, or answers everything alike: copies what stands behind 12 bytes of code, and returns it.
    function _contract(bytes memory code, bytes memory answer) private returns (address made) {
        made = vm.addr(uint256(keccak256(abi.encode(code, answer))) >> 1);
        if (code.length > 0) {
            vm.etch(made, bytes1(code) == 0xfd ? bytes(hex"5f5ffd") : code);
        } else {
            bytes2 size = bytes2(uint16(answer.length));
            vm.etch(made, abi.encodePacked(hex"61", size, hex"600c5f39", hex"61", size, hex"5ff3", answer));
        }
    }
}
