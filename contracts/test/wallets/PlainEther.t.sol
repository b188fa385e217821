// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {Wallet} from "src/payments/Wallet.sol";

/// @notice Wallets take ETH from those who send it with 2,300 gas, as `transfer` does.
contract PlainEtherTest is Setup {
    function testFirstWalletTakesIt() public {
        _assertTakes(factory.implementation());
    }

    function testCloneTakesIt() public {
        address clone = factory.createWallet(owner);
        assertEq(clone.code.length, 51);
        _assertTakes(clone);
    }

    function testPredictedCloneTakesIt() public {
        _assertTakes(factory.createWalletDeterministic(owner, "salt"));
    }

    function testTakesItWithoutAnyGasToSpare() public {
        address clone = factory.createWallet(owner);
        vm.deal(address(this), 1 ether);
        // Cold, and with the stipend that every transfer of value adds.
        (bool success,) = clone.call{value: 1 ether, gas: 0}("");
        assertTrue(success);
    }

    function testCannotCallWhatIsNotThere() public {
        address clone = factory.createWallet(owner);
        (bool success,) = clone.call(hex"deadbeef");
        assertFalse(success);
    }

    function testTellsWhyItRefuses() public {
        Wallet clone = Wallet(payable(factory.createWallet(owner)));
        vm.prank(owner);
        vm.expectRevert(Wallet.InsufficientFunds.selector);
        clone.withdraw(ETH, 1);
    }

    function _assertTakes(address to) private {
        vm.deal(address(this), 1 ether);
        uint256 before = to.balance;
        payable(to).transfer(1 ether);
        assertEq(to.balance, before + 1 ether);
    }
}
