// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "./support/Setup.sol";
import {AtomicVerifier} from "./support/Verifiers.sol";

contract CoordinatorTest is Setup {
    function testDeliversEager() public {
        uint32 id = _callback(2);
        _deliver(id);
        assertEq(consumer.last().output, "output");
        assertEq(_count(id, 1), 1);
        assertTrue(_responded(id, 1, node));
    }

    function testPaysToTheWei() public {
        uint32 id = _paid(ETH, 1 ether, NOBODY);
        _deliver(id);
        assertEq(address(nodeWallet).balance, FUNDS + 0.8978 ether);
        assertEq(feeRecipient.balance, 0.1022 ether);
    }

    function testAtomicInvalid() public {
        AtomicVerifier verifier = new AtomicVerifier(coordinator);
        verifier.setFee(ETH, 0.1 ether);
        verifier.setVerdict(false);
        uint32 id = _paid(ETH, 1 ether, address(verifier));
        _deliver(id);
        assertEq(consumer.answers(), 0);
        assertEq(_count(id, 1), 0);
        assertEq(address(nodeWallet).balance, FUNDS - 1 ether);
        assertEq(address(wallet).balance, FUNDS + 1 ether - 0.2022 ether);
    }

    function testLazy() public {
        uint32 id = consumer.create("container", 1, 0, 2, true, ETH, 0, NOBODY, NOBODY);
        _deliver(id);
        bytes32 containerId = keccak256(abi.encode("container"));
        assertEq(consumer.last().containerId, containerId);
        assertEq(inbox.read(containerId, node, 0).output, "output");
        assertEq(inbox.read(containerId, node, 0).proof, "proof");
        assertEq(inbox.read(containerId, node, 0).subscriptionId, id);
        bytes memory big = new bytes(60_000);
        for (uint256 i = 0; i < big.length; i += 7) {
            big[i] = bytes1(uint8(i));
        }
        inbox.write(containerId, big, "x", big);
        assertEq(inbox.read(containerId, address(this), 0).input, big);
        assertEq(inbox.read(containerId, address(this), 0).proof, big);
        assertEq(inbox.read(containerId, address(this), 0).output, "x");
    }
}
