// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {LibDeploy} from "../../script/LibDeploy.sol";
import {EIP712Coordinator} from "src/EIP712Coordinator.sol";
import {Inbox} from "src/Inbox.sol";
import {Registry} from "src/Registry.sol";
import {Fee} from "src/payments/Fee.sol";
import {Wallet} from "src/payments/Wallet.sol";
import {WalletFactory} from "src/payments/WalletFactory.sol";
import {Reader} from "src/utility/Reader.sol";
import {RecordingConsumer} from "./Consumers.sol";
import {Token} from "./Tokens.sol";
import {CommonBase} from "forge-std/Base.sol";

/// @notice What `Setup` starts from. A contract of its own: each test contract would be compiled with all of it otherwise.
contract Deployment is CommonBase {
    Registry public registry;
    EIP712Coordinator public coordinator;
    Inbox public inbox;
    Reader public reader;
    Fee public fee;
    WalletFactory public factory;
    RecordingConsumer public consumer;
    Token public token;

    /// @dev Owns the wallets.
    address private immutable owner;

    constructor(address feeRecipient, uint16 fee_, address owner_) {
        owner = owner_;
        (registry, coordinator, inbox, reader, fee, factory) =
            LibDeploy.deployContracts(address(this), vm.getNonce(address(this)), feeRecipient, fee_);
        consumer = new RecordingConsumer(address(registry));
        token = new Token();
    }

    /// @notice A wallet with ETH and tokens, of which a spender may spend everything.
    function fund(address spender, uint256 funds) external returns (Wallet funded) {
        funded = Wallet(payable(factory.createWallet(owner)));
        vm.deal(address(funded), funds);
        token.mint(address(funded), funds);
        vm.startPrank(owner);
        funded.approve(spender, address(0), funds);
        funded.approve(spender, address(token), funds);
        vm.stopPrank();
    }
}
