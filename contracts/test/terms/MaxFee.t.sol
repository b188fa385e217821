// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {Coordinator} from "src/Coordinator.sol";
import {Terms} from "src/interface/ICoordinator.sol";

contract MaxFeeTest is Setup {
    function testPaysAFeeUpToTheMost() public {
        _deliver(_open(FEE, 1 ether));
        assertEq(feeRecipient.balance, 0.1022 ether);
    }

    function testCannotChargeMore() public {
        uint32 id = _open(FEE - 1, 1 ether);
        vm.expectRevert(Coordinator.FeeAboveTerms.selector);
        _deliver(id);
    }

    function testCannotChargeMoreThanWhatWasAgreed() public {
        uint32 id = _open(FEE, 1 ether);
        _setFee(FEE + 1);
        vm.expectRevert(Coordinator.FeeAboveTerms.selector);
        _deliver(id);
        _setFee(FEE - 1);
        _deliver(id);
        assertEq(feeRecipient.balance, 0.102 ether);
    }

    function testPaysAnyFeeWithoutAMost() public {
        uint32 id = _open(0, 1 ether);
        _setFee(5000);
        _deliver(id);
        assertEq(feeRecipient.balance, 1 ether);
    }

    function testAsksNothingOfTheUnpaid() public {
        _deliver(_open(1, 0));
        assertEq(consumer.answers(), 1);
    }

    function testChargesNothingWithoutARecipient() public {
        uint32 id = _open(1, 1 ether);
        vm.prank(feeRecipient);
        fee.renounceOwnership();
        _deliver(id);
        assertEq(address(nodeWallet).balance, FUNDS + 1 ether);
    }

    function testNeverTakesMoreThanTheMost(uint16 charged, uint16 most) public {
        charged = uint16(bound(charged, 0, 5000));
        most = uint16(bound(most, 1, type(uint16).max));
        uint32 id = _open(most, 1 ether);
        _setFee(charged);
        if (charged > most) vm.expectRevert(Coordinator.FeeAboveTerms.selector);
        _deliver(id);
        assertLe(feeRecipient.balance, 1 ether * 2 * uint256(most) / 10_000);
    }

    function _open(uint16 maxFee, uint256 amount) private returns (uint32) {
        Terms memory terms = _noTerms();
        terms.maxFee = maxFee;
        return consumer.open(_request(ETH, amount, NOBODY), terms);
    }

    function _setFee(uint16 charged) private {
        vm.prank(feeRecipient);
        fee.updateFee(charged);
    }
}
