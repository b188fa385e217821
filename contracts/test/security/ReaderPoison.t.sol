// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {StrangeToken} from "../support/StrangeToken.sol";
import {Attack} from "./Attack.sol";
import {Terms} from "src/interface/ICoordinator.sol";
import {Status} from "src/interface/IReader.sol";

/// @dev Says what it is told to, whatever it is asked.
contract RawConsumer {
    bytes private _answer;
    bool private _burns;
    uint256 private _size;

    function set(bytes calldata answer, bool burns, uint256 size) external {
        (_answer, _burns, _size) = (answer, burns, size);
    }

    fallback() external {
        while (_burns) {}
        bytes memory answer = _answer;
        uint256 size = _size > 0 ? _size : answer.length;
        assembly {
            return(add(answer, 0x20), size)
        }
    }
}

/// @notice Consumers and tokens that spoil a page of the reader's for the requests beside theirs.
contract ReaderPoisonTest is Attack {
    /// @dev What public nodes give an `eth_call`.
    uint256 internal constant CALL_GAS = 50_000_000;
    /// @dev With what each may use of it, more than there is.
    uint256 internal constant MANY = 60;

    RawConsumer internal raw;
    uint32 internal first;

    function setUp() public override {
        super.setUp();
        raw = new RawConsumer();
        first = coordinator.id();
    }

    function _askRaw(address token_, uint256 amount) internal {
        vm.prank(address(raw));
        coordinator.createSubscription("c", 1, 0, 1, false, token_, amount, address(wallet), NOBODY);
    }

    /// @dev The last one is honest.
    function _page() internal returns (Status[] memory page) {
        uint32 honest = _paid(address(token), PRICE, NOBODY);
        page = reader.readStatusBatch{gas: CALL_GAS}(first, honest + 1, node, 1024);
        Status memory last = page[page.length - 1];
        assertEq(last.id, honest);
        assertEq(last.funds, FUNDS);
        assertEq(last.interval, 1);
        assertTrue(last.hasInput);
    }

    function _answered(bytes memory answer) internal returns (Status memory) {
        raw.set(answer, false, 0);
        _askRaw(ETH, 0);
        return _page()[0];
    }

    function testConsumersThatBurnGas() public {
        raw.set("", true, 0);
        for (uint256 i = 0; i < MANY; i++) {
            _askRaw(ETH, 0);
        }
        assertFalse(_page()[0].hasInput);
    }

    function testTokensThatBurnGas() public {
        StrangeToken strange = new StrangeToken();
        strange.setBurnsGas(true);
        raw.set("", true, 0);
        for (uint256 i = 0; i < MANY; i++) {
            _askRaw(address(strange), 1);
        }
        assertEq(_page()[0].funds, 0);
    }

    function testConsumerThatAnswersWithAMegabyte() public {
        raw.set("", false, 1_000_000);
        _askRaw(ETH, 0);
        assertFalse(_page()[0].hasInput);
    }

    function testInputOfTheHighestLength() public {
        assertFalse(_answered(abi.encode(32, type(uint256).max)).hasInput);
    }

    function testInputAtTheHighestOffset() public {
        assertFalse(_answered(abi.encode(type(uint256).max, 1, 1)).hasInput);
    }

    function testInputThatIsCutShort() public {
        assertFalse(_answered(abi.encode(32, 33, 1)).hasInput);
    }

    function testAnswerOfAnyBytes(bytes calldata answer) public {
        _answered(answer);
    }

    function testTokenWithoutCode() public {
        _askRaw(makeAddr("no token"), 1);
        assertEq(_page()[0].funds, 0);
    }

    function testWalletThatIsNone() public {
        vm.prank(address(raw));
        coordinator.createSubscription("c", 1, 0, 1, false, ETH, 1, address(raw), NOBODY);
        assertEq(_page()[0].funds, 0);
    }

    function testOwnerWithoutCode() public {
        vm.prank(node);
        coordinator.createSubscription("c", 1, 0, 1, false, ETH, 0, NOBODY, NOBODY);
        assertFalse(_page()[0].hasInput);
    }

    function testWhatHasExpiredIsNotOpen() public {
        Terms memory terms = _noTerms();
        terms.expiresAt = uint32(block.timestamp + 1);
        uint32 id = _openWith(terms, ETH, NOBODY);
        assertEq(reader.readStatusBatch(id, id + 1, node, 0)[0].interval, 1);
        skip(1);
        assertEq(reader.readStatusBatch(id, id + 1, node, 0)[0].interval, 0);
    }
}
