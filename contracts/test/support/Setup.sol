// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {EIP712Coordinator} from "src/EIP712Coordinator.sol";
import {Inbox} from "src/Inbox.sol";
import {Registry} from "src/Registry.sol";
import {Request, Terms} from "src/interface/ICoordinator.sol";
import {Fee} from "src/payments/Fee.sol";
import {Wallet} from "src/payments/Wallet.sol";
import {WalletFactory} from "src/payments/WalletFactory.sol";
import {Reader} from "src/utility/Reader.sol";
import {Deployment} from "./Deployment.sol";
import {RecordingConsumer} from "./Consumers.sol";
import {Token} from "./Tokens.sol";
import {Test} from "./Test.sol";

/// @notice All contracts, a consumer with a wallet that pays, and two nodes with wallets that may be staked.
abstract contract Setup is Test {
    address internal constant ETH = address(0);
    address internal constant NOBODY = address(0);
    uint16 internal constant FEE = 511;
    uint256 internal constant FUNDS = 1_000 ether;

    address internal immutable feeRecipient = makeAddr("fee recipient");
    address internal immutable node = makeAddr("node");
    address internal immutable otherNode = makeAddr("other node");
    /// @dev Owns the wallets of nodes and of the consumer.
    address internal immutable owner = makeAddr("owner");

    Deployment private deployment;
    Registry internal registry;
    EIP712Coordinator internal coordinator;
    Inbox internal inbox;
    Reader internal reader;
    Fee internal fee;
    WalletFactory internal factory;

    RecordingConsumer internal consumer;
    Token internal token;
    Wallet internal wallet;
    Wallet internal nodeWallet;
    Wallet internal otherWallet;

    function setUp() public virtual {
        vm.warp(1_750_000_000);
        // By name: with `new`, every test contract would be compiled with all of this inside.
        bytes memory arguments = abi.encode(feeRecipient, FEE, owner);
        deployment = Deployment(deployCode("Deployment.sol:Deployment", arguments));
        registry = deployment.registry();
        coordinator = deployment.coordinator();
        inbox = deployment.inbox();
        reader = deployment.reader();
        fee = deployment.fee();
        factory = deployment.factory();
        consumer = deployment.consumer();
        token = deployment.token();
        wallet = _fundedWallet(address(consumer));
        nodeWallet = _fundedWallet(node);
        otherWallet = _fundedWallet(otherNode);
    }

    /// @notice A wallet with ETH and tokens, of which a spender may spend everything.
    function _fundedWallet(address spender) internal returns (Wallet) {
        return deployment.fund(spender, FUNDS);
    }

    /// @notice A callback of the consumer's, unpaid, for so many nodes.
    function _callback(uint16 redundancy) internal returns (uint32) {
        return consumer.create("container", 1, 0, redundancy, false, ETH, 0, NOBODY, NOBODY);
    }

    /// @notice A callback that pays.
    function _paid(address token_, uint256 amount, address verifier) internal returns (uint32) {
        return consumer.create("container", 1, 0, 1, false, token_, amount, address(wallet), verifier);
    }

    /// @notice A request as `_paid` makes it, to be opened with terms.
    function _request(address token_, uint256 amount, address verifier) internal view returns (Request memory) {
        return Request({
            containerId: "container",
            frequency: 1,
            period: 0,
            redundancy: 1,
            lazy: false,
            paymentToken: token_,
            paymentAmount: amount,
            wallet: address(wallet),
            verifier: verifier
        });
    }

    function _noTerms() internal pure returns (Terms memory) {
        return Terms({expiresAt: 0, maxFee: 0, prepaid: false, committed: false, refundOnSilence: false});
    }

    /// @notice The node answers the first interval, and is paid into its wallet.
    function _deliver(uint32 id) internal {
        _deliver(id, node, address(nodeWallet));
    }

    function _deliver(uint32 id, address as_, address paidInto) internal {
        vm.prank(as_);
        coordinator.deliverCompute(id, 1, "input", "output", "proof", paidInto);
    }

    function _count(uint32 id, uint32 interval) internal view returns (uint16) {
        return coordinator.redundancyCount(keccak256(abi.encode(id, interval)));
    }

    function _responded(uint32 id, uint32 interval, address node_) internal view returns (bool) {
        return coordinator.nodeResponded(keccak256(abi.encode(id, interval, node_)));
    }

    function _expiryOfProof(uint32 id, uint32 interval, address node_) internal view returns (uint32 expiry) {
        (expiry,,) = coordinator.proofRequests(keccak256(abi.encode(id, interval, node_)));
    }

    function _balance(address token_, address of_) internal view returns (uint256) {
        return token_ == ETH ? of_.balance : token.balanceOf(of_);
    }
}
