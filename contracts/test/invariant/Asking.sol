// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {EIP712Coordinator} from "src/EIP712Coordinator.sol";
import {Request, Subscription, Terms} from "src/interface/ICoordinator.sol";
import {EmptyConsumer} from "../support/Consumers.sol";
import {MoodyConsumer} from "./Actors.sol";
import {World} from "./World.sol";

/// @notice What consumers do.
abstract contract Asking is World {
    bytes32 private constant SUBSCRIPTION_TYPEHASH = 0x3da81ed66ee47395e568c52867826ec137777eef9c1bdfb6bf972dd4385bc5a9;
    bytes32 private constant DELEGATE_TYPEHASH = 0xba9ff1aef2b048b42767aade2b901745a3acf14f698a9ec13952098cfd03d0b6;

    bytes32 private immutable _domain = keccak256(
        abi.encode(
            keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
            keccak256("InfernetCoordinator"),
            keccak256("1"),
            block.chainid,
            address(coordinator)
        )
    );
    uint32 private _nonce;

    function ask(uint256 seed) external seeded(seed) {
        Subscription memory sub = _anySubscription();
        Terms memory none;
        bytes memory data = abi.encodeCall(
            EmptyConsumer.create,
            (
                "container",
                sub.frequency,
                sub.period,
                sub.redundancy,
                sub.lazy,
                sub.paymentToken,
                sub.paymentAmount,
                sub.wallet,
                sub.verifier
            )
        );
        _act("ask", address(this), sub.owner, data, abi.encodeCall(this.spec_open, (sub, none)));
        _checkAsked(sub, none);
    }

    function askWithTerms(uint256 seed) external seeded(seed) {
        Subscription memory sub = _anySubscription();
        Terms memory terms = _anyTerms(sub);
        Request memory request = Request({
            containerId: "container",
            frequency: sub.frequency,
            period: sub.period,
            redundancy: sub.redundancy,
            lazy: sub.lazy,
            paymentToken: sub.paymentToken,
            paymentAmount: sub.paymentAmount,
            wallet: sub.wallet,
            verifier: sub.verifier
        });
        bytes memory data = abi.encodeCall(EmptyConsumer.open, (request, terms));
        bytes memory spec = abi.encodeCall(this.spec_open, (sub, terms));
        (bool success,) = _act("askWithTerms", address(this), sub.owner, data, spec);
        if (success) _checkAsked(sub, terms);
    }

    function askSigned(uint256 seed) external seeded(seed) {
        Subscription memory sub = _anySubscription();
        sub.activeAt -= uint32(_draw(2) * sub.period);
        uint32 expiry = uint32(block.timestamp + 1);
        bytes32 inner = keccak256(abi.encode(SUBSCRIPTION_TYPEHASH, sub));
        bytes32 outer = keccak256(abi.encode(DELEGATE_TYPEHASH, _nonce, expiry, inner));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(SIGNER_KEY, keccak256(abi.encodePacked("\x19\x01", _domain, outer)));
        bytes memory data =
            abi.encodeCall(EIP712Coordinator.createSubscriptionDelegatee, (_nonce, expiry, sub, v, r, s));
        Terms memory none;
        _act("askSigned", address(0xBEEF), address(coordinator), data, abi.encodeCall(this.spec_open, (sub, none)));
        _checkAsked(sub, none);
        _nonce++;
    }

    function cancel(uint256 seed) external seeded(seed) {
        if (asked.length == 0) return;
        uint32 id = uint32(1 + _draw(asked.length));
        bytes memory data = abi.encodeCall(EmptyConsumer.cancel, (id));
        bool own = !_oneIn(4);
        bytes memory spec = own ? abi.encodeCall(this.spec_cancel, (id)) : abi.encodeCall(this.spec_refuse, ());
        address owner = asked[id - 1].sub.owner;
        address other = owner == address(consumers[0]) ? address(consumers[1]) : address(consumers[0]);
        _act("cancel", address(this), own ? owner : other, data, spec);
    }

    function reclaim(uint256 seed) external seeded(seed) {
        if (asked.length == 0) return;
        uint32 id = uint32(1 + _draw(asked.length));
        for (uint256 i = 0; i < 8 && asked[id - 1].left == 0; i++) {
            id = uint32(1 + _draw(asked.length));
        }
        _reclaim(id);
    }

    function setMood(uint256 seed) external seeded(seed) {
        bool reverts = _oneIn(16);
        MoodyConsumer.Mood mood = _oneIn(3) ? MoodyConsumer.Mood.Intrudes : MoodyConsumer.Mood.Fine;
        consumers[_draw(consumers.length)].setMood(reverts ? MoodyConsumer.Mood.Reverts : mood);
    }

    function _reclaim(uint32 id) internal returns (bool success) {
        uint256 left = asked[id - 1].left;
        bytes memory data = abi.encodeCall(coordinator.reclaimPrepayment, (id));
        bytes memory result;
        (success, result) =
            _act("reclaim", address(0xBEEF), address(coordinator), data, abi.encodeCall(this.spec_reclaim, (id)));
        if (success) _expect(abi.decode(result, (uint256)) == left, "reclaim: amount");
        _checkPrepayment(id);
    }

    /// @dev What was escrowed was paid out, is still escrowed, or went back.
    function _checkPrepayment(uint32 id) internal {
        uint256 left = coordinator.prepayments(id);
        _expect(left == asked[id - 1].left, "prepayment: what is left");
        _expect(
            asked[id - 1].prepaid == left + asked[id - 1].spent + asked[id - 1].reclaimed, "prepayment: conservation"
        );
    }

    function _anySubscription() private returns (Subscription memory sub) {
        if (_oneIn(2)) {
            sub.period = uint32([10 minutes, 1 hours, 6 hours][_draw(3)]);
            sub.frequency = uint32(2 + _draw(6));
        } else {
            sub.frequency = 1;
        }
        sub.owner = address(consumers[_draw(consumers.length)]);
        sub.activeAt = uint32(block.timestamp) + sub.period;
        sub.redundancy = uint16(1 + _draw(3));
        sub.containerId = keccak256(abi.encode("container"));
        sub.lazy = _oneIn(4);
        sub.paymentAmount = _anyAmount();
        sub.paymentToken = _any(tokens);
        sub.wallet = payable(address(_anyDesk()));
        if (!_oneIn(3)) sub.verifier = payable(address(verifiers[_draw(verifiers.length)]));
    }

    function _anyTerms(Subscription memory sub) private returns (Terms memory terms) {
        if (_oneIn(2)) terms.expiresAt = sub.activeAt + 1 + uint32(_draw(2 days));
        if (_oneIn(4)) terms.maxFee = uint16(400 + _draw(1_000));
        terms.prepaid = sub.paymentAmount > 0 && (sub.period > 0 || terms.expiresAt > 0) && _oneIn(2);
        terms.committed = _oneIn(4);
        terms.refundOnSilence = _oneIn(3);
    }

    function _checkAsked(Subscription memory sub, Terms memory terms) private {
        uint32 id = coordinator.id() - 1;
        _expect(id == asked.length, "ask: id");
        _expect(keccak256(abi.encode(coordinator.getSubscription(id))) == keccak256(abi.encode(sub)), "ask: stored");
        _expect(keccak256(abi.encode(coordinator.getTerms(id))) == keccak256(abi.encode(terms)), "ask: terms");
        _checkPrepayment(id);
    }
}
