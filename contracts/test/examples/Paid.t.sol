// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {Wallet} from "src/payments/Wallet.sol";
import {Paid} from "examples/Paid.sol";

contract PaidExampleTest is Setup {
    uint256 private constant PRICE = 0.01 ether;

    Paid private example;

    function setUp() public override {
        super.setUp();
        example = new Paid(address(registry), owner, address(wallet));
        vm.prank(owner);
        wallet.approve(address(example), ETH, PRICE);
    }

    function testPaysForTheAnswer() public {
        uint32 id = _ask();
        assertEq(example.getContainerInputs(id, 1, 0, node), "question");
        assertEq(address(nodeWallet).balance, FUNDS);
        _answer(id);
        assertEq(example.answers(id), "hello");
        assertEq(example.getContainerInputs(id, 1, 0, node), "");
        assertEq(address(nodeWallet).balance, FUNDS + 0.008978 ether);
        assertEq(address(wallet).balance, FUNDS - PRICE);
        assertEq(wallet.allowance(address(example), ETH), 0);
    }

    function testPaysOnceForWhatWasApprovedOnce() public {
        _answer(_ask());
        uint32 second = _ask();
        vm.prank(node);
        vm.expectRevert(Wallet.InsufficientAllowance.selector);
        coordinator.deliverCompute(second, 1, "", abi.encode("hello"), "", address(nodeWallet));
    }

    function testIsAskedByItsOwnerAlone() public {
        vm.expectRevert(Paid.NotOwner.selector);
        example.ask("hello-world", "question", PRICE);
    }

    function _ask() private returns (uint32) {
        vm.prank(owner);
        return example.ask("hello-world", "question", PRICE);
    }

    function _answer(uint32 id) private {
        vm.prank(node);
        coordinator.deliverCompute(id, 1, "", abi.encode("hello"), "", address(nodeWallet));
    }
}
