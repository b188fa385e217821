// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Inbox} from "./Inbox.sol";
import {Registry} from "./Registry.sol";
import {IConsumer} from "./interface/IConsumer.sol";
import {
    Answer,
    Bounds,
    Call,
    Delivery,
    ICoordinator,
    ProofRequest,
    Request,
    Subscription,
    Terms
} from "./interface/ICoordinator.sol";
import {IFailureConsumer} from "./interface/IFailureConsumer.sol";
import {Fee} from "./payments/Fee.sol";
import {IVerifier} from "./payments/IVerifier.sol";
import {Wallet} from "./payments/Wallet.sol";
import {WalletFactory} from "./payments/WalletFactory.sol";
import {Packed, PackedLib} from "./utility/Packed.sol";
import {EfficientHashLib} from "solady/utils/EfficientHashLib.sol";
import {LibCall} from "solady/utils/LibCall.sol";

/// @title Coordinator
/// @notice See `ICoordinator`.
/// @dev Trusts the wallets, whose code it knows through the factory, and nobody else: consumers, verifiers, tokens and recipients may
/// do what they like when they are called. Deliveries do not nest, and a verdict is taken inside one only for the proof that it asks about.
contract Coordinator is ICoordinator {
    /// @dev Basis points of a whole.
    uint256 private constant SCALE = 10_000;
    /// @dev What a verifier has for its verdict.
    uint32 private constant PROOF_WINDOW = 1 weeks;
    /// @dev How long a prepaid subscription takes answers after it was cancelled.
    uint32 private constant CANCEL_NOTICE = 1 hours;
    /// @dev Of what a call of a batch reverted with.
    uint256 private constant MAX_REASON = 256;
    /// @dev In a proof request: the escrow lies in a slot of its own.
    uint256 private constant LARGE_ESCROW = type(uint64).max;

    Fee private immutable FEE;
    Inbox private immutable INBOX;
    WalletFactory private immutable WALLET_FACTORY;

    /// @inheritdoc ICoordinator
    uint32 public id = 1;

    /// @inheritdoc ICoordinator
    mapping(uint32 subscriptionId => uint256 amount) public prepayments;
    /// @inheritdoc ICoordinator
    mapping(bytes32 commitment => uint256 blockNumber) public commitments;

    mapping(uint32 subscriptionId => Packed) internal subscriptions;

    /// @dev Whole words, here and in transient storage: a part of one is read before it is written.
    mapping(bytes32 key => uint256 count) private _redundancyCounts;
    mapping(bytes32 key => uint256 responded) private _nodeResponses;

    /// @dev expiry (32 bits, lowest), node's wallet (160), escrow (64; all ones: see `_largeEscrows`)
    mapping(bytes32 key => uint256 request) private _proofRequests;
    mapping(bytes32 key => uint256 amount) private _largeEscrows;

    /// @dev In the course of one transaction: 1 while a delivery or a verdict is under way,
    uint256 private transient _entered;
    /// @dev 1 if the answer was committed to,
    uint256 private transient _revealed;
    /// @dev the proof that a verifier is asked about, what it has said, and what the proof is about.
    bytes32 private transient _asked;
    uint256 private transient _verdict;
    uint256 private transient _delivery;
    bytes32 private transient _containerId;
    bytes32 private transient _inputHash;
    bytes32 private transient _outputHash;

    uint256 private constant VALID = 1;
    uint256 private constant INVALID = 2;

    /// @notice A call out of a delivery that may not be made there.
    error Reentrancy();
    /// @notice There is no such subscription.
    error SubscriptionNotFound();
    /// @notice It is cancelled, or not active yet.
    error SubscriptionNotActive();
    /// @notice Its terms have run out.
    error SubscriptionExpired();
    /// @notice All its intervals are over.
    error SubscriptionCompleted();
    /// @notice Somebody else's.
    error NotSubscriptionOwner();
    /// @notice Another interval is open.
    error IntervalMismatch();
    /// @notice The interval has all its answers.
    error IntervalCompleted();
    /// @notice One answer, or failure, per node and interval.
    error NodeRespondedAlready();
    /// @notice Not of the factory.
    error InvalidWallet();
    /// @notice The verifier is not paid in this token.
    error UnsupportedVerifierToken();
    /// @notice No proof waits for a verdict, or not any more.
    error ProofRequestNotFound();
    /// @notice Another verifier judges.
    error UnauthorizedVerifier();

    /// @notice Frequency 0.
    error NoInterval();
    /// @notice Redundancy 0.
    error NoRedundancy();
    /// @notice Several intervals of no length, or intervals beyond 2106.
    error InvalidPeriod();
    /// @notice The caller has no code, and so cannot be called back.
    error InvalidOwner();
    /// @notice The verifier has no code.
    error InvalidVerifier();
    /// @notice Terms that have run out already, or that cannot be kept: prepaid without a price, or without an end at which
    /// what is left comes back.
    error InvalidTerms();
    /// @notice The protocol's fee is more than the terms allow.
    error FeeAboveTerms();
    /// @notice What was paid in advance is spent, or was taken back.
    error PrepaymentSpent();
    /// @notice The token does not let what was paid in advance go out.
    error PrepaymentStuck();
    /// @notice Prepaid, and not over.
    error SubscriptionNotEnded();
    /// @notice Answers have to be committed to first.
    error CommitmentRequired();
    /// @notice This answer was not committed to, or only in this block.
    error NotCommitted();
    /// @notice After the node's deadline.
    error DeliveryTooLate();
    /// @notice Container, token or verifier are not what the node expects.
    error UnexpectedSubscription();
    /// @notice Less than the node computes for.
    error PayoutTooLow();
    /// @notice More than the node risks.
    error StakeTooHigh();

    modifier nonReentrant() {
        _enter();
        _;
        _entered = 0;
    }

    constructor(Registry registry) {
        FEE = Fee(registry.FEE());
        INBOX = Inbox(registry.INBOX());
        WALLET_FACTORY = WalletFactory(registry.WALLET_FACTORY());
    }

    /*//////////////////////////////////////////////////////////////
                              SUBSCRIPTIONS
    //////////////////////////////////////////////////////////////*/

    /// @inheritdoc ICoordinator
    function createSubscription(
        string calldata containerId,
        uint32 frequency,
        uint32 period,
        uint16 redundancy,
        bool lazy,
        address paymentToken,
        uint256 paymentAmount,
        address wallet,
        address verifier
    ) external returns (uint32) {
        return _open(
            Subscription({
                owner: msg.sender,
                activeAt: uint32(block.timestamp) + period,
                period: period,
                frequency: frequency,
                redundancy: redundancy,
                containerId: keccak256(abi.encode(containerId)),
                lazy: lazy,
                verifier: payable(verifier),
                paymentAmount: paymentAmount,
                paymentToken: paymentToken,
                wallet: payable(wallet)
            }),
            0
        );
    }

    /// @inheritdoc ICoordinator
    function openSubscription(Request calldata request, Terms calldata terms) external returns (uint32 id_) {
        _checkRequest(request, terms);
        id_ = _open(
            Subscription({
                owner: msg.sender,
                activeAt: uint32(block.timestamp) + request.period,
                period: request.period,
                frequency: request.frequency,
                redundancy: request.redundancy,
                containerId: keccak256(abi.encode(request.containerId)),
                lazy: request.lazy,
                verifier: payable(request.verifier),
                paymentAmount: request.paymentAmount,
                paymentToken: request.paymentToken,
                wallet: payable(request.wallet)
            }),
            PackedLib.pack(terms)
        );
        if (terms.prepaid) {
            uint256 total = request.paymentAmount * request.redundancy * request.frequency;
            prepayments[id_] = total;
            Wallet(payable(request.wallet)).cLock(msg.sender, request.paymentToken, total);
            emit Prepaid(id_, total);
        }
    }

    /// @inheritdoc ICoordinator
    function cancelSubscription(uint32 subscriptionId) external {
        Packed storage sub = subscriptions[subscriptionId];
        uint256 head = sub.head;
        if (PackedLib.ownerOf(head) != msg.sender) revert NotSubscriptionOwner();
        uint256 terms = sub.termsOf(head);
        if (terms & PackedLib.PREPAID == 0) {
            sub.cancel(head);
        } else {
            uint32 end = uint32(block.timestamp) + CANCEL_NOTICE;
            uint32 expiresAt = PackedLib.expiresAtOf(terms);
            if (expiresAt == 0 || end < expiresAt) sub.setExpiry(terms, end);
        }
        emit SubscriptionCancelled(subscriptionId);
    }

    /// @inheritdoc ICoordinator
    function reclaimPrepayment(uint32 subscriptionId) external nonReentrant returns (uint256 amount) {
        Packed storage sub = subscriptions[subscriptionId];
        uint256 head = sub.head;
        if (!_isOver(sub, head)) revert SubscriptionNotEnded();
        amount = prepayments[subscriptionId];
        if (amount == 0) return 0;
        prepayments[subscriptionId] = 0;
        _wallet(sub.payment).cUnlock(PackedLib.ownerOf(head), sub.tokenOf(head), amount);
        emit PrepaymentReclaimed(subscriptionId, amount);
    }

    /// @inheritdoc ICoordinator
    function getSubscription(uint32 subscriptionId) external view returns (Subscription memory) {
        return subscriptions[subscriptionId].load();
    }

    /// @inheritdoc ICoordinator
    function getSubscriptions(uint32 startId, uint32 endId) external view returns (Subscription[] memory subs) {
        subs = new Subscription[](endId - startId);
        for (uint256 i = 0; i < subs.length; i++) {
            subs[i] = subscriptions[uint32(startId + i)].load();
        }
    }

    /// @inheritdoc ICoordinator
    function getTerms(uint32 subscriptionId) external view returns (Terms memory) {
        return PackedLib.unpack(subscriptions[subscriptionId].terms);
    }

    /// @inheritdoc ICoordinator
    function nodeResponded(bytes32 key) external view returns (bool) {
        return _nodeResponses[key] == 1;
    }

    /// @inheritdoc ICoordinator
    function redundancyCount(bytes32 key) external view returns (uint16) {
        return uint16(_redundancyCounts[key]);
    }

    /// @inheritdoc ICoordinator
    function getSubscriptionInterval(uint32 activeAt, uint32 period) public view returns (uint32) {
        if (period == 0) return 1;
        unchecked {
            return (uint32(block.timestamp) - activeAt) / period + 1;
        }
    }

    function _open(Subscription memory sub, uint256 flags) internal returns (uint32 id_) {
        unchecked {
            id_ = id++;
        }
        subscriptions[id_].store(sub, flags);
        emit SubscriptionCreated(id_);
        emit SubscriptionOpened(sub.containerId, id_, sub.owner);
    }

    function _checkRequest(Request calldata request, Terms calldata terms) private view {
        if (request.frequency == 0) revert NoInterval();
        if (request.redundancy == 0) revert NoRedundancy();
        if (request.frequency > 1 && request.period == 0) revert InvalidPeriod();
        uint256 end = block.timestamp + uint256(request.period) * (uint256(request.frequency) + 1);
        if (end > type(uint32).max) revert InvalidPeriod();
        // A contract under construction has no code yet, but is not the transaction's origin.
        if (msg.sender == tx.origin && msg.sender.code.length == 0) revert InvalidOwner();
        if (terms.expiresAt > 0 && terms.expiresAt <= block.timestamp + request.period) revert InvalidTerms();
        if (terms.prepaid && (request.paymentAmount == 0 || (request.period == 0 && terms.expiresAt == 0))) {
            revert InvalidTerms();
        }
        if (request.paymentAmount == 0) return;
        if (!WALLET_FACTORY.isValidWallet(request.wallet)) revert InvalidWallet();
        if (request.verifier != address(0) && request.verifier.code.length == 0) revert InvalidVerifier();
    }

    /// @dev Whether no answer can come any more.
    function _isOver(Packed storage sub, uint256 head) private view returns (bool) {
        uint256 expiresAt = PackedLib.expiresAtOf(sub.termsOf(head));
        if (expiresAt > 0 && block.timestamp >= expiresAt) return true;
        uint256 period = PackedLib.periodOf(head);
        uint256 end = PackedLib.activeAtOf(head) + period * sub.frequencyOf(head);
        return period > 0 && block.timestamp >= end;
    }

    /*//////////////////////////////////////////////////////////////
                               DELIVERIES
    //////////////////////////////////////////////////////////////*/

    /// @inheritdoc ICoordinator
    function deliverCompute(
        uint32 subscriptionId,
        uint32 deliveryInterval,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof,
        address nodeWallet
    ) public nonReentrant {
        _deliver(subscriptionId, deliveryInterval, input, output, proof, nodeWallet);
    }

    /// @inheritdoc ICoordinator
    function deliverComputeBounded(Answer calldata answer, Bounds calldata bounds) external nonReentrant {
        _deliverAnswer(answer, bounds);
    }

    /// @inheritdoc ICoordinator
    function revealCompute(Answer calldata answer, Bounds calldata bounds, bytes32 salt) external nonReentrant {
        bytes32 commitment = commitmentOf(answer, msg.sender, salt);
        uint256 committedIn = commitments[commitment];
        if (committedIn == 0 || committedIn == block.number) revert NotCommitted();
        delete commitments[commitment];
        _revealed = 1;
        _deliverAnswer(answer, bounds);
        _revealed = 0;
    }

    /// @inheritdoc ICoordinator
    function commitCompute(bytes32 commitment) external {
        // The first time counts: others could put it off by repeating it.
        if (commitments[commitment] == 0) commitments[commitment] = block.number;
        emit Committed(commitment);
    }

    /// @inheritdoc ICoordinator
    function commitmentOf(Answer calldata answer, address node, bytes32 salt) public pure returns (bytes32) {
        return keccak256(
            abi.encode(
                answer.subscriptionId,
                answer.interval,
                node,
                keccak256(answer.input),
                keccak256(answer.output),
                keccak256(answer.proof),
                salt
            )
        );
    }

    /// @inheritdoc ICoordinator
    function deliverComputeBatch(Call[] calldata calls) external returns (bytes4[] memory failures) {
        failures = new bytes4[](calls.length);
        for (uint256 i = 0; i < calls.length; i++) {
            (bool success, bytes memory reason) = _tryCall(calls[i]);
            if (success) continue;
            // Zero says that all went well: nobody can have it said by reverting with it.
            failures[i] = bytes4(reason) == bytes4(0) || reason.length < 4 ? bytes4(0xffffffff) : bytes4(reason);
            emit CallFailed(i, reason);
        }
    }

    /// @inheritdoc ICoordinator
    function reportFailure(uint32 subscriptionId, uint32 interval, uint32 code) external nonReentrant {
        Packed storage sub = subscriptions[subscriptionId];
        (uint256 head,) = _checkOpen(sub, interval);
        _placesTaken(sub, head, _intervalKey(subscriptionId, interval));
        _respond(_responseKey(subscriptionId, interval, msg.sender));
        emit ComputeFailed(subscriptionId, interval, msg.sender, code);
        bytes memory data =
            abi.encodeCall(IFailureConsumer.rawReceiveFailure, (subscriptionId, interval, msg.sender, code));
        LibCall.tryCall(PackedLib.ownerOf(head), 0, gasleft(), 0, data);
    }

    function _enter() private {
        if (_entered == 1) revert Reentrancy();
        _entered = 1;
    }

    function _deliverAnswer(Answer calldata answer, Bounds calldata bounds) private {
        _checkBounds(answer.subscriptionId, answer.interval, bounds);
        uint256 payout = _deliver(
            answer.subscriptionId, answer.interval, answer.input, answer.output, answer.proof, answer.nodeWallet
        );
        // Before and after: a verifier may ask for another fee once the delivery has begun.
        if (payout < bounds.minPayout) revert PayoutTooLow();
    }

    /// @return payout Base units that the node's wallet has got, or gets by the verdict.
    function _deliver(
        uint32 subscriptionId,
        uint32 interval,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof,
        address nodeWallet
    ) internal returns (uint256 payout) {
        Packed storage sub = subscriptions[subscriptionId];
        (uint256 head, uint256 terms) = _checkOpen(sub, interval);
        uint16 ordinal = _count(sub, head, _intervalKey(subscriptionId, interval));
        bytes32 key = _responseKey(subscriptionId, interval, msg.sender);
        _respond(key);
        if (terms & PackedLib.COMMITTED > 0 && _revealed == 0) revert CommitmentRequired();

        uint256 payment = sub.paymentOf(head);
        uint256 amount = sub.amountOf(payment);
        if (amount > 0) {
            payout =
                _pay(subscriptionId, PackedLib.ownerOf(head), payment, terms, amount, sub.tokenOf(head), nodeWallet);
            if (PackedLib.verifierOf(terms) != address(0)) {
                _proofRequests[key] = _packRequest(key, nodeWallet, payout);
                _delivery = uint256(subscriptionId) | (uint256(interval) << 32) | (uint256(uint160(msg.sender)) << 64);
                _containerId = sub.containerId;
                _inputHash = keccak256(input);
                _outputHash = keccak256(output);
                if (_ask(key, subscriptionId, interval, PackedLib.verifierOf(terms), proof) == INVALID) return payout;
            }
        }

        IConsumer consumer = IConsumer(PackedLib.ownerOf(head));
        if (PackedLib.isLazy(head)) {
            bytes32 containerId = sub.containerId;
            uint256 index =
                INBOX.writeViaCoordinator(containerId, msg.sender, subscriptionId, interval, input, output, proof);
            consumer.rawReceiveCompute(subscriptionId, interval, ordinal, msg.sender, "", "", "", containerId, index);
        } else {
            consumer.rawReceiveCompute(
                subscriptionId, interval, ordinal, msg.sender, input, output, proof, bytes32(0), 0
            );
        }
        emit SubscriptionFulfilled(subscriptionId, msg.sender);
        emit AnswerAccepted(subscriptionId, interval, ordinal, keccak256(output));
    }

    /// @dev What is asked of a subscription before anything is about the node.
    function _checkOpen(Packed storage sub, uint32 interval) private view returns (uint256 head, uint256 terms) {
        head = sub.head;
        if (PackedLib.ownerOf(head) == address(0)) revert SubscriptionNotFound();
        uint32 activeAt = PackedLib.activeAtOf(head);
        if (uint32(block.timestamp) < activeAt) revert SubscriptionNotActive();
        terms = sub.termsOf(head);
        uint32 expiresAt = PackedLib.expiresAtOf(terms);
        if (expiresAt > 0 && block.timestamp >= expiresAt) revert SubscriptionExpired();
        uint32 current = getSubscriptionInterval(activeAt, PackedLib.periodOf(head));
        if (current != interval) revert IntervalMismatch();
        if (current > sub.frequencyOf(head)) revert SubscriptionCompleted();
    }

    function _count(Packed storage sub, uint256 head, bytes32 key) private returns (uint16) {
        uint256 count = _placesTaken(sub, head, key);
        unchecked {
            _redundancyCounts[key] = ++count;
        }
        return uint16(count);
    }

    function _placesTaken(Packed storage sub, uint256 head, bytes32 key) private view returns (uint256 count) {
        count = _redundancyCounts[key];
        if (count == sub.redundancyOf(head)) revert IntervalCompleted();
    }

    function _respond(bytes32 key) private {
        if (_nodeResponses[key] == 1) revert NodeRespondedAlready();
        _nodeResponses[key] = 1;
    }

    function _checkBounds(uint32 subscriptionId, uint32 interval, Bounds calldata bounds) private view {
        if (bounds.deadline > 0 && block.timestamp > bounds.deadline) revert DeliveryTooLate();
        Packed storage sub = subscriptions[subscriptionId];
        uint256 head = sub.head;
        // Whoever comes second pays for two words, and not for what the bounds are compared with.
        if (head > 0) _placesTaken(sub, head, _intervalKey(subscriptionId, interval));
        if (bounds.containerId != bytes32(0) && bounds.containerId != sub.containerId) revert UnexpectedSubscription();
        uint256 amount = sub.amountOf(sub.paymentOf(head));
        uint256 payout;
        if (amount > 0) {
            address token = sub.tokenOf(head);
            address verifier = PackedLib.verifierOf(sub.termsOf(head));
            if (token != bounds.paymentToken || verifier != bounds.verifier) revert UnexpectedSubscription();
            if (verifier != address(0) && amount > bounds.maxStake) revert StakeTooHigh();
            (uint256 fee,) = FEE.quote();
            uint256 taken = amount * (2 * fee) / SCALE;
            if (verifier != address(0)) taken += IVerifier(payable(verifier)).fee(token);
            payout = amount > taken ? amount - taken : 0;
        }
        if (payout < bounds.minPayout) revert PayoutTooLow();
    }

    /// @dev In the caller's name, since it is our own code that is called.
    function _tryCall(Call calldata call) private returns (bool success, bytes memory reason) {
        uint256 gasLimit = call.gasLimit == 0 ? gasleft() : call.gasLimit;
        bytes calldata data = call.data;
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, data.offset, data.length)
            success := delegatecall(gasLimit, address(), free, data.length, 0, 0)
            // No bytes, unless it failed: then what it said, in memory that is kept.
            reason := 0x60
            if iszero(success) {
                let size := returndatasize()
                if gt(size, MAX_REASON) { size := MAX_REASON }
                reason := free
                mstore(reason, size)
                returndatacopy(add(reason, 0x20), 0, size)
                mstore(0x40, add(reason, add(MAX_REASON, 0x20)))
            }
        }
    }

    function _intervalKey(uint32 subscriptionId, uint32 interval) private pure returns (bytes32) {
        return EfficientHashLib.hash(uint256(subscriptionId), uint256(interval));
    }

    function _responseKey(uint32 subscriptionId, uint32 interval, address node) private pure returns (bytes32) {
        return EfficientHashLib.hash(uint256(subscriptionId), uint256(interval), uint256(uint160(node)));
    }

    /*//////////////////////////////////////////////////////////////
                               PAYMENTS
    //////////////////////////////////////////////////////////////*/

    /// @dev Charges the fees, and pays the node, or locks what it may get and what it may lose.
    /// @return left Base units paid to the node, or locked for it.
    function _pay(
        uint32 subscriptionId,
        address owner,
        uint256 payment,
        uint256 terms,
        uint256 amount,
        address token,
        address nodeWallet
    ) private returns (uint256 left) {
        if (!WALLET_FACTORY.areValidWallets(nodeWallet, PackedLib.walletOf(payment))) {
            revert InvalidWallet();
        }
        (uint256 fee, address recipient) = FEE.quote();
        uint16 maxFee = PackedLib.maxFeeOf(terms);
        if (maxFee > 0 && fee > maxFee) revert FeeAboveTerms();

        // Each side pays the fee, on the same amount.
        uint256 taken = amount * (2 * fee) / SCALE;
        left = amount - taken;
        bool prepaid = terms & PackedLib.PREPAID > 0;
        if (prepaid) _spendPrepayment(subscriptionId, amount);
        Wallet wallet = _wallet(payment);
        address verifier = PackedLib.verifierOf(terms);
        if (verifier == address(0)) {
            _payTwo(wallet, prepaid, owner, token, recipient, taken, nodeWallet, left);
            return left;
        }

        // Sent together, as that is cheaper; but a wallet that may not reach pays one by one, and is refused where it always was.
        bool together = prepaid || wallet.canSpend(owner, token, amount);
        if (!together) wallet.cTransfer(owner, token, recipient, taken);
        if (!IVerifier(payable(verifier)).isSupportedToken(token)) revert UnsupportedVerifierToken();
        uint256 verifierFee = IVerifier(payable(verifier)).fee(token);
        left -= verifierFee;
        uint256 takenOfVerifier = verifierFee * fee / SCALE;
        if (together) {
            taken += takenOfVerifier;
        } else {
            wallet.cTransfer(owner, token, recipient, takenOfVerifier);
            taken = 0;
        }
        address verifierWallet = IVerifier(payable(verifier)).getWallet();
        verifierFee -= takenOfVerifier;
        _payTwo(wallet, prepaid, owner, token, recipient, taken, verifierWallet, verifierFee);
        Wallet(payable(nodeWallet)).cLock(msg.sender, token, amount);
        // What is prepaid is locked already.
        if (!prepaid) wallet.cLock(owner, token, left);
    }

    function _payTwo(
        Wallet wallet,
        bool prepaid,
        address owner,
        address token,
        address first,
        uint256 firstAmount,
        address second,
        uint256 secondAmount
    ) private {
        if (!prepaid) return wallet.cPay(owner, token, first, firstAmount, second, secondAmount);
        // A delivery may fail, and a node computes for money: it is not paid with a debt.
        if (firstAmount > 0 && !wallet.cSettle(owner, token, first, firstAmount)) revert PrepaymentStuck();
        if (secondAmount > 0 && !wallet.cSettle(owner, token, second, secondAmount)) revert PrepaymentStuck();
    }

    function _spendPrepayment(uint32 subscriptionId, uint256 amount) private {
        uint256 left = prepayments[subscriptionId];
        if (left < amount) revert PrepaymentSpent();
        prepayments[subscriptionId] = left - amount;
    }

    function _wallet(uint256 payment) private pure returns (Wallet) {
        return Wallet(payable(PackedLib.walletOf(payment)));
    }

    /*//////////////////////////////////////////////////////////////
                                 PROOFS
    //////////////////////////////////////////////////////////////*/

    /// @inheritdoc ICoordinator
    function proofRequests(bytes32 key)
        external
        view
        returns (uint32 expiry, Wallet nodeWallet, uint256 consumerEscrowed)
    {
        ProofRequest memory request = _unpackRequest(key, _proofRequests[key]);
        return (request.expiry, request.nodeWallet, request.consumerEscrowed);
    }

    /// @inheritdoc ICoordinator
    function delivery() external view returns (Delivery memory) {
        uint256 packed = _delivery;
        if (packed == 0) return Delivery(0, 0, address(0), bytes32(0), bytes32(0), bytes32(0));
        return Delivery({
            subscriptionId: uint32(packed),
            interval: uint32(packed >> 32),
            node: address(uint160(packed >> 64)),
            containerId: _containerId,
            inputHash: _inputHash,
            outputHash: _outputHash
        });
    }

    /// @inheritdoc ICoordinator
    function finalizeProofVerification(uint32 subscriptionId, uint32 interval, address node, bool valid) external {
        bytes32 key = _responseKey(subscriptionId, interval, node);
        bool atomic = _entered == 1;
        if (atomic && key != _asked) revert Reentrancy();
        if (!atomic) _entered = 1;
        ProofRequest memory request = _takeRequest(key);
        Packed storage sub = subscriptions[subscriptionId];
        uint256 terms = sub.terms;
        bool active = uint32(block.timestamp) < request.expiry;
        if (active && msg.sender != PackedLib.verifierOf(terms)) revert UnauthorizedVerifier();
        if (active && !valid) {
            _slash(subscriptionId, terms, request, node);
            _redundancyCounts[_intervalKey(subscriptionId, interval)] -= 1;
            emit AnswerRejected(subscriptionId, interval, node);
        } else {
            _settle(sub, request, node, active || terms & PackedLib.REFUND_ON_SILENCE == 0);
        }
        if (atomic) _verdict = valid ? VALID : INVALID;
        else _entered = 0;
        emit ProofVerified(subscriptionId, interval, node, active, msg.sender, valid);
    }

    /// @dev The node gets its stake back, and what it earned, if it did.
    function _settle(Packed storage sub, ProofRequest memory request, address node, bool earned) private {
        uint256 payment = sub.payment;
        uint256 head = sub.head;
        address token = sub.tokenOf(head);
        address owner = PackedLib.ownerOf(head);
        request.nodeWallet.cUnlock(node, token, sub.amountOf(payment));
        if (request.consumerEscrowed == 0) return;
        if (earned) _wallet(payment).cSettle(owner, token, address(request.nodeWallet), request.consumerEscrowed);
        else _wallet(payment).cUnlock(owner, token, request.consumerEscrowed);
    }

    /// @dev The node's stake goes to the consumer's wallet, which gets its own escrow back; what was prepaid is made whole by it, if it
    /// arrives: nothing else of the wallet's may be held, since no allowance covers it.
    function _slash(uint32 subscriptionId, uint256 terms, ProofRequest memory request, address node) private {
        Packed storage sub = subscriptions[subscriptionId];
        uint256 payment = sub.payment;
        uint256 head = sub.head;
        address token = sub.tokenOf(head);
        address owner = PackedLib.ownerOf(head);
        uint256 amount = sub.amountOf(payment);
        uint256 escrow = request.consumerEscrowed;
        bool arrived = request.nodeWallet.cSettle(node, token, PackedLib.walletOf(payment), amount);
        if (arrived && terms & PackedLib.PREPAID > 0 && _wallet(payment).cHold(owner, token, amount - escrow)) {
            prepayments[subscriptionId] += amount;
        } else if (escrow > 0) {
            _wallet(payment).cUnlock(owner, token, escrow);
        }
    }

    function _ask(bytes32 key, uint32 subscriptionId, uint32 interval, address verifier, bytes calldata proof)
        private
        returns (uint256 verdict)
    {
        _asked = key;
        _verdict = 0;
        IVerifier(payable(verifier)).requestProofVerification(subscriptionId, interval, msg.sender, proof);
        verdict = _verdict;
        _asked = 0;
        _delivery = 0;
    }

    function _packRequest(bytes32 key, address nodeWallet, uint256 escrow) private returns (uint256) {
        if (escrow >= LARGE_ESCROW) {
            _largeEscrows[key] = escrow;
            escrow = LARGE_ESCROW;
        }
        return uint256(uint32(block.timestamp) + PROOF_WINDOW) | (uint256(uint160(nodeWallet)) << 32) | (escrow << 192);
    }

    function _unpackRequest(bytes32 key, uint256 packed) private view returns (ProofRequest memory) {
        uint256 escrow = packed >> 192;
        return ProofRequest({
            expiry: uint32(packed),
            nodeWallet: Wallet(payable(address(uint160(packed >> 32)))),
            consumerEscrowed: escrow == LARGE_ESCROW ? _largeEscrows[key] : escrow
        });
    }

    /// @dev What is closed once cannot be closed again, whoever is called meanwhile.
    function _takeRequest(bytes32 key) private returns (ProofRequest memory request) {
        uint256 packed = _proofRequests[key];
        if (packed == 0) revert ProofRequestNotFound();
        request = _unpackRequest(key, packed);
        delete _proofRequests[key];
        if (packed >> 192 == LARGE_ESCROW) delete _largeEscrows[key];
    }
}
