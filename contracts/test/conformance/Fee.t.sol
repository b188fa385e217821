// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {Fee} from "src/payments/Fee.sol";
import {Ownable} from "solady/auth/Ownable.sol";

contract FeeTest is Setup {
    function testIsWhatItWasMadeWith(address recipient, uint16 amount) public {
        Fee made = new Fee(recipient, uint16(bound(amount, 0, 5000)));
        assertEq(made.FEE(), bound(amount, 0, 5000));
        assertEq(made.FEE_RECIPIENT(), recipient);
        assertEq(made.owner(), recipient);
    }

    function testRecipientSetsIt() public {
        vm.prank(feeRecipient);
        fee.updateFee(0);
        assertEq(fee.FEE(), 0);
    }

    function testGoesUpToHalf() public {
        vm.prank(feeRecipient);
        fee.updateFee(5000);
        assertEq(fee.FEE(), 5000);
    }

    function testCannotBeMoreThanHalf() public {
        vm.expectRevert(Fee.FeeTooHigh.selector);
        vm.prank(feeRecipient);
        fee.updateFee(5001);
    }

    function testCannotBeMadeWithMoreThanHalf() public {
        vm.expectRevert(Fee.FeeTooHigh.selector);
        new Fee(feeRecipient, 5001);
    }

    function testCannotBeSetByOthers(address caller) public {
        vm.assume(caller != feeRecipient);
        vm.expectRevert(Ownable.Unauthorized.selector);
        vm.prank(caller);
        fee.updateFee(1);
    }

    function testGoesToWhoeverOwnsIt() public {
        vm.prank(feeRecipient);
        fee.transferOwnership(node);
        assertEq(fee.FEE_RECIPIENT(), node);
    }

    function testGoesToWhoeverItIsHandedOverTo() public {
        vm.prank(node);
        fee.requestOwnershipHandover();
        vm.prank(feeRecipient);
        fee.completeOwnershipHandover(node);
        assertEq(fee.FEE_RECIPIENT(), node);
    }

    function testGoesToNobodyOnceRenounced() public {
        vm.prank(feeRecipient);
        fee.renounceOwnership();
        assertEq(fee.FEE_RECIPIENT(), NOBODY);
    }

    function testHoldsFromTheNextDelivery() public {
        uint32 id = _paid(ETH, 1 ether, NOBODY);
        vm.prank(feeRecipient);
        fee.updateFee(100);
        _deliver(id);
        assertEq(feeRecipient.balance, 0.02 ether);
    }

    function testMayHaveNoRecipient() public {
        assertEq(new Fee(NOBODY, 500).FEE_RECIPIENT(), NOBODY);
    }
}
