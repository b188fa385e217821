// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {OptimisticVerifier} from "../support/Verifiers.sol";
import {Registry} from "src/Registry.sol";
import {ICoordinator, Request, Subscription, Terms} from "src/interface/ICoordinator.sol";

contract OpenSubscriptionTest is Setup {
    function testOpensWhatWasAsked() public {
        address verifier = address(new OptimisticVerifier(coordinator));
        Request memory request = _request(address(token), 5, verifier);
        (request.frequency, request.period, request.redundancy, request.lazy) = (3, 60, 2, true);
        uint32 id = consumer.open(request, _noTerms());

        Subscription memory expected = Subscription({
            owner: address(consumer),
            activeAt: 1_750_000_060,
            period: 60,
            frequency: 3,
            redundancy: 2,
            containerId: keccak256(abi.encode("container")),
            lazy: true,
            verifier: payable(verifier),
            paymentAmount: 5,
            paymentToken: address(token),
            wallet: payable(wallet)
        });
        assertEq(abi.encode(coordinator.getSubscription(id)), abi.encode(expected));
        assertEq(abi.encode(coordinator.getTerms(id)), abi.encode(_noTerms()));
        assertEq(coordinator.id(), id + 1);
    }

    function testKeepsTerms(Terms memory terms) public {
        if (terms.expiresAt > 0 || terms.prepaid) {
            terms.expiresAt = uint32(bound(terms.expiresAt, 1_750_000_001, type(uint32).max));
        }
        uint32 id = consumer.open(_request(ETH, 1 ether, NOBODY), terms);
        assertEq(abi.encode(coordinator.getTerms(id)), abi.encode(terms));
    }

    function testKeepsTermsBesideTheVerifier(Terms memory terms) public {
        if (terms.expiresAt > 0 || terms.prepaid) {
            terms.expiresAt = uint32(bound(terms.expiresAt, 1_750_000_001, type(uint32).max));
        }
        address verifier = address(new OptimisticVerifier(coordinator));
        uint32 id = consumer.open(_request(ETH, 1 ether, verifier), terms);
        assertEq(abi.encode(coordinator.getTerms(id)), abi.encode(terms));
        assertEq(coordinator.getSubscription(id).verifier, verifier);
    }

    function testOpensUnpaidWithoutWallet() public {
        Request memory request = _request(ETH, 0, NOBODY);
        request.wallet = NOBODY;
        _deliver(consumer.open(request, _noTerms()));
        assertEq(consumer.answers(), 1);
    }

    function testOpensWithoutVerifier() public {
        _deliver(consumer.open(_request(ETH, 1 ether, NOBODY), _noTerms()));
        assertEq(address(nodeWallet).balance, FUNDS + 0.8978 ether);
    }

    function testOpensUnpaidWhateverTheVerifier() public {
        uint32 id = consumer.open(_request(ETH, 0, makeAddr("no code")), _noTerms());
        _deliver(id);
        assertEq(consumer.answers(), 1);
    }

    function testOpensWithinADeliveryOfAnother() public {
        Request memory request = _request(ETH, 1 ether, NOBODY);
        Terms memory terms = _noTerms();
        (terms.prepaid, terms.expiresAt) = (true, type(uint32).max);
        Repeater repeater = new Repeater(address(registry), request, terms);
        vm.prank(owner);
        wallet.approve(address(repeater), ETH, 10 ether);
        uint32 first = repeater.start();
        _deliver(first);
        assertEq(coordinator.getSubscription(first + 1).owner, address(repeater));
        assertEq(coordinator.prepayments(first + 1), 1 ether);
    }
}

/// @notice Asks again when it is answered.
contract Repeater {
    address private immutable coordinator;
    Request private request;
    Terms private terms;

    constructor(address registry, Request memory request_, Terms memory terms_) {
        coordinator = Registry(registry).COORDINATOR();
        request = request_;
        terms = terms_;
    }

    function start() public returns (uint32) {
        return ICoordinator(coordinator).openSubscription(request, terms);
    }

    function rawReceiveCompute(
        uint32,
        uint32,
        uint16,
        address,
        bytes calldata,
        bytes calldata,
        bytes calldata,
        bytes32,
        uint256
    ) external {
        start();
    }
}
