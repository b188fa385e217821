// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {OptimisticVerifier} from "../support/Verifiers.sol";

/// @notice What getters return, word by word: where a struct is packed beneath, nobody may notice.
contract AbiReturnsTest is Setup {
    function _call(address target, bytes memory data) private view returns (bytes memory) {
        (bool success, bytes memory result) = target.staticcall(data);
        assertTrue(success);
        return result;
    }

    function _word(bytes memory data, uint256 index) private pure returns (uint256 word) {
        assembly {
            word := mload(add(add(data, 0x20), mul(index, 0x20)))
        }
    }

    function testSubscriptionIsElevenWords() public {
        uint32 id = consumer.create("container", 9, 60, 3, true, address(token), 5, address(wallet), owner);
        bytes memory result = _call(address(coordinator), abi.encodeWithSelector(0xa17b920b, id));
        assertEq(result.length, 11 * 32);
        assertEq(_word(result, 0), uint160(address(consumer)));
        assertEq(_word(result, 1), block.timestamp + 60);
        assertEq(_word(result, 2), 60);
        assertEq(_word(result, 3), 9);
        assertEq(_word(result, 4), 3);
        assertEq(_word(result, 5), uint256(keccak256(abi.encode("container"))));
        assertEq(_word(result, 6), 1);
        assertEq(_word(result, 7), uint160(owner));
        assertEq(_word(result, 8), 5);
        assertEq(_word(result, 9), uint160(address(token)));
        assertEq(_word(result, 10), uint160(address(wallet)));
    }

    function testProofRequestIsThreeWords() public {
        uint32 id = _paid(ETH, 1 ether, address(new OptimisticVerifier(coordinator)));
        _deliver(id);
        bytes32 key = keccak256(abi.encode(id, uint32(1), node));
        bytes memory result = _call(address(coordinator), abi.encodeWithSelector(0xc34cf5c7, key));
        assertEq(result, abi.encode(block.timestamp + 604_800, address(nodeWallet), 0.8978 ether));
    }

    function testCountsAndFlagsAreOneWord() public {
        uint32 id = _callback(2);
        _deliver(id);
        bytes32 key = keccak256(abi.encode(id, uint32(1)));
        assertEq(_call(address(coordinator), abi.encodeWithSelector(0xbc85694f, key)), abi.encode(1));
        key = keccak256(abi.encode(id, uint32(1), node));
        assertEq(_call(address(coordinator), abi.encodeWithSelector(0x298f7bdc, key)), abi.encode(true));
        assertEq(_call(address(coordinator), abi.encodeWithSelector(0xaf640d0f)), abi.encode(id + 1));
    }

    function testCreationReturnsTheId() public {
        (bool success, bytes memory result) = address(coordinator)
            .call(
                abi.encodeWithSelector(
                    0x84050893, "container", uint32(1), uint32(0), uint16(1), false, ETH, uint256(0), NOBODY, NOBODY
                )
            );
        assertTrue(success);
        assertEq(result, abi.encode(1));
    }

    function testInboxItemIsATuple() public {
        inbox.write("container", "input", "output", "proof");
        bytes memory result =
            _call(address(inbox), abi.encodeWithSelector(0x586a6094, bytes32("container"), address(this), uint256(0)));
        bytes memory members = abi.encode(block.timestamp, 0, 0, bytes("input"), bytes("output"), bytes("proof"));
        assertEq(result, bytes.concat(bytes32(uint256(32)), members));
    }

    function testNoPlainEtherIsTakenButByWallets() public {
        address[6] memory all =
            [address(registry), address(coordinator), address(inbox), address(reader), address(fee), address(factory)];
        vm.deal(address(this), 2 ether);
        for (uint256 i = 0; i < all.length; i++) {
            (bool success,) = all[i].call{value: 1}("");
            assertFalse(success);
        }
        payable(wallet).transfer(1 ether);
        assertEq(address(wallet).balance, FUNDS + 1 ether);
    }
}
