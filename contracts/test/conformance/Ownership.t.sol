// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {Fee} from "src/payments/Fee.sol";
import {Wallet} from "src/payments/Wallet.sol";
import {Ownable} from "solady/auth/Ownable.sol";

/// @notice Ownership, which fee, first wallet and clones have alike.
contract OwnershipTest is Setup {
    /// @dev All are the owner's.
    Ownable[] private owned;

    function setUp() public override {
        super.setUp();
        owned.push(new Fee(owner, 0));
        owned.push(new Wallet(registry, owner));
        owned.push(Ownable(factory.implementation()));
        owned.push(Ownable(factory.createWallet(owner)));
    }

    function testIsTransferred() public {
        for (uint256 i = 0; i < owned.length; i++) {
            vm.expectEmit(address(owned[i]));
            emit Ownable.OwnershipTransferred(owner, node);
            vm.prank(owner);
            owned[i].transferOwnership(node);
            assertEq(owned[i].owner(), node);
        }
    }

    function testIsToldAtTheBeginning() public {
        vm.expectEmit();
        emit Ownable.OwnershipTransferred(NOBODY, node);
        new Fee(node, 0);
        vm.expectEmit();
        emit Ownable.OwnershipTransferred(NOBODY, node);
        new Wallet(registry, node);
        vm.expectEmit();
        emit Ownable.OwnershipTransferred(NOBODY, node);
        factory.createWallet(node);
    }

    function testIsRenounced() public {
        for (uint256 i = 0; i < owned.length; i++) {
            vm.startPrank(owner);
            owned[i].renounceOwnership();
            assertEq(owned[i].owner(), NOBODY);
            vm.expectRevert(Ownable.Unauthorized.selector);
            owned[i].transferOwnership(owner);
        }
    }

    function testCannotBeTransferredToNobody() public {
        for (uint256 i = 0; i < owned.length; i++) {
            vm.expectRevert(Ownable.NewOwnerIsZeroAddress.selector);
            vm.prank(owner);
            owned[i].transferOwnership(NOBODY);
        }
    }

    function testCannotBeTakenByOthers() public {
        for (uint256 i = 0; i < owned.length; i++) {
            vm.startPrank(node);
            owned[i].requestOwnershipHandover();
            vm.expectRevert(Ownable.Unauthorized.selector);
            owned[i].transferOwnership(node);
            vm.expectRevert(Ownable.Unauthorized.selector);
            owned[i].renounceOwnership();
            vm.expectRevert(Ownable.Unauthorized.selector);
            owned[i].completeOwnershipHandover(node);
        }
    }

    function testIsHandedOverWithinTwoDays() public {
        for (uint256 i = 0; i < owned.length; i++) {
            vm.expectEmit(address(owned[i]));
            emit Ownable.OwnershipHandoverRequested(node);
            vm.prank(node);
            owned[i].requestOwnershipHandover();
            assertEq(owned[i].ownershipHandoverExpiresAt(node), block.timestamp + 48 hours);
        }
        skip(48 hours);
        for (uint256 i = 0; i < owned.length; i++) {
            vm.prank(owner);
            owned[i].completeOwnershipHandover(node);
            assertEq(owned[i].owner(), node);
        }
    }

    function testCannotBeHandedOverLater() public {
        vm.prank(node);
        owned[0].requestOwnershipHandover();
        skip(48 hours + 1);
        vm.expectRevert(Ownable.NoHandoverRequest.selector);
        vm.prank(owner);
        owned[0].completeOwnershipHandover(node);
    }

    function testCannotBeHandedOverUnasked() public {
        for (uint256 i = 0; i < owned.length; i++) {
            vm.expectRevert(Ownable.NoHandoverRequest.selector);
            vm.prank(owner);
            owned[i].completeOwnershipHandover(node);
        }
    }

    function testHandoverCanBeTakenBack() public {
        vm.startPrank(node);
        owned[3].requestOwnershipHandover();
        vm.expectEmit(address(owned[3]));
        emit Ownable.OwnershipHandoverCanceled(node);
        owned[3].cancelOwnershipHandover();
        assertEq(owned[3].ownershipHandoverExpiresAt(node), 0);
    }
}
