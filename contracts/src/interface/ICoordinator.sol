// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Wallet} from "../payments/Wallet.sol";

/// @notice What a consumer asks for: a computation by containers, once or again and again.
/// @param owner Contract that is called back, and alone may cancel. Payments are made in its name.
/// @param activeAt Unix seconds from which answers are accepted. 2^32-1: cancelled.
/// @param period Seconds of an interval; 0: one interval that begins at `activeAt` and never ends.
/// @param frequency Number of intervals.
/// @param redundancy Nodes whose answers are accepted in one interval.
/// @param containerId `keccak256(abi.encode(string))` of the containers' ids, joined with commas in the order of their calls.
/// @param lazy True: answers are stored in the Inbox, and the owner is told where. False: the owner is given them.
/// @param verifier Judges proofs; zero: answers are paid at once.
/// @param paymentAmount Base units for each answer; 0: unpaid, and nothing about payments is looked at.
/// @param paymentToken ERC-20, or zero for ETH.
/// @param wallet Pays; the owner must be an approved spender of it.
struct Subscription {
    address owner;
    uint32 activeAt;
    uint32 period;
    uint32 frequency;
    uint16 redundancy;
    bytes32 containerId;
    bool lazy;
    address payable verifier;
    uint256 paymentAmount;
    address paymentToken;
    address payable wallet;
}

/// @notice A proof without a verdict.
/// @param expiry Unix seconds at which the verifier's time is over. Zero: there is no request.
/// @param nodeWallet Is paid, and has staked the subscription's `paymentAmount`.
/// @param consumerEscrowed Base units that the subscription's wallet has locked for the node.
struct ProofRequest {
    uint32 expiry;
    Wallet nodeWallet;
    uint256 consumerEscrowed;
}

/// @notice What a subscription may say beyond the first deployments' fields. All zero: what `createSubscription` gives.
/// @param expiresAt Unix seconds from which no answer is accepted; 0: none. A prepaid callback has to have one.
/// @param maxFee Basis points of protocol fee that each side may be charged; above it nothing is delivered. 0: any.
/// @param prepaid The price of every answer is escrowed when the subscription is created.
/// @param committed A node commits to its answer in an earlier block than it tells it (`commitCompute`, `revealCompute`).
/// @param refundOnSilence A verifier that says nothing in time: both escrows go back, and the node is not paid.
struct Terms {
    uint32 expiresAt;
    uint16 maxFee;
    bool prepaid;
    bool committed;
    bool refundOnSilence;
}

/// @notice A subscription with terms, to be created: what `Subscription` says.
struct Request {
    string containerId;
    uint32 frequency;
    uint32 period;
    uint16 redundancy;
    bool lazy;
    address paymentToken;
    uint256 paymentAmount;
    address wallet;
    address verifier;
}

/// @notice An answer: the arguments of `deliverCompute`.
struct Answer {
    uint32 subscriptionId;
    uint32 interval;
    bytes input;
    bytes output;
    bytes proof;
    address nodeWallet;
}

/// @notice What a node expects of the subscription that it answers, as it was when it decided to compute.
/// @param minPayout Base units that the node's wallet must get, now or by the verdict.
/// @param maxStake Base units that the node's wallet may have to lock.
/// @param paymentToken What those are of.
/// @param verifier Who may judge, and so slash. Zero: nobody.
/// @param deadline Unix seconds after which the answer is not delivered; 0: any time.
/// @param containerId Of the subscription; zero: any. After a reorganisation an id may be another subscription's.
struct Bounds {
    uint256 minPayout;
    uint256 maxStake;
    address paymentToken;
    address verifier;
    uint32 deadline;
    bytes32 containerId;
}

/// @notice One call of a batch.
/// @param gasLimit Gas that it may use; 0: all there is. What it does not get, it fails for.
/// @param data Selector and arguments of any function of the coordinator.
struct Call {
    uint32 gasLimit;
    bytes data;
}

/// @notice The answer that is being delivered in this call, for verifiers. All zero when none is.
struct Delivery {
    uint32 subscriptionId;
    uint32 interval;
    address node;
    bytes32 containerId;
    bytes32 inputHash;
    bytes32 outputHash;
}

