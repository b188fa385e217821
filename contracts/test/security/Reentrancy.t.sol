// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {StrangeToken} from "../support/StrangeToken.sol";
import {Delegated} from "./Delegated.sol";
import {Intruder} from "./Intruder.sol";
import {EIP712Coordinator} from "src/EIP712Coordinator.sol";
import {Call} from "src/interface/ICoordinator.sol";
import {Wallet} from "src/payments/Wallet.sol";

/// @notice Everybody whom a delivery or a verdict calls comes back in by every door.
contract ReentrancyTest is Delegated {
    uint256 internal constant DOORS = 7;

    Intruder internal intruder;
    StrangeToken internal strange;
    /// @dev Could be answered; waits for a verdict, whose time is over; could be reclaimed.
    uint32 internal open;
    uint32 internal expired;
    uint32 internal ended;

    function setUp() public override {
        super.setUp();
        intruder = new Intruder();
        strange = new StrangeToken();
        strange.mint(address(wallet), FUNDS);
        strange.mint(address(nodeWallet), FUNDS);
        _setAllowance(wallet, address(consumer), address(strange), FUNDS);
        _setAllowance(nodeWallet, node, address(strange), FUNDS);
        _setAllowance(wallet, address(intruder), ETH, FUNDS);
        _setAllowance(wallet, address(intruder), address(strange), FUNDS);

        open = _paid(ETH, PRICE, NOBODY);
        expired = _paid(ETH, PRICE, address(optimistic));
        _deliver(expired);
        ended = _openWith(_prepaid(), ETH, NOBODY);
        consumer.cancel(ended);
        _create(1);
        coordinator.commitCompute(coordinator.commitmentOf(_answer(open), address(intruder), ""));
        coordinator.commitCompute(coordinator.commitmentOf(_answer(open), otherNode, ""));
        skip(WINDOW);
        vm.roll(vm.getBlockNumber() + 1);
    }

    /// @dev Each would be let in from outside.
    function _doors() internal view returns (bytes[] memory doors) {
        doors = new bytes[](DOORS);
        doors[0] = abi.encodeCall(coordinator.deliverCompute, (open, 1, "", "", "", address(nodeWallet)));
        doors[1] = abi.encodeCall(coordinator.finalizeProofVerification, (expired, 1, node, true));
        doors[2] = abi.encodeCall(coordinator.reclaimPrepayment, (ended));
        doors[3] = abi.encodeCall(coordinator.deliverComputeBounded, (_answer(open), _noBounds()));
        doors[4] = abi.encodeCall(coordinator.revealCompute, (_answer(open), _noBounds(), bytes32(0)));
        doors[5] = abi.encodeCall(coordinator.reportFailure, (open, 1, 1));
        doors[6] = abi.encodeCall(
            EIP712Coordinator.deliverComputeDelegatee, (1, 0, _sub(), 0, 0, 0, 1, "", "", "", address(nodeWallet))
        );
    }

    function _planAll() internal {
        bytes[] memory doors = _doors();
        for (uint256 i = 0; i < doors.length; i++) {
            intruder.plan(address(coordinator), doors[i]);
        }
    }

    function _ask(address token_, uint256 amount, address verifier) internal returns (uint32) {
        bytes memory result = intruder.act(
            address(coordinator),
            abi.encodeCall(
                coordinator.createSubscription, ("container", 1, 0, 1, false, token_, amount, address(wallet), verifier)
            )
        );
        return abi.decode(result, (uint32));
    }

    function _assertAllRefused() internal view {
        assertEq(intruder.refused(), DOORS);
        assertEq(intruder.succeeded() + intruder.failed(), 0);
    }

    function testConsumerCannotComeBack() public {
        _planAll();
        _deliver(_ask(ETH, PRICE, NOBODY));
        _assertAllRefused();
    }

    function testConsumerToldOfAFailureCannotComeBack() public {
        _planAll();
        uint32 id = _ask(ETH, 0, NOBODY);
        vm.prank(node);
        coordinator.reportFailure(id, 1, 1);
        _assertAllRefused();
    }

    function testVerifierCannotComeBackElsewhere() public {
        _planAll();
        _deliver(_paid(address(strange), PRICE, address(intruder)));
        _assertAllRefused();
    }

    function testTokenCannotComeBackInADelivery() public {
        _planAll();
        strange.setHook(address(intruder));
        _deliver(_paid(address(strange), PRICE, NOBODY));
        // Two transfers, one to the fee's recipient and one to the node.
        assertEq(intruder.refused(), 2 * DOORS);
        assertEq(intruder.succeeded() + intruder.failed(), 0);
    }

    function testTokenCannotComeBackInAVerdict(bool valid) public {
        uint32 id = _paid(address(strange), PRICE, address(optimistic));
        _deliver(id);
        _planAll();
        intruder.plan(address(coordinator), abi.encodeCall(coordinator.finalizeProofVerification, (id, 1, node, true)));
        strange.setHook(address(intruder));
        optimistic.finalize(id, 1, node, valid);
        assertEq(intruder.refused(), DOORS + 1);
        assertEq(intruder.succeeded() + intruder.failed(), 0);
    }

    function testRecipientOfTheFeeCannotComeBack(uint256 door) public {
        // One at a time, since it has no more than 100,000 gas.
        intruder.plan(address(coordinator), _doors()[bound(door, 0, 2)]);
        vm.prank(feeRecipient);
        fee.transferOwnership(address(intruder));
        _deliver(_paid(ETH, PRICE, NOBODY));
        assertEq(intruder.refused(), 1);
        assertEq(address(intruder).balance, TAKEN);
    }

    function testVerifiersWalletCannotComeBack(uint256 door) public {
        intruder.plan(address(coordinator), _doors()[bound(door, 0, 2)]);
        _deliver(_paid(ETH, PRICE, address(intruder)));
        // When it is paid, and when it is asked.
        assertEq(intruder.refused(), 2);
    }

    function testBatchIsNoWayIn() public {
        bytes[] memory doors = _doors();
        Call[] memory calls = new Call[](DOORS);
        for (uint256 i = 0; i < DOORS; i++) {
            calls[i] = Call(0, doors[i]);
        }
        intruder.plan(address(coordinator), abi.encodeCall(coordinator.deliverComputeBatch, (calls)));
        _deliver(_ask(ETH, 0, NOBODY));
        bytes4[] memory failures = abi.decode(intruder.lastResult(), (bytes4[]));
        for (uint256 i = 0; i < DOORS; i++) {
            assertEq(failures[i], bytes4(0xab143c06));
        }
    }

    function testDoorsAreOpenFromOutside() public {
        bytes[] memory doors = _doors();
        vm.startPrank(otherNode);
        for (uint256 i = 0; i < DOORS; i++) {
            // Each by itself: one answer closes others.
            uint256 snapshot = vm.snapshotState();
            (bool success,) = address(coordinator).call(doors[i]);
            assertTrue(success);
            vm.revertToState(snapshot);
        }
    }
}
