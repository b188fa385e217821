// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Attack} from "./Attack.sol";
import {Coordinator} from "src/Coordinator.sol";
import {Request, Terms} from "src/interface/ICoordinator.sol";
import {Wallet} from "src/payments/Wallet.sol";

/// @notice Requests that look like work and can never be answered, or paid.
contract UnanswerableRequestsTest is Attack {
    function _cannotOpen(Request memory request, Terms memory terms, bytes4 selector) internal {
        vm.expectRevert(selector);
        consumer.open(request, terms);
    }

    function testCannotAskForNothing() public {
        Request memory request = _request(ETH, PRICE, NOBODY);
        request.frequency = 0;
        _cannotOpen(request, _noTerms(), Coordinator.NoInterval.selector);
        request.frequency = 1;
        request.redundancy = 0;
        _cannotOpen(request, _noTerms(), Coordinator.NoRedundancy.selector);
    }

    function testCannotAskBeyondTime(uint32 period, uint32 frequency) public {
        Request memory request = _request(ETH, PRICE, NOBODY);
        request.frequency = uint32(bound(frequency, 1, type(uint32).max));
        uint256 most = (type(uint32).max - block.timestamp) / (uint256(request.frequency) + 1);
        request.period = uint32(bound(period, most + 1, type(uint32).max));
        _cannotOpen(request, _noTerms(), Coordinator.InvalidPeriod.selector);
    }

    function testCannotAskAgainAndAgainWithoutPeriod() public {
        Request memory request = _request(ETH, PRICE, NOBODY);
        request.frequency = 2;
        _cannotOpen(request, _noTerms(), Coordinator.InvalidPeriod.selector);
    }

    function testAccountsCannotAsk() public {
        vm.prank(node, node);
        vm.expectRevert(Coordinator.InvalidOwner.selector);
        coordinator.openSubscription(_request(ETH, 0, NOBODY), _noTerms());
    }

    function testCannotPayFromAStrangersContract() public {
        Request memory request = _request(ETH, PRICE, NOBODY);
        request.wallet = address(new Wallet(registry, owner));
        _cannotOpen(request, _noTerms(), Coordinator.InvalidWallet.selector);
    }

    function testCannotBeJudgedByAnAccount() public {
        _cannotOpen(_request(ETH, PRICE, node), _noTerms(), Coordinator.InvalidVerifier.selector);
    }

    function testCannotPrepayNothing() public {
        _cannotOpen(_request(ETH, 0, NOBODY), _prepaid(), Coordinator.InvalidTerms.selector);
    }

    function testCannotPrepayMoreThanTheAllowance() public {
        _setAllowance(wallet, address(consumer), ETH, PRICE - 1);
        _cannotOpen(_request(ETH, PRICE, NOBODY), _prepaid(), Wallet.InsufficientAllowance.selector);
    }

    function testCannotPrepayFromSomebodyElsesWallet() public {
        Request memory request = _request(ETH, PRICE, NOBODY);
        request.wallet = address(otherWallet);
        _cannotOpen(request, _prepaid(), Wallet.InsufficientAllowance.selector);
    }

    function testCannotPrepayMoreThanNumbersHold() public {
        Request memory request = _request(ETH, type(uint256).max / 2 + 1, NOBODY);
        request.redundancy = 2;
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 0x11));
        consumer.open(request, _prepaid());
    }

    function testCannotExpireBeforeTheFirstInterval() public {
        Terms memory terms = _noTerms();
        terms.expiresAt = uint32(block.timestamp);
        _cannotOpen(_request(ETH, PRICE, NOBODY), terms, Coordinator.InvalidTerms.selector);
    }

    function testCannotBePaidWithoutTheFactorysWallet() public {
        uint32 id = _paid(ETH, PRICE, NOBODY);
        Wallet foreign = new Wallet(registry, owner);
        vm.prank(node);
        vm.expectRevert(Coordinator.InvalidWallet.selector);
        coordinator.deliverCompute(id, 1, "", "", "", address(foreign));
    }
}
