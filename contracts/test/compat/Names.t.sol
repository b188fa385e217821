// SPDX-License-Identifier: MIT
pragma solidity ^0.8.4;

import {LibDeploy} from "../lib/LibDeploy.sol";
import {Test} from "../support/Test.sol";
import {Coordinator, ProofRequest, Subscription} from "infernet-sdk/Coordinator.sol";
import {EIP712Coordinator} from "infernet-sdk/EIP712Coordinator.sol";
import {Inbox, InboxItem} from "infernet-sdk/Inbox.sol";
import {Registry} from "infernet-sdk/Registry.sol";
import {BaseConsumer} from "infernet-sdk/consumer/Base.sol";
import {CallbackConsumer} from "infernet-sdk/consumer/Callback.sol";
import {SubscriptionConsumer} from "infernet-sdk/consumer/Subscription.sol";
import {Allowlist} from "infernet-sdk/pattern/Allowlist.sol";
import {Delegator} from "infernet-sdk/pattern/Delegator.sol";
import {Fee} from "infernet-sdk/payments/Fee.sol";
import {IVerifier} from "infernet-sdk/payments/IVerifier.sol";
import {Wallet} from "infernet-sdk/payments/Wallet.sol";
import {WalletFactory} from "infernet-sdk/payments/WalletFactory.sol";
import {Coordinated} from "infernet-sdk/utility/Coordinated.sol";
import {Reader} from "infernet-sdk/utility/Reader.sol";

/// @notice Every file under its published path with what it has to export, and the ways in which other projects' tests name it. That it
/// compiles is most of the test.
contract NamesTest is Test {
    Registry private registry;

    function setUp() public {
        (registry,,,,,) = LibDeploy.deployContracts(address(this), vm.getNonce(address(this)), address(1), 5);
    }

    function testErrorsAreNamedByTheirContracts() public pure {
        bytes4[20] memory selectors = [
            Coordinator.InvalidWallet.selector,
            Coordinator.IntervalMismatch.selector,
            Coordinator.IntervalCompleted.selector,
            Coordinator.UnauthorizedVerifier.selector,
            Coordinator.NodeRespondedAlready.selector,
            Coordinator.SubscriptionNotFound.selector,
            Coordinator.ProofRequestNotFound.selector,
            Coordinator.NotSubscriptionOwner.selector,
            Coordinator.SubscriptionCompleted.selector,
            Coordinator.SubscriptionNotActive.selector,
            Coordinator.UnsupportedVerifierToken.selector,
            EIP712Coordinator.SignerMismatch.selector,
            EIP712Coordinator.SignatureExpired.selector,
            Wallet.InsufficientFunds.selector,
            Wallet.InsufficientAllowance.selector,
            BaseConsumer.NotCoordinator.selector,
            Coordinated.NotCoordinator.selector,
            Allowlist.NodeNotAllowed.selector,
            Delegator.getSigner.selector,
            IVerifier.fee.selector
        ];
        for (uint256 i = 0; i < selectors.length; i++) {
            assertTrue(selectors[i] != 0);
        }
    }

    /// @dev From `address`, and not `address payable`: none of these takes ETH.
    function testContractsAreMadeOfPlainAddresses() public view {
        Coordinator coordinator = Coordinator(registry.COORDINATOR());
        assertEq(EIP712Coordinator(registry.COORDINATOR()).id(), coordinator.id());
        assertEq(Inbox(registry.INBOX()).count(0, address(0)), 0);
        assertEq(Reader(registry.READER()).readSubscriptionBatch(0, 1).length, 1);
        assertEq(Fee(registry.FEE()).FEE(), 5);
        assertFalse(WalletFactory(registry.WALLET_FACTORY()).isValidWallet(address(this)));
        assertEq(Registry(address(registry)).FEE(), registry.FEE());
    }

    function testWalletsTakeTheRegistryAndAnOwner() public {
        address made = address(new Wallet(registry, address(this)));
        assertEq(Wallet(payable(made)).owner(), address(this));
    }

    function testFactoriesTakeTheRegistry() public {
        WalletFactory factory = new WalletFactory(registry);
        Wallet wallet = Wallet(payable(factory.createWallet(address(this))));
        assertEq(wallet.owner(), address(this));
    }

    function testProtocolContractsTakeTheRegistry() public {
        assertEq(new EIP712Coordinator(registry).id(), 1);
        assertEq(new Coordinator(registry).id(), 1);
        assertEq(new Reader(registry).readSubscriptionBatch(0, 0).length, 0);
        assertEq(new Inbox(registry).write("container", "", "", ""), 0);
    }

    function testSubscriptionIsMadeByName() public pure {
        Subscription memory sub = Subscription({
            activeAt: uint32(1),
            owner: address(2),
            redundancy: uint16(3),
            frequency: uint32(4),
            period: uint32(5),
            containerId: keccak256(abi.encode("container")),
            lazy: true,
            verifier: payable(address(6)),
            paymentAmount: uint256(7),
            paymentToken: address(8),
            wallet: payable(address(9))
        });
        bytes memory words = abi.encode(
            address(2), 1, 5, 4, 3, keccak256(abi.encode("container")), true, address(6), 7, address(8), address(9)
        );
        assertEq(abi.encode(sub), words);
    }

    function testOtherStructsAreMadeByName() public pure {
        InboxItem memory item =
            InboxItem({timestamp: 1, subscriptionId: 2, interval: 3, input: "4", output: "5", proof: "6"});
        assertEq(item.output, "5");
        ProofRequest memory request =
            ProofRequest({expiry: 1, nodeWallet: Wallet(payable(address(2))), consumerEscrowed: 3});
        assertEq(abi.encode(request), abi.encode(1, address(2), 3));
    }

    function testGetterOfProofRequestsIsFlat() public view {
        (uint32 expiry, Wallet nodeWallet, uint256 escrowed) = Coordinator(registry.COORDINATOR()).proofRequests(0);
        assertEq(expiry, 0);
        assertEq(address(nodeWallet), address(0));
        assertEq(escrowed, 0);
    }

    function testConsumersAreAbstract() public {
        assertEq(new Callbacks(address(registry)).getContainerInputs(1, 1, 1, address(1)), "");
        assertEq(new Subscriptions(address(registry)).getContainerInputs(1, 1, 1, address(1)), "");
    }
}

contract Callbacks is CallbackConsumer {
    constructor(address registry) CallbackConsumer(registry) {}
}

contract Subscriptions is SubscriptionConsumer {
    constructor(address registry) SubscriptionConsumer(registry) {}
}
