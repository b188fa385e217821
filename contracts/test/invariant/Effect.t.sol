// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Campaign} from "./Campaign.sol";
import {EfficientHashLib} from "solady/utils/EfficientHashLib.sol";

/// @notice Histories in which little happens say little. These are always the same: what a random one does is luck.
contract EffectTest is Campaign(2) {
    struct Effect {
        uint256 tried;
        uint256 done;
        uint256 answersTried;
        uint256 answersDone;
        uint256 verdictsTried;
        uint256 verdictsDone;
    }

    function testMuchHappens() public {
        Effect memory effect;
        for (uint256 history = 0; history < 4; history++) {
            uint256 snapshot = vm.snapshotState();
            _act(history);
            _add(effect);
            vm.revertToState(snapshot);
        }
        assertGt(effect.tried, 1_000);
        assertGt(effect.done * 2, effect.tried, "most actions are refused");
        assertGt(effect.answersTried, 150);
        assertGt(effect.answersDone * 4, effect.answersTried, "hardly an answer is accepted");
        assertGt(effect.verdictsTried, 50);
        assertGt(effect.verdictsDone * 3, effect.verdictsTried, "hardly a verdict is given");
    }

    function _act(uint256 history) private {
        FuzzSelector[] memory lists = targetSelectors();
        (bytes4[] memory some, bytes4[] memory others) = (lists[0].selectors, lists[1].selectors);
        for (uint256 i = 0; i < 500; i++) {
            bytes32 seed = EfficientHashLib.hash(history, i);
            uint256 choice = uint256(seed) % (some.length + others.length);
            bytes4 action = choice < some.length ? some[choice] : others[choice - some.length];
            (bool success,) = address(handler).call(abi.encodeWithSelector(action, seed));
            assertTrue(success);
        }
        assertEq(handler.broken(), "");
    }

    function _add(Effect memory effect) private view {
        effect.tried += handler.triedInAll();
        effect.done += handler.doneInAll();
        effect.answersTried += handler.tried("answer") + handler.tried("answerBounded")
        + handler.tried("answerCommitted");
        effect.answersDone += handler.done("answer") + handler.done("answerBounded") + handler.done("answerCommitted");
        effect.verdictsTried += handler.tried("finalize");
        effect.verdictsDone += handler.done("finalize");
    }
}
