// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Attack} from "./Attack.sol";
import {Status} from "src/interface/IReader.sol";

/// @dev Has an input of zeros for everybody, or only burns the gas for one.
contract LongInput {
    uint256 private immutable _size;

    constructor(uint256 size) {
        _size = size;
    }

    fallback() external {
        uint256 size = _size;
        while (size == 0) {}
        assembly {
            mstore(0, 32)
            mstore(32, size)
            return(0, add(64, size))
        }
    }
}

/// @notice Inputs that fill the memory of a page of the reader's, which costs more the more there is.
contract ReaderHeavyTest is Attack {
    /// @dev What public nodes give an `eth_call`.
    uint256 internal constant CALL_GAS = 50_000_000;
    uint16 internal constant MOST = 65_440;

    uint32 internal first;

    function setUp() public override {
        super.setUp();
        first = coordinator.id();
    }

    function _ask(uint256 size, uint256 many) private {
        address consumer_ = address(new LongInput(size));
        for (uint256 i = 0; i < many; i++) {
            vm.prank(consumer_);
            coordinator.createSubscription("c", 1, 0, 1, false, ETH, 0, NOBODY, NOBODY);
        }
    }

    /// @dev The last one is honest.
    function _page() private returns (Status[] memory page) {
        uint32 honest = _paid(address(token), PRICE, NOBODY);
        page = reader.readStatusBatch{gas: CALL_GAS}(first, honest + 1, node, MOST);
        Status memory last = page[page.length - 1];
        assertEq(last.id, honest);
        assertEq(last.funds, FUNDS);
        assertEq(last.interval, 1);
    }

    function testLongInputs() public {
        _ask(MOST, 60);
        Status[] memory page = _page();
        for (uint256 i = 0; i < 15; i++) {
            assertTrue(page[i].hasInput);
            assertEq(page[i].input.length, MOST);
        }
        assertFalse(page[59].hasInput);
    }

    function testLongInputsBesideBurnedGas() public {
        _ask(MOST, 10);
        _ask(0, 60);
        assertTrue(_page()[9].hasInput);
    }

    function testInputsThatAreTooLongTakeNoRoom() public {
        _ask(MOST + 1, 60);
        _ask(MOST, 1);
        Status[] memory page = _page();
        assertFalse(page[0].hasInput);
        assertTrue(page[60].hasInput);
        assertTrue(page[61].hasInput);
    }
}
