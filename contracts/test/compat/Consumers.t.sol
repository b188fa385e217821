// SPDX-License-Identifier: MIT
pragma solidity ^0.8.4;

import {LibDeploy} from "../lib/LibDeploy.sol";
import {AllErrors} from "./AllErrors.sol";
import {FreeVerifier} from "./FreeVerifier.sol";
import {Greeter} from "./Greeter.sol";
import {Heartbeat} from "./Heartbeat.sol";
import {Oracle} from "./Oracle.sol";
import {Test} from "../support/Test.sol";
import {Coordinator} from "infernet-sdk/Coordinator.sol";
import {EIP712Coordinator} from "infernet-sdk/EIP712Coordinator.sol";
import {Inbox} from "infernet-sdk/Inbox.sol";
import {Registry} from "infernet-sdk/Registry.sol";
import {Allowlist} from "infernet-sdk/pattern/Allowlist.sol";
import {Fee} from "infernet-sdk/payments/Fee.sol";
import {Wallet} from "infernet-sdk/payments/Wallet.sol";
import {WalletFactory} from "infernet-sdk/payments/WalletFactory.sol";
import {Reader} from "infernet-sdk/utility/Reader.sol";

/// @notice Consumers as other projects have them, with nothing changed but where `infernet-sdk/` points to.
contract ConsumersTest is Test {
    Registry private registry;
    EIP712Coordinator private coordinator;
    WalletFactory private walletFactory;
    Reader private reader;
    address private node = makeAddr("node");

    function setUp() public {
        uint256 initialNonce = vm.getNonce(address(this));
        Inbox inbox;
        Fee fee;
        (registry, coordinator, inbox, reader, fee, walletFactory) =
            LibDeploy.deployContracts(address(this), initialNonce, address(0), 0);
        vm.warp(1 hours);
    }

    function _deliver(uint32 id, uint32 interval, bytes memory output, address wallet) private {
        vm.prank(node);
        coordinator.deliverCompute(id, interval, "", output, hex"01", wallet);
    }

    function testGreeterIsAnswered() public {
        Greeter greeter = new Greeter(address(registry));
        uint32 id = greeter.greet("good morning");
        assertEq(greeter.getContainerInputs(id, 1, uint32(block.timestamp), node), "good morning");
        assertEq(greeter.promptOf(id), "good morning");
        vm.expectEmit(address(greeter));
        emit Greeter.Greeted(id, node, "hello");
        _deliver(id, 1, abi.encode("hello"), address(0));
    }

    function testInputsAreKeptOfEachRequest() public {
        Greeter greeter = new Greeter(address(registry));
        uint32 first = greeter.greet("good morning");
        uint32 second = greeter.greet("good night");
        assertEq(greeter.getContainerInputs(first, 0, 0, address(0)), "good morning");
        assertEq(greeter.getContainerInputs(second, 9, 9, node), "good night");
    }

    function testRequestIsACallback() public {
        uint32 id = new Greeter(address(registry)).greet("");
        assertEq(coordinator.getSubscription(id).frequency, 1);
        assertEq(coordinator.getSubscription(id).period, 0);
        assertEq(coordinator.getSubscription(id).activeAt, block.timestamp);
        assertFalse(coordinator.getSubscription(id).lazy);
    }

    function testGreeterPaysWithAVerifier() public {
        Greeter greeter = new Greeter(address(registry));
        Wallet payer = Wallet(payable(walletFactory.createWallet(address(this))));
        Wallet payee = Wallet(payable(walletFactory.createWallet(address(this))));
        vm.deal(address(payer), 1 ether);
        vm.deal(address(payee), 1 ether);
        payer.approve(address(greeter), address(0), 1 ether);
        payee.approve(node, address(0), 1 ether);
        FreeVerifier verifier = new FreeVerifier(address(coordinator));
        uint32 id = greeter.greetPaid("", address(0), 1 ether, address(payer), address(verifier));
        _deliver(id, 1, abi.encode("hello"), address(payee));
        assertEq(address(payee).balance, 2 ether);
    }

    function testHeartbeatReadsItsInbox() public {
        Heartbeat heartbeat = new Heartbeat(address(registry));
        uint32 id = heartbeat.start(2);
        vm.warp(2 hours);
        _deliver(id, 1, "alive", address(0));
        assertEq(heartbeat.latest(), "alive");
        vm.warp(3 hours);
        _deliver(id, 2, "still alive", address(0));
        assertEq(heartbeat.latest(), "still alive");
    }

    function testHeartbeatStops() public {
        Heartbeat heartbeat = new Heartbeat(address(registry));
        uint32 id = heartbeat.start(2);
        heartbeat.stop(id);
        vm.warp(2 hours);
        vm.expectRevert(Coordinator.SubscriptionNotActive.selector);
        _deliver(id, 1, "alive", address(0));
    }

    function testHeartbeatGivesItsInputs() public {
        Heartbeat heartbeat = new Heartbeat(address(registry));
        assertEq(heartbeat.getContainerInputs(1, 7, 0, node), abi.encode("beat", uint32(7)));
    }

    function testOracleKnowsItsDeployment() public {
        Oracle oracle = new Oracle(address(registry), address(this), new address[](0));
        assertEq(address(oracle.coordinator()), registry.COORDINATOR());
        assertEq(address(oracle.inbox()), registry.INBOX());
        assertEq(oracle.getSigner(), address(this));
        oracle.setSigner(node);
        assertEq(oracle.getSigner(), node);
    }

    function testOracleChoosesItsNodes() public {
        address[] memory nodes = new address[](1);
        nodes[0] = node;
        Oracle oracle = new Oracle(address(registry), address(this), nodes);
        vm.prank(address(oracle));
        uint32 id = coordinator.createSubscription("x", 1, 0, 2, false, address(0), 0, address(0), address(0));
        _deliver(id, 1, "", address(0));
        assertEq(oracle.answered(), id);
        vm.expectRevert(Allowlist.NodeNotAllowed.selector);
        coordinator.deliverCompute(id, 1, "", "", "", address(0));
    }

    function testAllErrorsAreInOneAbi() public {
        bytes4[5] memory names = new AllErrors(registry).names();
        assertEq(bytes32(names[0]), bytes32(bytes4(0x90b8ec18)));
        assertEq(bytes32(names[1]), bytes32(bytes4(0x356680b7)));
        assertEq(bytes32(names[2]), bytes32(bytes4(0x13be252b)));
        assertEq(bytes32(names[3]), bytes32(bytes4(0x9ec853e6)));
        assertEq(bytes32(names[4]), bytes32(bytes4(0x42764946)));
    }
}
