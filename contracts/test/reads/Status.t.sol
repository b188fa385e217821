// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {RecordingConsumer} from "../support/Consumers.sol";
import {Setup} from "../support/Setup.sol";
import {OptimisticVerifier} from "../support/Verifiers.sol";
import {Request, Terms} from "src/interface/ICoordinator.sol";
import {Status} from "src/interface/IReader.sol";

/// @notice What a node learns of subscriptions in one call.
contract StatusTest is Setup {
    InputConsumer private asking;

    function setUp() public override {
        super.setUp();
        asking = new InputConsumer(address(registry));
        vm.prank(owner);
        wallet.approve(address(asking), address(token), 30 ether);
    }

    function testTellsEverything() public {
        Request memory request = _request(address(token), 1 ether, address(new OptimisticVerifier(coordinator)));
        (request.frequency, request.period, request.redundancy) = (3, 60, 2);
        Terms memory terms = Terms(1_750_001_000, 600, true, true, true);
        uint32 id = asking.open(request, terms);
        vm.warp(1_750_000_125);
        vm.prank(node);
        coordinator.reportFailure(id, 2, 1);

        Status memory status = _status(id);
        Status memory expected = Status({
            id: id,
            subscription: coordinator.getSubscription(id),
            terms: terms,
            prepayment: 6 ether,
            interval: 2,
            count: 0,
            responded: true,
            funds: FUNDS - 6 ether,
            allowance: 24 ether,
            hasInput: true,
            input: abi.encode(id, uint32(2), uint32(1_750_000_125), node)
        });
        assertEq(abi.encode(status), abi.encode(expected));
    }

    function testCountsAnswers() public {
        uint32 id = _callback(3);
        _deliver(id);
        _deliver(id, otherNode, NOBODY);
        assertEq(_status(id).count, 2);
        assertTrue(_status(id).responded);
        assertFalse(reader.readStatusBatch(id, id + 1, owner, 100)[0].responded);
    }

    function testTellsNothingOfNone() public view {
        Status memory none;
        none.id = 77;
        assertEq(abi.encode(_status(77)), abi.encode(none));
    }

    function testTellsNothingOfMoneyWhereThereIsNone() public {
        uint32 id = consumer.create("container", 1, 0, 1, false, ETH, 0, address(wallet), NOBODY);
        assertEq(_status(id).funds, 0);
        assertEq(_status(id).allowance, 0);
    }

    function testTellsOfEther() public {
        uint32 id = _paid(ETH, 1 ether, NOBODY);
        assertEq(_status(id).funds, FUNDS);
        assertEq(_status(id).allowance, FUNDS);
    }

    function testTellsNoFundsOfForeignWallets() public {
        vm.deal(address(asking), 1 ether);
        uint32 id = asking.create("container", 1, 0, 1, false, ETH, 1, address(asking), NOBODY);
        assertEq(_status(id).funds, 0);
    }

    function testHasNoIntervalBeforeTheFirst() public {
        uint32 id = _recurring();
        vm.warp(1_750_000_059);
        _assertClosed(id);
        vm.warp(1_750_000_060);
        assertEq(_status(id).interval, 1);
        assertTrue(_status(id).hasInput);
    }

    function testHasNoIntervalAfterTheLast() public {
        uint32 id = _recurring();
        vm.warp(1_750_000_179);
        assertEq(_status(id).interval, 2);
        vm.warp(1_750_000_180);
        _assertClosed(id);
    }

    function testHasNoIntervalOnceCancelled() public {
        uint32 id = _recurring();
        vm.warp(1_750_000_060);
        asking.cancel(id);
        _assertClosed(id);
    }

    function testHasNoIntervalOnceExpired() public {
        Terms memory terms = _noTerms();
        terms.expiresAt = 1_750_000_010;
        uint32 id = asking.open(_request(ETH, 0, NOBODY), terms);
        vm.warp(1_750_000_009);
        assertEq(_status(id).interval, 1);
        vm.warp(1_750_000_010);
        _assertClosed(id);
    }

    function testReadsAPageInOrder() public {
        (uint32 first, uint32 second) = (_callback(1), _callback(2));
        Status[] memory page = reader.readStatusBatch(first, second + 2, node, 0);
        assertEq(page.length, 3);
        assertEq(page[0].id, first);
        assertEq(page[0].subscription.redundancy, 1);
        assertEq(page[1].id, second);
        assertEq(page[1].subscription.redundancy, 2);
        assertEq(page[2].subscription.owner, address(0));
        assertEq(reader.readStatusBatch(first, first, node, 0).length, 0);
    }

    function testCannotReadBackwards() public {
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 0x11));
        reader.readStatusBatch(2, 1, node, 0);
    }

    function testReadsInputsUpToTheirMost(uint16 size, uint16 most) public {
        size = uint16(bound(size, 0, 2000));
        most = uint16(bound(most, 0, 2000));
        _assertInput(size, most, size <= most);
    }

    function testReadsInputsAtTheirMost() public {
        _assertInput(0, 0, true);
        _assertInput(1, 0, false);
        _assertInput(31, 31, true);
        _assertInput(32, 31, false);
        _assertInput(32, 32, true);
        _assertInput(33, 32, false);
        _assertInput(65_440, type(uint16).max, true);
        _assertInput(65_441, type(uint16).max, false);
        _assertInput(65_440, 65_440, true);
    }

    function _recurring() private returns (uint32) {
        return asking.create("container", 2, 60, 1, false, ETH, 0, NOBODY, NOBODY);
    }

    function _status(uint32 id) private view returns (Status memory) {
        return reader.readStatusBatch(id, id + 1, node, 1000)[0];
    }

    function _assertClosed(uint32 id) private view {
        Status memory status = _status(id);
        assertEq(status.interval, 0);
        assertFalse(status.hasInput);
        assertEq(status.input, "");
    }

    function _assertInput(uint256 size, uint16 most, bool known) private {
        asking.setSize(size);
        uint32 id = asking.create("container", 1, 0, 1, false, ETH, 0, NOBODY, NOBODY);
        Status memory status = reader.readStatusBatch(id, id + 1, node, most)[0];
        assertEq(status.hasInput, known);
        assertTrue(keccak256(status.input) == keccak256(known ? asking.inputOfSize() : bytes("")));
    }
}

/// @notice Gives what it is asked with as an input, or one of some size.
contract InputConsumer is RecordingConsumer {
    uint256 private size;
    bool private sized;

    constructor(address registry) RecordingConsumer(registry) {}

    function setSize(uint256 size_) external {
        size = size_;
        sized = true;
    }

    function inputOfSize() public view returns (bytes memory input) {
        input = new bytes(size);
        for (uint256 i = 0; i < size; i += 31) {
            input[i] = 0x5a;
        }
        if (size > 0) input[size - 1] = 0xa5;
    }

    function getContainerInputs(uint32 id, uint32 interval, uint32 timestamp, address caller)
        external
        view
        override
        returns (bytes memory)
    {
        return sized ? inputOfSize() : abi.encode(id, interval, timestamp, caller);
    }
}
