// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {Coordinator} from "src/Coordinator.sol";
import {ICoordinator, Subscription} from "src/interface/ICoordinator.sol";
import {stdError} from "forge-std/StdError.sol";
import {StdStorage, stdStorage} from "forge-std/StdStorage.sol";

contract CreationTest is Setup {
    using stdStorage for StdStorage;

    function testGivesOutIdsFromOne() public {
        assertEq(coordinator.id(), 1);
        assertEq(_callback(1), 1);
        assertEq(_callback(1), 2);
        assertEq(coordinator.id(), 3);
    }

    function testIdsWrapAround() public {
        stdstore.target(address(coordinator)).sig(coordinator.id.selector).checked_write(type(uint32).max);
        assertEq(_callback(1), type(uint32).max);
        assertEq(coordinator.id(), 0);
    }

    function testStoresWhatItIsGiven(
        string calldata containerId,
        uint32 frequency,
        uint32 period,
        uint16 redundancy,
        bool lazy,
        address paymentToken,
        uint256 paymentAmount,
        address wallet_,
        address verifier
    ) public {
        period = uint32(bound(period, 0, type(uint32).max - block.timestamp));
        uint32 id = coordinator.createSubscription(
            containerId, frequency, period, redundancy, lazy, paymentToken, paymentAmount, wallet_, verifier
        );
        Subscription memory expected = Subscription({
            owner: address(this),
            activeAt: uint32(block.timestamp) + period,
            period: period,
            frequency: frequency,
            redundancy: redundancy,
            containerId: keccak256(abi.encode(containerId)),
            lazy: lazy,
            verifier: payable(verifier),
            paymentAmount: paymentAmount,
            paymentToken: paymentToken,
            wallet: payable(wallet_)
        });
        assertEq(abi.encode(coordinator.getSubscription(id)), abi.encode(expected));
    }

    /// @dev Where numbers are stored in fewer bits than they have.
    function testStoresNumbersAtTheEdges() public {
        for (uint256 i = 0; i < 3; i++) {
            uint32 frequency = uint32((1 << 20) - 2 + i);
            uint16 redundancy = uint16((1 << 8) - 2 + i);
            uint256 amount = (1 << 96) - 2 + i;
            uint32 id = consumer.create("", frequency, 0, redundancy, false, ETH, amount, NOBODY, NOBODY);
            assertEq(coordinator.getSubscription(id).frequency, frequency);
            assertEq(coordinator.getSubscription(id).redundancy, redundancy);
            assertEq(coordinator.getSubscription(id).paymentAmount, amount);
        }
    }

    function testCallerIsTheOwner(address caller) public {
        vm.prank(caller);
        uint32 id = coordinator.createSubscription("container", 1, 0, 1, false, ETH, 0, NOBODY, NOBODY);
        assertEq(coordinator.getSubscription(id).owner, caller);
    }

    function testContainerIsHashedAsAnEncodedString() public {
        // The string "A,B" as abi.encode lays it out: offset, length, bytes.
        bytes32 expected = keccak256(abi.encodePacked(uint256(0x20), uint256(3), bytes32("A,B")));
        uint32 id = consumer.create("A,B", 1, 0, 1, false, ETH, 0, NOBODY, NOBODY);
        assertEq(coordinator.getSubscription(id).containerId, expected);
    }

    function testTellsTheId() public {
        vm.expectEmit(address(coordinator));
        emit ICoordinator.SubscriptionCreated(1);
        _callback(1);
    }

    function testAcceptsWhatNobodyCanAnswer() public {
        address stranger = makeAddr("stranger");
        vm.prank(stranger);
        uint32 id = coordinator.createSubscription("", 0, 0, 0, true, stranger, 1, stranger, stranger);
        assertEq(coordinator.getSubscription(id).frequency, 0);
    }

    function testAcceptsTheLastSecondThereIs() public {
        uint32 period = type(uint32).max - uint32(block.timestamp);
        uint32 id = consumer.create("container", 1, period, 1, false, ETH, 0, NOBODY, NOBODY);
        assertEq(coordinator.getSubscription(id).activeAt, type(uint32).max);
    }

    function testCannotBeginAfterIt() public {
        uint32 period = type(uint32).max - uint32(block.timestamp) + 1;
        vm.expectRevert(stdError.arithmeticError);
        consumer.create("container", 1, period, 1, false, ETH, 0, NOBODY, NOBODY);
    }

    function testBeginsAtTimeZero() public {
        vm.warp(0);
        uint32 id = _callback(1);
        assertEq(coordinator.getSubscription(id).activeAt, 0);
        _deliver(id);
        assertEq(consumer.answers(), 1);
    }

    function testThereIsNothingAtOtherIds(uint32 id) public {
        vm.assume(id != _callback(1));
        Subscription memory nothing;
        assertEq(abi.encode(coordinator.getSubscription(id)), abi.encode(nothing));
    }

    /// @dev Not guarded, so that consumers can ask the next thing when they are answered.
    function testCanCreateOutOfACallback() public {
        CallbackCreator creator = new CallbackCreator(coordinator);
        uint32 id = creator.ask();
        _deliver(id);
        assertEq(coordinator.id(), id + 2);
    }
}

/// @notice Asks again whenever it is answered.
contract CallbackCreator {
    Coordinator private immutable coordinator;

    constructor(Coordinator coordinator_) {
        coordinator = coordinator_;
    }

    function ask() public returns (uint32) {
        return coordinator.createSubscription("container", 1, 0, 1, false, address(0), 0, address(0), address(0));
    }

    fallback() external {
        ask();
    }
}
