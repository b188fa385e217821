// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Handler} from "./Handler.sol";
import {OddToken} from "./Actors.sol";
import {Test} from "../support/Test.sol";
import {Token} from "../support/Tokens.sol";
import {StdInvariant} from "forge-std/StdInvariant.sol";

/// @notice Random histories of all actors: payments in ETH, in a token as most are, in one that returns nothing and refuses accounts by
/// reverting, and in tokens that say false, take a cut of transfers, and change balances by themselves. One invariant says all, since each
/// would be a campaign of its own.
abstract contract Campaign is Test, StdInvariant {
    Handler internal handler;
    uint256 private _checks;
    uint256 private immutable _part;

    /// @param part Which part of the histories: forge gives all campaigns of a run the same seeds and the same choices.
    constructor(uint256 part) {
        _part = part;
    }

    function setUp() public {
        handler = _deployHandler();
        bytes4[] memory actions = new bytes4[](23);
        uint256 n;
        actions[n++] = handler.ask.selector;
        actions[n++] = handler.askWithTerms.selector;
        actions[n++] = handler.askSigned.selector;
        actions[n++] = handler.cancel.selector;
        actions[n++] = handler.reclaim.selector;
        actions[n++] = handler.setMood.selector;
        actions[n++] = handler.answer.selector;
        actions[n++] = handler.answerBounded.selector;
        actions[n++] = handler.answerCommitted.selector;
        actions[n++] = handler.answerBatch.selector;
        actions[n++] = handler.reportFailure.selector;
        actions[n++] = handler.writeUnasked.selector;
        actions[n++] = handler.behave.selector;
        actions[n++] = handler.judge.selector;
        actions[n++] = handler.close.selector;
        actions[n++] = handler.closeTwice.selector;
        actions[n++] = handler.fund.selector;
        actions[n++] = handler.withdraw.selector;
        actions[n++] = handler.approve.selector;
        actions[n++] = handler.renounce.selector;
        actions[n++] = handler.claim.selector;
        actions[n++] = handler.changeFee.selector;
        actions[n++] = handler.passFee.selector;
        targetSelector(FuzzSelector(address(handler), _turned(actions)));
        bytes4[] memory more = new bytes4[](3);
        more[0] = handler.refuse.selector;
        more[1] = handler.rebase.selector;
        more[2] = handler.wait_.selector;
        targetSelector(FuzzSelector(address(handler), more));
        targetContract(address(handler));
    }

    /// @dev The choices of one campaign are others of the next one.
    function _turned(bytes4[] memory actions) private view returns (bytes4[] memory turned) {
        turned = new bytes4[](actions.length);
        for (uint256 i = 0; i < actions.length; i++) {
            turned[(i + 7 * _part) % actions.length] = actions[i];
        }
    }

    /// @dev By name: with `new`, each campaign would be compiled with all of it inside.
    function _deployHandler() private returns (Handler) {
        address[] memory tokens = new address[](5);
        tokens[1] = address(new Token());
        tokens[2] = address(new OddToken(OddToken.Refusal.Reverts, true, 0));
        tokens[3] = address(new OddToken(OddToken.Refusal.SaysFalse, false, 0));
        tokens[4] = address(new OddToken(OddToken.Refusal.Reverts, false, 100));
        bool[] memory odd = new bool[](5);
        bool[] memory shrinks = new bool[](5);
        odd[2] = odd[3] = odd[4] = shrinks[3] = shrinks[4] = true;
        return Handler(deployCode("Handler.sol:Handler", abi.encode(tokens, odd, shrinks, _part)));
    }

    /// @dev Asked for at every `check_interval`th call, one token each time: what is wrong stays wrong, and checking takes longer than acting.
    function _checkAll() internal {
        handler.check(_checks++);
        assertEq(handler.broken(), "");
    }

    function afterInvariant() public {
        handler.checkHistory();
        handler.checkVerdicts();
        handler.closeAll();
        assertEq(handler.broken(), "");
    }
}
