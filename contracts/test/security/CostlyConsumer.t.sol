// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {EmptyConsumer} from "../support/Consumers.sol";
import {Attack} from "./Attack.sol";
import {Call} from "src/interface/ICoordinator.sol";

contract CostlyConsumer is EmptyConsumer {
    enum Way {
        Revert,
        Burn,
        Bomb
    }

    Way private _way;

    error NoThanks();

    constructor(address registry) EmptyConsumer(registry) {}

    function setWay(Way way) external {
        _way = way;
    }

    /// @notice As an answer, so a failure.
    fallback() external {
        _cost();
    }

    function _receiveCompute(
        uint32,
        uint32,
        uint16,
        address,
        bytes calldata,
        bytes calldata,
        bytes calldata,
        bytes32,
        uint256
    ) internal view override {
        _cost();
    }

    function _cost() private view {
        if (_way == Way.Revert) revert NoThanks();
        while (_way == Way.Burn) {}
        assembly {
            revert(0, 1000000)
        }
    }
}

/// @notice A consumer that refuses the answer, burns the gas, or answers with a megabyte.
contract CostlyConsumerTest is Attack {
    CostlyConsumer internal costly;

    function setUp() public override {
        super.setUp();
        costly = new CostlyConsumer(address(registry));
        _setAllowance(wallet, address(costly), ETH, FUNDS);
    }

    function _way(uint8 way) internal {
        costly.setWay(CostlyConsumer.Way(bound(way, 0, 2)));
    }

    function _ask() internal returns (uint32) {
        return costly.create("container", 1, 0, 1, false, ETH, PRICE, address(wallet), NOBODY);
    }

    function _call(uint32 id, uint32 gasLimit) internal view returns (Call memory) {
        bytes memory data =
            abi.encodeCall(coordinator.deliverCompute, (id, 1, "input", "output", "proof", address(nodeWallet)));
        return Call(gasLimit, data);
    }

    function testRefusalUndoesEverything(uint8 way) public {
        _way(way);
        uint32 id = _ask();
        vm.prank(node);
        (bool success,) = address(coordinator).call{gas: 3_000_000}(_call(id, 0).data);
        assertFalse(success);
        assertEq(_count(id, 1), 0);
        assertFalse(_responded(id, 1, node));
        assertEq(address(wallet).balance, FUNDS);
    }

    function testOthersOfTheBatchAreDelivered(uint8 way) public {
        _way(way);
        Call[] memory calls = new Call[](3);
        calls[0] = _call(_paid(ETH, PRICE, NOBODY), 400_000);
        calls[1] = _call(_ask(), 400_000);
        calls[2] = _call(_paid(ETH, PRICE, NOBODY), 400_000);
        vm.prank(node);
        bytes4[] memory failures = coordinator.deliverComputeBatch{gas: 1_500_000}(calls);
        assertEq(failures[0], bytes4(0));
        assertTrue(failures[1] != bytes4(0));
        assertEq(failures[2], bytes4(0));
        assertEq(address(nodeWallet).balance, FUNDS + 2 * EARNED);
    }

    function testRefusalInABatchIsToldAndLeavesNothing() public {
        uint32 id = _ask();
        Call[] memory calls = new Call[](1);
        calls[0] = _call(id, 0);
        vm.prank(node);
        bytes4[] memory failures = coordinator.deliverComputeBatch(calls);
        assertEq(failures[0], CostlyConsumer.NoThanks.selector);
        assertEq(_count(id, 1), 0);
        assertEq(address(wallet).balance, FUNDS);
    }

    function testItCannotStopAReportOfAFailure(uint8 way) public {
        _way(way);
        uint32 id = _ask();
        vm.prank(node);
        coordinator.reportFailure{gas: 3_000_000}(id, 1, 1);
        assertTrue(_responded(id, 1, node));
    }

    function testItDoesNotHoldUpAVerdict() public {
        uint32 id = costly.create("container", 1, 0, 1, false, ETH, PRICE, address(wallet), address(atomic));
        atomic.setVerdict(false);
        _deliver(id);
        assertEq(address(nodeWallet).balance, FUNDS - PRICE);
    }
}
