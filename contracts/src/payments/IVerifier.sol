// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title IVerifier
/// @notice Judges the proofs of a subscription's answers, and is paid for each. It tells the coordinator what it found with
/// `finalizeProofVerification`: at once, within `requestProofVerification` ("atomic"), or within a week of the delivery ("optimistic").
/// @dev The consumer chooses the verifier and has to trust it; so has the node, whose stake it can take.
interface IVerifier {
    /// @notice Where the verifier's fee is sent. Any address.
    function getWallet() external view returns (address);

    /// @notice Whether it can be paid in this token. Zero: ETH.
    function isSupportedToken(address token) external view returns (bool);

    /// @notice What it takes for one proof, in the token's base units. Out of the subscription's payment.
    function fee(address token) external view returns (uint256);

    /// @notice Asks for a verdict on a node's proof.
    /// @dev Must refuse every caller but the coordinator. What the proof has to be about is in the coordinator's `delivery()` meanwhile.
    function requestProofVerification(uint32 subscriptionId, uint32 interval, address node, bytes calldata proof)
        external;

    receive() external payable;
}
