// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Subscription, Terms} from "./ICoordinator.sol";

/// @notice What a node decides by.
/// @param subscription All zero if there is none; then nothing else is set.
/// @param prepayment Base units paid in advance and not spent.
/// @param interval That is open now; 0: none, since it has not begun, is over or cancelled. `count`, `responded` and the input are this one's.
/// @param count Answers that count.
/// @param responded Whether the node has answered, or failed.
/// @param funds Base units free in the paying wallet; 0 as well for a wallet that is not the factory's.
/// @param allowance Base units that the owner may spend of it.
/// @param hasInput False: the consumer gave none, failed, or gave more than was asked for.
struct Status {
    uint32 id;
    Subscription subscription;
    Terms terms;
    uint256 prepayment;
    uint32 interval;
    uint16 count;
    bool responded;
    uint256 funds;
    uint256 allowance;
    bool hasInput;
    bytes input;
}

/// @title IReader
/// @notice Many reads in one, for `eth_call`.
interface IReader {
    /// @notice Subscriptions from `startId` up to, and without, `endId`; all zero where there is none. Panics (0x11) when the end comes
    /// first.
    function readSubscriptionBatch(uint32 startId, uint32 endId) external view returns (Subscription[] memory);

    /// @notice Answers that count, for pairs of subscription and interval. Panics (0x32) when there are fewer intervals; more are ignored.
    function readRedundancyCountBatch(uint32[] calldata ids, uint32[] calldata intervals)
        external
        view
        returns (uint16[] memory);

    /// @notice Everything about a range of subscriptions. No consumer, token or wallet can spoil it for the others.
    /// @param node Who asks: whose responses are looked for, and whom consumers see.
    /// @param maxInputBytes Inputs that are longer are left out; 65,440 at most.
    function readStatusBatch(uint32 startId, uint32 endId, address node, uint16 maxInputBytes)
        external
        view
        returns (Status[] memory);
}
