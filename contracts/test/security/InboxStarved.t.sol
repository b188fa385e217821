// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Attack} from "./Attack.sol";

/// @notice Deliveries with just so much gas that an item's bytes would be lost, and all else would happen: half the gas, the whole pay.
contract InboxStarvedTest is Attack {
    bytes32 internal constant CONTAINER = keccak256(abi.encode("container"));
    /// @dev Bytes that the code of one contract holds, and the gas for them.
    uint256 internal constant PART = 24_575;
    uint256 internal constant DEPOSIT = 200 * (PART + 1);

    function testCannotStarveTheLastPartOfAnItem() public {
        uint32 id = consumer.create("container", 1, 0, 1, true, ETH, PRICE, address(wallet), NOBODY);
        bytes memory output = bytes.concat(new bytes(PART - 1), "!");
        bytes memory data =
            abi.encodeCall(coordinator.deliverCompute, (id, 1, new bytes(PART - 21), output, "", address(nodeWallet)));
        uint256 enough = _gasOf(data, output);
        // Where the last part has no gas for its bytes, and the rest would have enough: for 20,000 and more.
        for (uint256 less = DEPOSIT + 100_000; less > DEPOSIT + 40_000; less -= 2_000) {
            vm.prank(node);
            (bool success,) = address(coordinator).call{gas: enough - less}(data);
            if (success) assertEq(keccak256(inbox.read(CONTAINER, node, 0).output), keccak256(output));
        }
        assertEq(inbox.count(CONTAINER, node), 0);
        _gasOf(data, output);
    }

    function _gasOf(bytes memory data, bytes memory output) private returns (uint256 used) {
        uint256 before = vm.snapshotState();
        vm.prank(node);
        used = gasleft();
        (bool success,) = address(coordinator).call(data);
        used -= gasleft();
        assertTrue(success);
        assertEq(inbox.read(CONTAINER, node, 0).output, output);
        vm.revertToState(before);
    }
}
