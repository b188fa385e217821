// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {Token} from "../support/Tokens.sol";
import {Wallet} from "src/payments/Wallet.sol";

/// @notice What a wallet holds and settles for the coordinator, beside what it locks.
contract EscrowTest is Setup {
    address private recipient = makeAddr("recipient");

    modifier asCoordinator() {
        vm.startPrank(address(coordinator));
        _;
        vm.stopPrank();
    }

    function testHoldsAllThatIsFree() public asCoordinator {
        wallet.cLock(address(consumer), ETH, 5);
        vm.expectEmit(address(wallet));
        emit Wallet.Escrow(address(consumer), ETH, FUNDS - 5, true);
        assertTrue(wallet.cHold(address(consumer), ETH, FUNDS - 5));
        assertEq(wallet.lockedBalance(ETH), FUNDS);
        assertEq(wallet.allowance(address(consumer), ETH), FUNDS - 5);
    }

    function testHoldsNothingWhereThereIsNotSoMuch() public asCoordinator {
        wallet.cLock(address(consumer), ETH, 5);
        assertFalse(wallet.cHold(address(consumer), ETH, FUNDS - 4));
        assertEq(wallet.lockedBalance(ETH), 5);
    }

    /// @dev 1 is yes, and so is no answer at all.
    function testOwesUnlessTheTokenSaysYes(uint256 answer) public {
        _assertSettles(1, 0);
        _assertSettles(0, 5);
        _assertSettles(2, 5);
        _assertSettles(type(uint256).max, 5);
        _assertSettles(answer, answer == 1 ? 0 : 5);
    }

    function _assertSettles(uint256 answer, uint256 owed) private {
        AnsweringToken answering = new AnsweringToken(answer);
        answering.mint(address(wallet), 5);
        vm.prank(owner);
        wallet.approve(address(consumer), address(answering), 5);
        vm.startPrank(address(coordinator));
        wallet.cLock(address(consumer), address(answering), 5);
        assertEq(wallet.cSettle(address(consumer), address(answering), recipient, 5), owed == 0);
        vm.stopPrank();
        assertEq(wallet.owed(address(answering), recipient), owed);
        assertEq(wallet.lockedBalance(address(answering)), owed);
    }
}

/// @notice Answers a transfer with any word, and moves nothing.
contract AnsweringToken is Token {
    uint256 private immutable _answer;

    constructor(uint256 answer) {
        _answer = answer;
    }

    function transfer(address, uint256) public view override returns (bool) {
        uint256 answer = _answer;
        assembly ("memory-safe") {
            mstore(0x00, answer)
            return(0x00, 0x20)
        }
    }
}
