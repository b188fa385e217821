// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Coordinator} from "src/Coordinator.sol";
import {Answer} from "src/interface/ICoordinator.sol";
import {MoodyVerifier} from "./Actors.sol";
import {Answering} from "./Answering.sol";

/// @notice What verifiers do, and whoever closes what they have left open.
abstract contract Judging is Answering {
    function behave(uint256 seed) external seeded(seed) {
        MoodyVerifier.Conduct memory conduct;
        uint256 mood = _draw(20);
        if (mood > 0) conduct.mood = MoodyVerifier.Mood(mood > 9 ? 0 : mood > 5 ? 2 : 1);
        else conduct.mood = MoodyVerifier.Mood.Reverts;
        conduct.refusesEth = _oneIn(4);
        conduct.refusesTokens = _oneIn(24);
        uint256 size = _draw(16);
        if (size > 8) conduct.fee = _draw(0.01 ether);
        else if (size > 4) conduct.fee = _draw(50);
        else if (size == 4) conduct.fee = type(uint256).max - _draw(100);
        if (size != 4 && _oneIn(4)) conduct.surcharge = 1 + (_oneIn(2) ? _draw(50) : _draw(0.01 ether));
        uint256 which = _draw(verifiers.length);
        conduct.intrudes = which == 0 && !_oneIn(4);
        verifiers[which].setConduct(conduct);
    }

    /// @notice The verifier gives its verdict, whenever.
    function judge(uint256 seed) external seeded(seed) {
        if (open.length == 0) return;
        Open memory o = _anyOpen();
        _expect(_finalize(o, asked[o.id - 1].sub.verifier, _oneIn(2)), "judge: a verdict cannot be given");
    }

    /// @notice Anyone closes the request.
    function close(uint256 seed) external seeded(seed) {
        if (open.length == 0) return;
        Open memory o = open[_draw(open.length)];
        bool isOver = block.timestamp >= o.expiry;
        _expect(_finalize(o, address(0xBEEF), _oneIn(2)) == isOver, "close: not when it is over");
    }

    /// @notice Somebody asks again for what is closed, or was never open.
    function closeTwice(uint256 seed) external seeded(seed) {
        if (asked.length == 0) return;
        uint32 id = uint32(1 + _draw(asked.length));
        uint32 interval = uint32(1 + _draw(asked[id - 1].sub.frequency));
        address node = _any(nodes);
        if (places[id][interval][node] > 0) return;
        bytes memory data = abi.encodeCall(Coordinator.finalizeProofVerification, (id, interval, node, _oneIn(2)));
        address verifier = asked[id - 1].sub.verifier;
        _act("closeTwice", verifier, address(coordinator), data, abi.encodeCall(this.spec_refuse, ()));
    }

    /// @dev Rather one that is prepaid: there is more that can go wrong.
    function _anyOpen() internal returns (Open memory o) {
        for (uint256 i = 0; i < 4; i++) {
            o = open[_draw(open.length)];
            if (asked[o.id - 1].terms.prepaid) break;
        }
    }

    function _finalize(Open memory o, address as_, bool valid) internal returns (bool success) {
        bytes memory data = abi.encodeCall(Coordinator.finalizeProofVerification, (o.id, o.interval, o.node, valid));
        bytes memory spec = abi.encodeCall(this.spec_finalize, (o.id, o.interval, o.node, valid, as_));
        (success,) = _act("finalize", as_, address(coordinator), data, spec);
        Answer memory a;
        (a.subscriptionId, a.interval, a.nodeWallet) = (o.id, o.interval, o.wallet);
        _checkBooks(a, o.node);
    }
}
