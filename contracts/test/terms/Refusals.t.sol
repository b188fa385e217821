// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {Coordinator} from "src/Coordinator.sol";
import {ICoordinator, Request, Terms} from "src/interface/ICoordinator.sol";
import {Wallet} from "src/payments/Wallet.sol";

/// @notice What `openSubscription` refuses, each by its name and at its boundary.
contract RefusalsTest is Setup {
    /// @dev So much is left until 2^32-1, and it is 5 times 508,993,459.
    uint32 private constant PERIOD_OF_FOUR = 508_993_459;

    Request private request;
    Terms private terms;

    function setUp() public override {
        super.setUp();
        request = _request(ETH, 1 ether, NOBODY);
    }

    function testCannotOpenWithoutInterval() public {
        request.frequency = 0;
        _expect(Coordinator.NoInterval.selector);
    }

    function testCannotOpenWithoutRedundancy() public {
        request.redundancy = 0;
        _expect(Coordinator.NoRedundancy.selector);
    }

    function testCannotOpenSeveralIntervalsOfNoLength() public {
        request.frequency = 2;
        _expect(Coordinator.InvalidPeriod.selector);
    }

    function testOpensUntilTheEndOfTime() public {
        (request.frequency, request.period) = (4, PERIOD_OF_FOUR);
        assertEq(consumer.open(request, terms), 1);
    }

    function testCannotOpenBeyondTheEndOfTime() public {
        (request.frequency, request.period) = (4, PERIOD_OF_FOUR + 1);
        _expect(Coordinator.InvalidPeriod.selector);
        (request.frequency, request.period) = (5, PERIOD_OF_FOUR);
        _expect(Coordinator.InvalidPeriod.selector);
    }

    function testCannotOpenTheLongest() public {
        (request.frequency, request.period) = (type(uint32).max, type(uint32).max);
        _expect(Coordinator.InvalidPeriod.selector);
    }

    function testCannotOpenBeyondTheEndOfTime(uint32 frequency, uint32 period) public {
        frequency = uint32(bound(frequency, 2, type(uint32).max));
        period = uint32(bound(period, 1, type(uint32).max));
        (request.frequency, request.period) = (frequency, period);
        if (uint256(period) * (uint256(frequency) + 1) > 2_544_967_295) _expect(Coordinator.InvalidPeriod.selector);
        else assertEq(consumer.open(request, terms), 1);
    }

    function testCannotOpenFromAnAccount() public {
        address account = makeAddr("account");
        vm.expectRevert(Coordinator.InvalidOwner.selector);
        vm.prank(account, account);
        coordinator.openSubscription(request, terms);
    }

    function testOpensFromAnAccountWithCode() public {
        address account = makeAddr("account");
        vm.etch(account, address(consumer).code);
        vm.prank(account, account);
        uint32 id = coordinator.openSubscription(request, terms);
        assertEq(coordinator.getSubscription(id).owner, account);
    }

    function testOpensFromAConstructor() public {
        Newborn newborn = new Newborn(coordinator, request, terms);
        assertEq(coordinator.getSubscription(newborn.id()).owner, address(newborn));
    }

    function testCannotOpenWithAWalletOfNobodys() public {
        request.wallet = NOBODY;
        _expect(Coordinator.InvalidWallet.selector);
    }

    function testCannotOpenWithAWalletOfAnotherMake() public {
        request.wallet = address(new Wallet(registry, owner));
        _expect(Coordinator.InvalidWallet.selector);
    }

    function testCannotOpenWithAVerifierWithoutCode() public {
        request.verifier = makeAddr("no code");
        _expect(Coordinator.InvalidVerifier.selector);
    }

    function testCannotOpenWhatHasExpired() public {
        terms.expiresAt = 1_750_000_000;
        _expect(Coordinator.InvalidTerms.selector);
    }

    function testCannotOpenWhatExpiresAsItBegins() public {
        request.period = 60;
        terms.expiresAt = 1_750_000_060;
        _expect(Coordinator.InvalidTerms.selector);
    }

    function testOpensForASecond() public {
        request.period = 60;
        terms.expiresAt = 1_750_000_061;
        uint32 id = consumer.open(request, terms);
        vm.warp(1_750_000_060);
        _deliver(id);
        assertEq(consumer.answers(), 1);
    }

    function testCannotPrepayNothing() public {
        request.paymentAmount = 0;
        terms.prepaid = true;
        _expect(Coordinator.InvalidTerms.selector);
    }

    /// @dev Nobody may be able to cancel it, and without an end nothing comes back.
    function testCannotPrepayACallbackForEver() public {
        terms.prepaid = true;
        _expect(Coordinator.InvalidTerms.selector);
        terms.expiresAt = type(uint32).max;
        assertEq(consumer.open(request, terms), 1);
    }

    function testCreatesWhateverIsRefusedHere() public {
        consumer.create("", 0, 0, 0, false, ETH, 1, makeAddr("no wallet"), makeAddr("no verifier"));
        assertEq(coordinator.id(), 2);
    }

    function _expect(bytes4 refusal) private {
        vm.expectRevert(refusal);
        consumer.open(request, terms);
    }
}

/// @notice Asks before it has code.
contract Newborn {
    uint32 public immutable id;

    constructor(ICoordinator coordinator, Request memory request, Terms memory terms) {
        id = coordinator.openSubscription(request, terms);
    }
}
