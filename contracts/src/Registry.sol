// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title Registry
/// @notice Where the contracts of one deployment are. Everybody is given its address and finds the others through it.
/// @dev The registry is deployed first, with addresses that hold nothing yet: constructors may read these getters, but must not call what
/// they name. It has no owner and never changes.
contract Registry {
    /// @notice The `EIP712Coordinator`.
    address public immutable COORDINATOR;
    /// @notice The `Inbox`.
    address public immutable INBOX;
    /// @notice The `Reader`.
    address public immutable READER;
    /// @notice The `Fee`.
    address public immutable FEE;
    /// @notice The `WalletFactory`.
    address public immutable WALLET_FACTORY;

    constructor(address coordinator, address inbox, address reader, address fee, address walletFactory) {
        COORDINATOR = coordinator;
        INBOX = inbox;
        READER = reader;
        FEE = fee;
        WALLET_FACTORY = walletFactory;
    }
}