/// @title ICoordinator
/// @notice Where consumers ask, nodes answer, and verifiers judge.
/// @dev Whoever calls is the node: the address that is paid in whose name, and that the consumer sees.
interface ICoordinator {
    /// @notice A subscription came to be.
    event SubscriptionCreated(uint32 indexed id);
    /// @notice Its owner wants no more answers.
    event SubscriptionCancelled(uint32 indexed id);
    /// @notice An answer was accepted.
    event SubscriptionFulfilled(uint32 indexed id, address indexed node);
    /// @notice A proof request was closed. `active`: in time, by the verifier. `valid`: as it was said, even if it did not count.
    event ProofVerified(
        uint32 indexed id, uint32 indexed interval, address indexed node, bool active, address verifier, bool valid
    );

    /// @notice Beside `SubscriptionCreated`: what nodes choose by.
    event SubscriptionOpened(bytes32 indexed containerId, uint32 id, address owner);
    /// @notice After `SubscriptionFulfilled`, which names the node: which answer it was. `ordinal`: of the interval's answers, from 1.
    event AnswerAccepted(uint32 indexed id, uint32 interval, uint16 ordinal, bytes32 outputHash);
    /// @notice A proof was invalid: the answer does not count, and the interval takes another. If the verdict came at once, the consumer has
    /// not been given the answer.
    event AnswerRejected(uint32 indexed id, uint32 interval, address node);
    /// @notice A node said that it could not compute. `code`: what it says went wrong.
    event ComputeFailed(uint32 indexed id, uint32 interval, address node, uint32 code);
    /// @notice A call of a batch failed, and left nothing. `reason`: what it reverted with, 256 bytes at most.
    event CallFailed(uint256 indexed index, bytes reason);
    /// @notice A subscription's answers are paid for in advance, with so many base units in all.
    event Prepaid(uint32 indexed id, uint256 amount);
    /// @notice What was left of it went back.
    event PrepaymentReclaimed(uint32 indexed id, uint256 amount);
    /// @notice A node has committed to an answer.
    event Committed(bytes32 indexed commitment);

    /// @notice The next id to be given out. The first is 1; 0 is none.
    function id() external view returns (uint32);

    /// @notice Whether the node has answered. Key: `keccak256(abi.encode(uint32 subscriptionId, uint32 interval, address node))`.
    function nodeResponded(bytes32 key) external view returns (bool);

    /// @notice Answers that count. Key: `keccak256(abi.encode(uint32 subscriptionId, uint32 interval))`.
    function redundancyCount(bytes32 key) external view returns (uint16);

    /// @notice An open proof request. Key: as of `nodeResponded`.
    function proofRequests(bytes32 key)
        external
        view
        returns (uint32 expiry, Wallet nodeWallet, uint256 consumerEscrowed);

    /// @notice Opens a subscription whose owner is the caller. Its first interval begins after one period.
    /// @dev Looks at nothing: one that nobody can answer is accepted. Panics (0x11) when `period` leads beyond 2106. See `openSubscription`.
    /// @return The subscription's id.
    function createSubscription(
        string memory containerId,
        uint32 frequency,
        uint32 period,
        uint16 redundancy,
        bool lazy,
        address paymentToken,
        uint256 paymentAmount,
        address wallet,
        address verifier
    ) external returns (uint32);

    /// @notice The same with terms. Refuses by name what could never be answered: `NoInterval`, `NoRedundancy`, `InvalidPeriod`,
    /// `InvalidOwner`, `InvalidWallet`, `InvalidVerifier`, `InvalidTerms`.
    function openSubscription(Request calldata request, Terms calldata terms) external returns (uint32);

    /// @notice Ends a subscription of the caller's. Proofs under way are judged all the same.
    /// @dev One that is prepaid takes answers for an hour more, since a node may be at work for the money that it saw.
    function cancelSubscription(uint32 subscriptionId) external;

