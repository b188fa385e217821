// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {OptimisticVerifier} from "../support/Verifiers.sol";
import {Fee} from "src/payments/Fee.sol";
import {Vm} from "forge-std/Vm.sol";

/// @notice The events that nodes and indexers read, as they are emitted: hash, indexed parameters, length of the rest.
contract AbiEventsTest is Setup {
    /// @dev The first event of that hash since the recording began.
    function _emitted(bytes32 topic, uint256 indexed_, uint256 words) private {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; i++) {
            if (logs[i].topics[0] != topic) continue;
            assertEq(logs[i].topics.length, indexed_ + 1);
            assertEq(logs[i].data.length, words * 32);
            return;
        }
        revert("not emitted");
    }

    function testSubscriptionCreated() public {
        vm.recordLogs();
        _callback(1);
        _emitted(0x04344ed7a67fec80c444d56ee1cee242f3f75b91fecc8dbce8890069c82eb48e, 1, 0);
    }

    function testSubscriptionCancelled() public {
        uint32 id = _callback(1);
        vm.recordLogs();
        consumer.cancel(id);
        _emitted(0xf4126e31c182db4c4109605c6d50470fc7e8ca90d62d44fd25cbe049fb9cac3e, 1, 0);
    }

    function testSubscriptionFulfilled() public {
        uint32 id = _callback(1);
        vm.recordLogs();
        _deliver(id);
        _emitted(0xc68fb0ae5cea2793405d29014d881bcda18f67122e0bcd7d0a577e118b64e4c8, 2, 0);
    }

    function testProofVerified() public {
        OptimisticVerifier verifier = new OptimisticVerifier(coordinator);
        uint32 id = _paid(ETH, 1 ether, address(verifier));
        _deliver(id);
        vm.recordLogs();
        verifier.finalize(id, 1, node, true);
        _emitted(0xaf1556610075709bf885e17681512d329b1a40f799ee5196f79461e89b656454, 3, 3);
    }

    function testNewInboxItem() public {
        vm.recordLogs();
        inbox.write("container", "", "", "");
        _emitted(0xac56b74ea9119b4c4e424d8ed4c3cec0c84d1f6b02200df5a8cd27eb756994d1, 2, 1);
    }

    function testWalletCreated() public {
        vm.recordLogs();
        factory.createWallet(owner);
        _emitted(0xca0b7dde26052d34217ef1a0cee48085a07ca32da0a918609937a307d496bbf5, 2, 1);
    }

    function testWithdrawl() public {
        vm.recordLogs();
        vm.prank(owner);
        wallet.withdraw(ETH, 1);
        _emitted(0x65ac0d8bb8cbc0e989ebd02ddc5161d7c499f7c21792e43fcf170314fe6bcc3f, 0, 2);
    }

    function testApproval() public {
        vm.recordLogs();
        vm.prank(owner);
        wallet.approve(node, ETH, 1);
        _emitted(0x8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925, 1, 2);
    }

    function testEscrow() public {
        vm.recordLogs();
        vm.prank(address(coordinator));
        wallet.cLock(address(consumer), ETH, 1);
        _emitted(0x813582499997f00ba0142c7813740a6e381df71a63d11d8c8f208f66b7795d26, 1, 3);
    }

    function testTransfer() public {
        vm.recordLogs();
        _deliver(_paid(ETH, 1 ether, NOBODY));
        _emitted(0xd1398bee19313d6bf672ccb116e51f4a1a947e91c757907f51fbb5b5e56c698f, 2, 2);
    }

    function testOwnershipTransferred() public {
        bytes32 topic = 0x8be0079c531659141344cd1fd0a4f28419497f9722a3daafe3b4186f6b6457e0;
        vm.recordLogs();
        new Fee(owner, 0);
        _emitted(topic, 2, 0);
        factory.createWallet(owner);
        _emitted(topic, 2, 0);
    }
}
