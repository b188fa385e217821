// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Coordinator} from "src/Coordinator.sol";
import {Answer, Bounds, Call} from "src/interface/ICoordinator.sol";
import {InboxItem} from "src/interface/IInbox.sol";
import {Wallet} from "src/payments/Wallet.sol";
import {MoodyConsumer, MoodyVerifier} from "./Actors.sol";
import {Asking} from "./Asking.sol";

/// @notice What nodes do.
abstract contract Answering is Asking {
    struct Delivered {
        bytes32 containerId;
        address node;
        uint256 index;
        bytes32 hash;
    }

    /// @dev Items of the inbox, as they were when they came.
    Delivered[] internal delivered;
    mapping(bytes32 containerId => mapping(address node => uint256)) internal items;

    function answer(uint256 seed) external seeded(seed) {
        if (asked.length == 0) return;
        (Answer memory a, address node) = _anyAnswer();
        uint256 before = _prepare(a, node);
        (bool success,) = _act("answer", node, address(coordinator), _deliveryOf(a), _specOf(a, node, false, 0));
        _checkAnswer(a, node, success, before);
    }

    function answerBounded(uint256 seed) external seeded(seed) {
        if (asked.length == 0) return;
        (Answer memory a, address node) = _anyAnswer();
        uint256 before = _prepare(a, node);
        uint256 excess = _oneIn(8) ? 1 : 0;
        Bounds memory bounds = _boundsOf(a, excess, _oneIn(2));
        bytes memory data = abi.encodeCall(Coordinator.deliverComputeBounded, (a, bounds));
        bytes memory spec =
            excess > 0 ? abi.encodeCall(this.spec_refuse, ()) : _specOf(a, node, false, bounds.minPayout);
        (bool success,) = _act("answerBounded", node, address(coordinator), data, spec);
        _checkAnswer(a, node, success, before);
    }

    function answerCommitted(uint256 seed) external seeded(seed) {
        if (asked.length == 0) return;
        (Answer memory a, address node) = _anyAnswer();
        for (uint256 i = 0; i < 4 && !asked[a.subscriptionId - 1].terms.committed; i++) {
            (a, node) = _anyAnswer();
        }
        uint256 before = _prepare(a, node);
        bytes32 commitment = coordinator.commitmentOf(a, node, bytes32(turn));
        vm.prank(node);
        coordinator.commitCompute(commitment);
        Bounds memory bounds = _boundsOf(a, 0, _oneIn(2));
        bytes memory data = abi.encodeCall(Coordinator.revealCompute, (a, bounds, bytes32(turn)));
        if (_oneIn(8)) {
            _act("revealEarly", node, address(coordinator), data, abi.encodeCall(this.spec_refuse, ()));
        }
        vm.roll(vm.getBlockNumber() + 1);
        bytes memory spec = _specOf(a, node, true, bounds.minPayout);
        (bool success,) = _act("answerCommitted", node, address(coordinator), data, spec);
        _checkAnswer(a, node, success, before);
    }

    /// @notice Several answers of one node in one transaction, the last one twice.
    function answerBatch(uint256 seed) external seeded(seed) {
        if (asked.length == 0) return;
        Call[] memory calls = new Call[](4);
        Answer[] memory answers = new Answer[](4);
        address node;
        for (uint256 i = 0; i < 3; i++) {
            address other;
            (answers[i], other) = _anyAnswer();
            if (i == 0) node = other;
        }
        answers[3] = answers[2];
        for (uint256 i = 0; i < 4; i++) {
            calls[i].data = _deliveryOf(answers[i]);
        }
        vm.prank(node);
        bytes4[] memory failures = coordinator.deliverComputeBatch(calls);
        for (uint256 i = 0; i < 4; i++) {
            uint256 before = received[asked[answers[i].subscriptionId - 1].sub.owner];
            (bool expected,) = address(this).call(_specOf(answers[i], node, false, 0));
            _expect(expected == (failures[i] == 0), "answerBatch");
            _count("answerBatch", expected);
            if (expected) _note(answers[i], node, before, type(uint256).max);
        }
        for (uint256 i = 0; i < 4; i++) {
            _checkBooks(answers[i], node);
        }
    }

    function reportFailure(uint256 seed) external seeded(seed) {
        if (asked.length == 0) return;
        (Answer memory a, address node) = _anyAnswer();
        bytes memory data = abi.encodeCall(Coordinator.reportFailure, (a.subscriptionId, a.interval, 1));
        bytes memory spec = abi.encodeCall(this.spec_fail, (a.subscriptionId, a.interval, node));
        _act("reportFailure", node, address(coordinator), data, spec);
        _checkBooks(a, node);
    }

    function writeUnasked(uint256 seed) external seeded(seed) {
        bytes32 containerId = keccak256(abi.encode("container"));
        address node = _any(nodes);
        vm.prank(node);
        uint256 index = inbox.write(containerId, "a", "b", "c");
        InboxItem memory item = InboxItem(uint32(block.timestamp), 0, 0, "a", "b", "c");
        delivered.push(Delivered(containerId, node, index, keccak256(abi.encode(item))));
        _expect(index == items[containerId][node]++, "inbox: index");
    }

    /// @dev Mostly one that can be accepted.
    function _anyAnswer() private returns (Answer memory a, address node) {
        uint256 recent = asked.length < 16 ? asked.length : 16;
        for (uint256 i = 0; i < 12; i++) {
            a.subscriptionId = uint32(asked.length - _draw(recent));
            a.interval = _intervalOf(asked[a.subscriptionId - 1]);
            node = _any(nodes);
            if (_oneIn(40) || _isOpen(a, node)) break;
        }
        if (_oneIn(24)) a.interval = _oneIn(2) ? a.interval + 1 : a.interval - (a.interval > 0 ? 1 : 0);
        a.nodeWallet = _oneIn(24) ? address(consumers[0]) : address(_anyDesk());
        a.input = abi.encode(_draw(1_000));
        a.output = abi.encode(_draw(1_000));
        a.proof = "proof";
    }

    function _isOpen(Answer memory a, address node) private view returns (bool) {
        if (asked[a.subscriptionId - 1].cancelled || _isOver(asked[a.subscriptionId - 1])) return false;
        uint256 count = counts[a.subscriptionId][a.interval];
        return a.interval > 0 && count < asked[a.subscriptionId - 1].sub.redundancy
            && !responded[a.subscriptionId][a.interval][node];
    }

    /// @dev Shows the verifier the answer, and gives the intruding one something to reach for.
    function _prepare(Answer memory a, address node) private returns (uint256 before) {
        Asked storage about = asked[a.subscriptionId - 1];
        before = received[about.sub.owner];
        if (about.sub.verifier == address(0)) return before;
        MoodyVerifier(about.sub.verifier).watch(a.subscriptionId, a.interval, node);
        if (about.sub.verifier != address(verifiers[0])) return before;
        verifiers[0].setTarget(_oneIn(2) ? node : about.sub.owner, about.sub.paymentToken);
        for (uint256 i = 0; i < open.length; i++) {
            if (asked[open[i].id - 1].sub.verifier != address(verifiers[0])) continue;
            verifiers[0].setOther(open[i].id, open[i].interval, open[i].node);
            break;
        }
    }

    function _deliveryOf(Answer memory a) private pure returns (bytes memory) {
        return abi.encodeCall(
            Coordinator.deliverCompute, (a.subscriptionId, a.interval, a.input, a.output, a.proof, a.nodeWallet)
        );
    }

    function _specOf(Answer memory a, address node, bool revealed, uint256 minPayout)
        private
        view
        returns (bytes memory)
    {
        return
            abi.encodeCall(this.spec_deliver, (a.subscriptionId, a.interval, node, a.nodeWallet, revealed, minPayout));
    }

    /// @param excess How much more than it would get the node wants.
    /// @param foresees Whether the node knows that the verifier will ask for more.
    function _boundsOf(Answer memory a, uint256 excess, bool foresees) private view returns (Bounds memory bounds) {
        Asked storage about = asked[a.subscriptionId - 1];
        uint256 amount = about.sub.paymentAmount;
        uint256 taken = amount * (2 * (recipient == address(0) ? 0 : feeBps)) / 10_000;
        if (amount > 0 && about.sub.verifier != address(0)) {
            (,,,, uint256 fee_, uint256 surcharge) = MoodyVerifier(about.sub.verifier).conduct();
            if (foresees) fee_ += surcharge;
            taken = fee_ > amount ? amount : taken + fee_;
        }
        bounds.minPayout = (amount > taken ? amount - taken : 0) + excess;
        bounds.maxStake = amount;
        bounds.paymentToken = about.sub.paymentToken;
        bounds.verifier = about.sub.verifier;
    }

    function _checkAnswer(Answer memory a, address node, bool success, uint256 before) private {
        if (success) _note(a, node, before, MoodyConsumer(asked[a.subscriptionId - 1].sub.owner).lastIndex());
        _checkBooks(a, node);
    }

    /// @dev After an accepted answer: what the consumer was told.
    function _note(Answer memory a, address node, uint256 before, uint256 index) private {
        Asked storage about = asked[a.subscriptionId - 1];
        if (received[about.sub.owner] == before) return;
        _expect(payouts[a.subscriptionId][a.interval][node] < 2, "paid twice");
        if (index != type(uint256).max) {
            uint16 ordinal = MoodyConsumer(about.sub.owner).lastOrdinal();
            _expect(ordinal == counts[a.subscriptionId][a.interval], "answer: ordinal");
        }
        if (!about.sub.lazy) return;
        uint256 next = items[about.sub.containerId][node]++;
        if (index != type(uint256).max) _expect(index == next, "answer: index");
        InboxItem memory item =
            InboxItem(uint32(block.timestamp), a.subscriptionId, a.interval, a.input, a.output, a.proof);
        delivered.push(Delivered(about.sub.containerId, node, next, keccak256(abi.encode(item))));
    }

    /// @dev All that the coordinator and the wallets have written about one answer.
    function _checkBooks(Answer memory a, address node) internal {
        (uint32 id, uint32 interval) = (a.subscriptionId, a.interval);
        Asked storage about = asked[id - 1];
        uint256 count = coordinator.redundancyCount(keccak256(abi.encode(id, interval)));
        _expect(count == counts[id][interval], "count");
        _expect(count <= about.sub.redundancy, "count above redundancy");
        bytes32 key = keccak256(abi.encode(id, interval, node));
        _expect(coordinator.nodeResponded(key) == responded[id][interval][node], "responded");
        _expect(payouts[id][interval][node] < 2, "paid twice");
        (uint32 expiry, Wallet wallet, uint256 escrow) = coordinator.proofRequests(key);
        Open memory o;
        if (places[id][interval][node] > 0) o = open[places[id][interval][node] - 1];
        _expect(expiry == o.expiry && address(wallet) == o.wallet && escrow == o.escrow, "proof request");
        _expect(MoodyConsumer(about.sub.owner).answers() == received[about.sub.owner], "answers received");
        _checkPrepayment(id);
        _checkAllowance(about.sub.wallet, about.sub.owner, about.sub.paymentToken);
        if (isWallet[a.nodeWallet]) _checkAllowance(a.nodeWallet, node, about.sub.paymentToken);
    }

    function _checkAllowance(address wallet, address spender, address token) private {
        uint256 allowance = Wallet(payable(wallet)).allowance(spender, token);
        _expect(allowance == allowances[token][wallet][spender], "allowance");
    }
}