    /// @notice Gives back what a prepaid subscription has not spent, once it has ended. Anyone may ask.
    /// @return amount Base units, now free in the subscription's wallet.
    function reclaimPrepayment(uint32 subscriptionId) external returns (uint256 amount);

    /// @notice A subscription; all zero if there is none.
    function getSubscription(uint32 subscriptionId) external view returns (Subscription memory);

    /// @notice Its terms; all zero if it has none.
    function getTerms(uint32 subscriptionId) external view returns (Terms memory);

    /// @notice Subscriptions from `startId` up to, and without, `endId`. Panics (0x11) when the end comes first.
    function getSubscriptions(uint32 startId, uint32 endId) external view returns (Subscription[] memory);

    /// @notice Base units that a prepaid subscription has not spent.
    function prepayments(uint32 subscriptionId) external view returns (uint256);

    /// @notice The interval at this time: 1 for period 0, else counted from `activeAt`, from 1.
    /// @dev Modulo 2^32, unchecked: without meaning before `activeAt`.
    function getSubscriptionInterval(uint32 activeAt, uint32 period) external view returns (uint32);

    /// @notice Delivers an answer. Reverts, in this order: `Reentrancy`, `SubscriptionNotFound`, `SubscriptionNotActive`,
    /// `SubscriptionExpired`, `IntervalMismatch`, `SubscriptionCompleted`, `IntervalCompleted`, `NodeRespondedAlready`,
    /// `CommitmentRequired`; if it is paid: `InvalidWallet`, `FeeAboveTerms`, what the wallets revert with, `UnsupportedVerifierToken`;
    /// then what the consumer reverts with.
    /// @dev A node that wants to be sure of what it gets uses `deliverComputeBounded`.
    /// @param nodeWallet Is paid, and stakes. Any wallet of the factory.
    function deliverCompute(
        uint32 subscriptionId,
        uint32 deliveryInterval,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof,
        address nodeWallet
    ) external;

    /// @notice The same, unless the subscription is not what the node expects: `DeliveryTooLate`, `UnexpectedSubscription`,
    /// `PayoutTooLow`, `StakeTooHigh`.
    function deliverComputeBounded(Answer calldata answer, Bounds calldata bounds) external;

    /// @notice Makes calls one after another, each in the caller's name. One that fails leaves nothing, and the others stay.
    /// @return failures For each call: 0, or the first four bytes of what it reverted with, or 0xffffffff where that was less, or zero.
    function deliverComputeBatch(Call[] calldata calls) external returns (bytes4[] memory failures);

    /// @notice Commits to an answer without telling it: `commitmentOf`.
    function commitCompute(bytes32 commitment) external;

    /// @notice Delivers an answer that was committed to in an earlier block. Reverts `NotCommitted` otherwise, and as
    /// `deliverComputeBounded` does.
    function revealCompute(Answer calldata answer, Bounds calldata bounds, bytes32 salt) external;

    /// @notice What a node commits to. Nobody can reveal it but the node.
    function commitmentOf(Answer calldata answer, address node, bytes32 salt) external pure returns (bytes32);

    /// @notice Block in which the commitment was made; 0: it was not, or is used up.
    function commitments(bytes32 commitment) external view returns (uint256);

    /// @notice Tells the consumer that this node cannot answer. It counts as the node's response, but not as an answer, and is not paid.
    /// Checked as a delivery is. Consumers that know nothing of failures are left alone.
    /// @param code The node's reason: see `FailureConsumer`.
    function reportFailure(uint32 subscriptionId, uint32 interval, uint32 code) external;

    /// @notice Closes a proof request. In time the verifier alone may: valid, the node is paid; invalid, the node's stake goes to the
    /// subscription's wallet and its place is free again. After a week anyone may, and what is said does not count: the node is paid, or,
    /// where the terms say so, both escrows go back. Reverts `ProofRequestNotFound`, `UnauthorizedVerifier`; `Reentrancy` out of a delivery
    /// whose proof it is not.
    function finalizeProofVerification(uint32 subscriptionId, uint32 interval, address node, bool valid) external;

    /// @notice For verifiers, while they are asked: what the proof has to be about.
    function delivery() external view returns (Delivery memory);
}
