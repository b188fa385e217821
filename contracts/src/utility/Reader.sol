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
    /// @dev For `getContainerInputs` of one consumer, so that one cannot use up the page's.
    uint256 private constant INPUT_GAS = 3_000_000;
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
        for (uint256 i = 0; i < subs.length; i++) {
            page[i] = _status(uint32(startId + i), subs[i], node, maxInputBytes);
        }
    }

    function _status(uint32 id, Subscription memory sub, address node, uint16 maxInputBytes)
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
            status.funds = _funds(sub.wallet, sub.paymentToken);
            status.allowance = Wallet(sub.wallet).allowance(sub.owner, sub.paymentToken);
        }
        if (!_isOpen(sub.activeAt, status.terms.expiresAt)) return status;
        uint32 interval = COORDINATOR.getSubscriptionInterval(sub.activeAt, sub.period);
        if (interval > sub.frequency) return status;
        status.interval = interval;
        status.count = COORDINATOR.redundancyCount(keccak256(abi.encode(id, interval)));
        status.responded = COORDINATOR.nodeResponded(keccak256(abi.encode(id, interval, node)));
        (status.hasInput, status.input) = _input(sub.owner, id, interval, node, maxInputBytes);
    }

    function _isOpen(uint32 activeAt, uint32 expiresAt) private view returns (bool) {
        return uint32(block.timestamp) >= activeAt && (expiresAt == 0 || block.timestamp < expiresAt);
    }

    function _funds(address wallet, address token) private view returns (uint256) {
        bytes memory data = abi.encodeCall(Wallet.unlockedBalance, (token));
        (bool success,, bytes memory result) = LibCall.tryStaticCall(wallet, FUNDS_GAS, 32, data);
        return success && result.length == 32 ? abi.decode(result, (uint256)) : 0;
    }

    /// @dev A consumer may answer with anything: what is not one byte string, as the compiler writes it, is no input.
    function _input(address owner, uint32 id, uint32 interval, address node, uint16 maxBytes)
        private
        view
        returns (bool known, bytes memory input)
    {
        bytes memory data =
            abi.encodeCall(IConsumer.getContainerInputs, (id, interval, uint32(block.timestamp), node));
        // Padded to whole words.
        uint256 most = INPUT_HEAD + ((uint256(maxBytes) + 31) & ~uint256(31));
        if (most > type(uint16).max) most = type(uint16).max;
        (bool success, bool exceeded, bytes memory result) =
            LibCall.tryStaticCall(owner, INPUT_GAS, uint16(most), data);
        if (!success || exceeded || result.length < INPUT_HEAD) return (false, "");
        (uint256 offset, uint256 length) = abi.decode(result, (uint256, uint256));
        if (offset != 32 || length > maxBytes || length > result.length - INPUT_HEAD) return (false, "");
        return (true, abi.decode(result, (bytes)));
    }
}
