// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Attack} from "./Attack.sol";
import {Coordinator} from "src/Coordinator.sol";
import {Call} from "src/interface/ICoordinator.sol";
import {Vm} from "forge-std/Vm.sol";
import {LibBytes} from "solady/utils/LibBytes.sol";

/// @notice A batch runs any bytes as a call to the coordinator's own code: nothing may come of it that its caller could not do anyway.
contract BatchTest is Attack {
    function _one(bytes memory data) internal pure returns (Call[] memory calls) {
        calls = new Call[](1);
        calls[0] = Call(0, data);
    }

    function _deliveryOf(uint32 id) internal view returns (bytes memory) {
        return abi.encodeCall(coordinator.deliverCompute, (id, 1, "", "", "", address(nodeWallet)));
    }

    function testCallsAreTheCallersOwn() public {
        uint32 id = _paid(ETH, PRICE, address(optimistic));
        vm.prank(node);
        coordinator.deliverComputeBatch(_one(_deliveryOf(id)));
        assertTrue(_responded(id, 1, node));
        assertEq(nodeWallet.lockedBalance(ETH), PRICE);
    }

    function testCannotStakeInAnothersName() public {
        uint32 id = _paid(ETH, PRICE, address(optimistic));
        vm.prank(otherNode);
        bytes4[] memory failures = coordinator.deliverComputeBatch(_one(_deliveryOf(id)));
        assertEq(failures[0], bytes4(0x13be252b)); // InsufficientAllowance
    }

    function testCannotCancelInAnothersName() public {
        uint32 id = _callback(1);
        bytes4[] memory failures =
            coordinator.deliverComputeBatch(_one(abi.encodeCall(coordinator.cancelSubscription, (id))));
        assertEq(failures[0], Coordinator.NotSubscriptionOwner.selector);
    }

    function testCannotSpeakToWalletsAsTheCoordinator() public {
        // It is the coordinator's code that is run, which has no such function.
        bytes memory data =
            abi.encodeWithSignature("cTransfer(address,address,address,uint256)", address(consumer), ETH, node, FUNDS);
        vm.prank(node);
        bytes4[] memory failures = coordinator.deliverComputeBatch(_one(data));
        assertEq(failures[0], bytes4(0xffffffff));
        assertEq(address(wallet).balance, FUNDS);
    }

    function testBytesThatAreNoCallFail(bytes3 word) public {
        bytes memory data = abi.encodePacked(word);
        for (uint256 size = 0; size <= 3; size++) {
            bytes4[] memory failures = coordinator.deliverComputeBatch(_one(LibBytes.slice(data, 0, size)));
            assertEq(failures[0], bytes4(0xffffffff));
        }
    }

    function testBatchInABatchIsTheSameCallers() public {
        uint32 id = _callback(1);
        bytes memory inner = abi.encodeCall(coordinator.deliverComputeBatch, (_one(_deliveryOf(id))));
        vm.prank(node);
        coordinator.deliverComputeBatch(_one(inner));
        assertTrue(_responded(id, 1, node));
    }

    function testCannotAnswerTwiceInOne() public {
        uint32 id = _callback(2);
        Call[] memory calls = new Call[](2);
        calls[0] = calls[1] = Call(0, _deliveryOf(id));
        vm.prank(node);
        bytes4[] memory failures = coordinator.deliverComputeBatch(calls);
        assertEq(failures[1], Coordinator.NodeRespondedAlready.selector);
        assertEq(_count(id, 1), 1);
    }

    function testCannotCommitAndRevealInOne() public {
        Call[] memory calls = new Call[](2);
        uint32 id = _callback(1);
        bytes32 commitment = coordinator.commitmentOf(_answer(id), node, "salt");
        calls[0] = Call(0, abi.encodeCall(coordinator.commitCompute, (commitment)));
        calls[1] = Call(0, abi.encodeCall(coordinator.revealCompute, (_answer(id), _noBounds(), "salt")));
        vm.prank(node);
        bytes4[] memory failures = coordinator.deliverComputeBatch(calls);
        assertEq(failures[1], Coordinator.NotCommitted.selector);
    }

    function testReasonIsCutShort() public {
        LongReason owner_ = new LongReason();
        uint32 id = coordinator.id();
        vm.prank(address(owner_));
        coordinator.createSubscription("c", 1, 0, 1, false, ETH, 0, NOBODY, NOBODY);
        vm.recordLogs();
        coordinator.deliverComputeBatch(_one(_deliveryOf(id)));
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(abi.decode(logs[0].data, (bytes)).length, 256);
    }

    function testRefusalInZerosIsNoSuccess() public {
        LongReason owner_ = new LongReason();
        vm.prank(address(owner_));
        uint32 id = coordinator.createSubscription("c", 1, 0, 1, false, ETH, 0, NOBODY, NOBODY);
        bytes4[] memory failures = coordinator.deliverComputeBatch(_one(_deliveryOf(id)));
        assertEq(failures[0], bytes4(0xffffffff));
    }

    function testNothingOfAFailedCallLeaksIntoTheNext() public {
        // The first fails with its guard up; the second must find it down.
        LongReason owner_ = new LongReason();
        vm.prank(address(owner_));
        uint32 id = coordinator.createSubscription("c", 1, 0, 1, false, ETH, 0, NOBODY, NOBODY);
        Call[] memory calls = new Call[](2);
        calls[0] = Call(0, _deliveryOf(id));
        calls[1] = Call(0, _deliveryOf(_callback(1)));
        vm.prank(node);
        bytes4[] memory failures = coordinator.deliverComputeBatch(calls);
        assertTrue(failures[0] != bytes4(0));
        assertEq(failures[1], bytes4(0));
    }
}

/// @dev Ten thousand zeros.
contract LongReason {
    fallback() external {
        assembly {
            revert(0x1000, 10000)
        }
    }
}
