// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {Registry} from "src/Registry.sol";
import {Wallet} from "src/payments/Wallet.sol";
import {WalletFactory} from "src/payments/WalletFactory.sol";
import {Ownable} from "solady/auth/Ownable.sol";

contract WalletFactoryTest is Setup {
    function testMakesWalletsAtAddressesOfItsNonce() public {
        for (uint256 i = 0; i < 3; i++) {
            address expected = vm.computeCreateAddress(address(factory), vm.getNonce(address(factory)));
            assertEq(factory.createWallet(owner), expected);
        }
    }

    function testFirstWalletIsItsFirstCreation() public {
        WalletFactory lone = new WalletFactory(registry);
        address expected = vm.computeCreateAddress(address(lone), 1);
        assertEq(lone.createWallet(owner), expected);
    }

    function testAnyoneMakesThemForAnyone(address caller, address owner_) public {
        vm.prank(caller);
        assertEq(Wallet(payable(factory.createWallet(owner_))).owner(), owner_);
    }

    function testTellsWhoMadeItForWhom() public {
        address expected = vm.computeCreateAddress(address(factory), vm.getNonce(address(factory)));
        vm.expectEmit(address(factory));
        emit WalletFactory.WalletCreated(node, owner, expected);
        vm.prank(node);
        factory.createWallet(owner);
    }

    function testKnowsItsOwn() public {
        address made = factory.createWallet(owner);
        assertTrue(factory.isValidWallet(made));
    }

    function testKnowsNoOthers(address other) public {
        vm.assume(other != address(wallet) && other != address(nodeWallet) && other != address(otherWallet));
        assertFalse(factory.isValidWallet(other));
    }

    function testKnowsNoneOfAnotherFactory() public {
        WalletFactory lone = new WalletFactory(registry);
        assertFalse(factory.isValidWallet(lone.createWallet(owner)));
    }

    function testNeedsOnlyTheCoordinatorOfTheRegistry() public {
        WalletFactory lone = new WalletFactory(new Registry(address(this), NOBODY, NOBODY, NOBODY, NOBODY));
        for (uint256 i = 0; i < 2; i++) {
            Wallet made = Wallet(payable(lone.createWallet(owner)));
            vm.deal(address(made), 5);
            vm.prank(owner);
            made.approve(node, ETH, 5);
            made.cTransfer(node, ETH, address(0xbeef), 5);
            assertEq(address(0xbeef).balance, 5 * (i + 1));
        }
    }

    function testCannotBeginAWalletAgain() public {
        for (uint256 i = 0; i < 2; i++) {
            Wallet made = Wallet(payable(i == 0 ? factory.implementation() : address(wallet)));
            vm.expectRevert(Ownable.AlreadyInitialized.selector);
            made.initialize(node);
        }
    }

    function testWalletsShareNothing() public {
        Wallet first = Wallet(payable(factory.createWallet(owner)));
        Wallet second = Wallet(payable(factory.createWallet(owner)));
        vm.startPrank(owner);
        first.approve(node, ETH, 5);
        first.transferOwnership(node);
        assertEq(second.allowance(node, ETH), 0);
        assertEq(second.owner(), owner);
    }
}
