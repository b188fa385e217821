// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Attack} from "./Attack.sol";
import {Wallet} from "src/payments/Wallet.sol";
import {WalletFactory} from "src/payments/WalletFactory.sol";
import {Coordinated} from "src/utility/Coordinated.sol";
import {Ownable} from "solady/auth/Ownable.sol";

/// @notice Wallets share the code of the first one: taking one over, or all of them.
contract WalletClonesTest is Attack {
    address internal immutable thief = makeAddr("thief");

    function _cannotInitialize(Wallet of_) internal {
        vm.prank(thief);
        vm.expectRevert(Ownable.AlreadyInitialized.selector);
        of_.initialize(thief);
    }

    function testCannotInitializeAClone() public {
        _cannotInitialize(nodeWallet);
    }

    function testCannotInitializeTheFirstOne() public {
        _cannotInitialize(Wallet(payable(factory.implementation())));
    }

    function testCannotInitializeWhatWasRenounced() public {
        vm.prank(owner);
        nodeWallet.renounceOwnership();
        _cannotInitialize(nodeWallet);
    }

    function testCannotInitializeWhatNeverHadAnOwner() public {
        _cannotInitialize(Wallet(payable(factory.createWallet(address(0)))));
        _cannotInitialize(Wallet(payable(factory.createWalletDeterministic(address(0), ""))));
    }

    function testOwnerOfTheFirstOneHasNoPowerOverOthers() public {
        vm.startPrank(owner);
        Wallet(payable(factory.implementation())).transferOwnership(thief);
        nodeWallet.transferOwnership(node);
        vm.stopPrank();
        vm.startPrank(thief);
        vm.expectRevert(Ownable.Unauthorized.selector);
        nodeWallet.withdraw(ETH, 1);
        Wallet(payable(factory.implementation())).withdraw(ETH, FUNDS);
        assertEq(address(nodeWallet).balance, FUNDS);
    }

    function testStrangersHaveNone(address stranger) public {
        vm.assume(stranger != owner && stranger != address(coordinator));
        vm.startPrank(stranger);
        vm.expectRevert(Ownable.Unauthorized.selector);
        nodeWallet.withdraw(ETH, 1);
        vm.expectRevert(Ownable.Unauthorized.selector);
        nodeWallet.approve(stranger, ETH, 1);
    }

    function testFundsMoveForTheCoordinatorAlone() public {
        bytes[] memory calls = new bytes[](6);
        calls[0] = abi.encodeCall(Wallet.cTransfer, (node, ETH, thief, 1));
        calls[1] = abi.encodeCall(Wallet.cPay, (node, ETH, thief, 1, thief, 1));
        calls[2] = abi.encodeCall(Wallet.cLock, (node, ETH, 1));
        calls[3] = abi.encodeCall(Wallet.cUnlock, (node, ETH, 1));
        calls[4] = abi.encodeCall(Wallet.cHold, (node, ETH, 1));
        calls[5] = abi.encodeCall(Wallet.cSettle, (node, ETH, thief, 1));
        for (uint256 i = 0; i < calls.length; i++) {
            vm.prank(owner);
            (bool success, bytes memory reason) = address(nodeWallet).call(calls[i]);
            assertFalse(success);
            assertEq(bytes4(reason), Coordinated.NotCoordinator.selector);
        }
    }

    function testThiefCannotTakeAnAddressThatWasPredicted() public {
        address mine = factory.predictWallet(node, node, "salt");
        vm.prank(thief);
        address others = factory.createWalletDeterministic(node, "salt");
        assertTrue(others != mine);
        vm.prank(thief);
        assertTrue(factory.createWalletDeterministic(thief, "salt") != mine);
        vm.deal(mine, 1 ether);
        vm.prank(node);
        assertEq(factory.createWalletDeterministic(node, "salt"), mine);
        assertEq(Wallet(payable(mine)).owner(), node);
    }

    function testCannotMakeTheSameTwice() public {
        factory.createWalletDeterministic(owner, "salt");
        vm.expectRevert(WalletFactory.WalletExists.selector);
        factory.createWalletDeterministic(owner, "salt");
    }

    function testImpostorIsNoWallet() public {
        assertFalse(factory.isValidWallet(address(new Wallet(registry, owner))));
        assertFalse(factory.isValidWallet(factory.predictWallet(node, node, "salt")));
    }

    function testEthIsTakenWithTheGasOfATransfer() public {
        vm.deal(thief, 2);
        vm.startPrank(thief);
        payable(address(nodeWallet)).transfer(1);
        payable(factory.implementation()).transfer(1);
        assertEq(address(nodeWallet).balance, FUNDS + 1);
    }
}
