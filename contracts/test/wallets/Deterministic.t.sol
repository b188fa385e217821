// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {Wallet} from "src/payments/Wallet.sol";
import {WalletFactory} from "src/payments/WalletFactory.sol";
import {Ownable} from "solady/auth/Ownable.sol";

/// @notice Wallets whose address is known before they are there.
contract DeterministicTest is Setup {
    bytes32 private constant SALT = "salt";

    function testCreatesWhereItWasPredicted(address caller, address owner_, bytes32 salt) public {
        address predicted = factory.predictWallet(caller, owner_, salt);
        assertEq(predicted.code.length, 0);
        vm.prank(caller);
        assertEq(factory.createWalletDeterministic(owner_, salt), predicted);
        assertTrue(factory.isValidWallet(predicted));
        assertEq(Wallet(payable(predicted)).owner(), owner_);
    }

    function testTellsOfIt() public {
        address predicted = factory.predictWallet(address(this), owner, SALT);
        vm.expectEmit(address(factory));
        emit WalletFactory.WalletCreated(address(this), owner, predicted);
        factory.createWalletDeterministic(owner, SALT);
    }

    function testKeepsWhatWasSentBefore() public {
        address predicted = factory.predictWallet(address(this), owner, SALT);
        vm.deal(predicted, 1 ether);
        factory.createWalletDeterministic(owner, SALT);
        vm.prank(owner);
        Wallet(payable(predicted)).withdraw(ETH, 1 ether);
        assertEq(owner.balance, 1 ether);
    }

    function testCannotCreateTwice() public {
        factory.createWalletDeterministic(owner, SALT);
        vm.expectRevert(WalletFactory.WalletExists.selector);
        factory.createWalletDeterministic(owner, SALT);
    }

    function testCannotTakeAnothersAddress() public {
        address predicted = factory.predictWallet(address(this), owner, SALT);
        vm.prank(node);
        assertNotEq(factory.createWalletDeterministic(owner, SALT), predicted);
        assertNotEq(factory.createWalletDeterministic(node, SALT), predicted);
        assertNotEq(factory.createWalletDeterministic(owner, "pepper"), predicted);
        assertEq(predicted.code.length, 0);
    }

    function testCannotCreateBeforeTheFirst() public {
        WalletFactory fresh = new WalletFactory(registry);
        vm.expectRevert(WalletFactory.NoImplementation.selector);
        fresh.createWalletDeterministic(owner, SALT);
        vm.expectRevert(WalletFactory.NoImplementation.selector);
        fresh.predictWallet(address(this), owner, SALT);
    }

    function testCannotPayWithWhatWasOnlyPredicted() public view {
        assertFalse(factory.isValidWallet(factory.predictWallet(address(this), owner, SALT)));
    }

    function testPaysAndIsPaidAsOthers() public {
        Wallet payer = Wallet(payable(factory.createWalletDeterministic(owner, SALT)));
        Wallet payee = Wallet(payable(factory.createWalletDeterministic(node, SALT)));
        vm.deal(address(payer), 1 ether);
        vm.prank(owner);
        payer.approve(address(consumer), ETH, 1 ether);
        uint32 id = consumer.create("container", 1, 0, 1, false, ETH, 1 ether, address(payer), NOBODY);
        _deliver(id, node, address(payee));
        assertEq(address(payee).balance, 0.8978 ether);
        assertEq(address(payer).balance, 0);
    }

    function testCannotBeGivenAnotherOwner() public {
        Wallet made = Wallet(payable(factory.createWalletDeterministic(owner, SALT)));
        vm.expectRevert(Ownable.AlreadyInitialized.selector);
        made.initialize(node);
    }

    function testCannotBeGivenAnOwnerAfterNobody() public {
        Wallet made = Wallet(payable(factory.createWalletDeterministic(NOBODY, SALT)));
        vm.expectRevert(Ownable.AlreadyInitialized.selector);
        made.initialize(node);
    }
}
