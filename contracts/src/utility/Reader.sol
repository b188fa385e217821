// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {EIP712Coordinator} from "../EIP712Coordinator.sol";
import {Registry} from "../Registry.sol";
import {IConsumer} from "../interface/IConsumer.sol";
import {Subscription} from "../interface/ICoordinator.sol";
import {IReader, Status} from "../interface/IReader.sol";
import {Wallet} from "../payments/Wallet.sol";
import {WalletFactory} from "../payments/WalletFactory.sol";
import {LibCall} from "solady/utils/LibCall.sol";

/// @title Reader
/// @notice See `IReader`.
contract Reader is IReader {
    /// @dev For what a token's `balanceOf` may take. A token that takes more has no balance here.
    uint256 private constant FUNDS_GAS = 200_000;
    /// @dev For `getContainerInputs` of one consumer.
    uint256 private constant INPUT_GAS = 3_000_000;
    /// @dev Kept back for each entry still to come: however many tokens and consumers burn what they are given, the page gets done.
    uint256 private constant RESERVED_GAS = 100_000;
    /// @dev Memory that an entry takes without its input, and what is returned of it.
    uint256 private constant ENTRY_BYTES = 4096;
    /// @dev The offset and the length before the bytes.
    uint256 private constant INPUT_HEAD = 64;

    EIP712Coordinator private immutable COORDINATOR;
    WalletFactory private immutable WALLET_FACTORY;

    constructor(Registry registry) {
        COORDINATOR = EIP712Coordinator(registry.COORDINATOR());
        WALLET_FACTORY = WalletFactory(registry.WALLET_FACTORY());
    }

    /// @inheritdoc IReader
    function readSubscriptionBatch(uint32 startId, uint32 endId) external view returns (Subscription[] memory) {
        return COORDINATOR.getSubscriptions(startId, endId);
    }

    /// @inheritdoc IReader
    function readRedundancyCountBatch(uint32[] calldata ids, uint32[] calldata intervals)
        external
        view
        returns (uint16[] memory counts)
    {
        counts = new uint16[](ids.length);
        for (uint256 i = 0; i < ids.length; i++) {
            counts[i] = COORDINATOR.redundancyCount(keccak256(abi.encode(ids[i], intervals[i])));
        }
    }

    /// @inheritdoc IReader
    function readStatusBatch(uint32 startId, uint32 endId, address node, uint16 maxInputBytes)
        external
        view
        returns (Status[] memory page)
    {
        Subscription[] memory subs = COORDINATOR.getSubscriptions(startId, endId);
        page = new Status[](subs.length);
        uint256 held = 0;
        for (uint256 i = 0; i < subs.length; i++) {
            page[i] = _status(uint32(startId + i), subs[i], node, maxInputBytes, subs.length - i, held);
            held += page[i].input.length;
        }
    }

    /// @param left Entries still to come, with this one.
    /// @param held Bytes of inputs before this one's.
    function _status(uint32 id, Subscription memory sub, address node, uint16 maxInputBytes, uint256 left, uint256 held)
        private
        view
        returns (Status memory status)
    {
        status.id = id;
        status.subscription = sub;
        if (sub.owner == address(0)) return status;
        status.terms = COORDINATOR.getTerms(id);
        if (status.terms.prepaid) status.prepayment = COORDINATOR.prepayments(id);
        if (sub.paymentAmount > 0 && WALLET_FACTORY.isValidWallet(sub.wallet)) {
            status.funds = _funds(sub.wallet, sub.paymentToken, _gasUpTo(FUNDS_GAS, _reserved(left, held)));
            status.allowance = Wallet(sub.wallet).allowance(sub.owner, sub.paymentToken);
        }
        if (!_isOpen(sub, status.terms.expiresAt)) return status;
        uint32 interval = COORDINATOR.getSubscriptionInterval(sub.activeAt, sub.period);
        if (interval > sub.frequency) return status;
        status.interval = interval;
        status.count = COORDINATOR.redundancyCount(keccak256(abi.encode(id, interval)));
        status.responded = COORDINATOR.nodeResponded(keccak256(abi.encode(id, interval, node)));
        // An input is copied twice before it is returned.
        uint256 gasLimit = _gasUpTo(INPUT_GAS, _reserved(left, held + 3 * uint256(maxInputBytes)));
        (status.hasInput, status.input) = _input(sub.owner, id, interval, node, maxInputBytes, gasLimit);
    }

    function _isOpen(Subscription memory sub, uint32 expiresAt) private view returns (bool) {
        return uint32(block.timestamp) >= sub.activeAt && (expiresAt == 0 || block.timestamp < expiresAt);
    }

    /// @dev Memory costs more the more there is: many long inputs would take what the page needs to be returned.
    function _reserved(uint256 left, uint256 inputBytes) private pure returns (uint256) {
        uint256 words;
        assembly ("memory-safe") {
            words := shr(5, mload(0x40))
        }
        uint256 more = (inputBytes + left * ENTRY_BYTES) / 32;
        return left * RESERVED_GAS + more * (2 * words + more) / 512 + 9 * more;
    }

    function _gasUpTo(uint256 most, uint256 reserved) private view returns (uint256 gasLimit) {
        uint256 left = gasleft();
        gasLimit = left > reserved ? left - reserved : 0;
        if (gasLimit > most) gasLimit = most;
    }

    function _funds(address wallet, address token, uint256 gasLimit) private view returns (uint256) {
        bytes memory data = abi.encodeCall(Wallet.unlockedBalance, (token));
        (bool success,, bytes memory result) = LibCall.tryStaticCall(wallet, gasLimit, 32, data);
        return success && result.length == 32 ? abi.decode(result, (uint256)) : 0;
    }

    /// @dev A consumer may answer with anything: what is not one byte string, as the compiler writes it, is no input.
    function _input(address owner, uint32 id, uint32 interval, address node, uint16 maxBytes, uint256 gasLimit)
        private
        view
        returns (bool known, bytes memory input)
    {
        bytes memory data = abi.encodeCall(IConsumer.getContainerInputs, (id, interval, uint32(block.timestamp), node));
        uint256 free;
        assembly ("memory-safe") {
            free := mload(0x40)
        }
        // Padded to whole words.
        uint256 most = INPUT_HEAD + ((uint256(maxBytes) + 31) & ~uint256(31));
        if (most > type(uint16).max) most = type(uint16).max;
        (bool success, bool exceeded, bytes memory result) = LibCall.tryStaticCall(owner, gasLimit, uint16(most), data);
        known = success && !exceeded && result.length >= INPUT_HEAD;
        if (known) {
            (uint256 offset, uint256 length) = abi.decode(result, (uint256, uint256));
            known = offset == 32 && length <= maxBytes && length <= result.length - INPUT_HEAD;
        }
        if (known) return (true, abi.decode(result, (bytes)));
        // What is no input is not kept either.
        assembly ("memory-safe") {
            mstore(0x40, free)
        }
    }
}
