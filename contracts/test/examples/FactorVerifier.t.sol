// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {FactorVerifier} from "examples/FactorVerifier.sol";
import {PaidWithProof} from "examples/PaidWithProof.sol";

contract FactorVerifierExampleTest is Setup {
    uint256 private constant PRICE = 0.01 ether;
    uint256 private constant NUMBER = 91;

    PaidWithProof private example;
    uint32 private id;

    function setUp() public override {
        super.setUp();
        FactorVerifier verifier = new FactorVerifier(registry);
        example = new PaidWithProof(address(registry), owner, address(wallet), address(verifier));
        vm.startPrank(owner);
        wallet.approve(address(example), ETH, PRICE);
        id = example.ask("factor", abi.encode(NUMBER));
        vm.stopPrank();
    }

    function testPaysForAFactor() public {
        _answer(7, abi.encode(NUMBER, uint256(7)));
        assertEq(example.outputs(id), abi.encode(uint256(7)));
        assertEq(address(nodeWallet).balance, FUNDS + 0.008978 ether);
    }

    function testSlashesForWhatDoesNotDivide() public {
        _assertSlashed(8, abi.encode(NUMBER, uint256(8)));
    }

    function testSlashesForTheNumberItself() public {
        _assertSlashed(NUMBER, abi.encode(NUMBER, NUMBER));
    }

    function testSlashesForOne() public {
        _assertSlashed(1, abi.encode(NUMBER, uint256(1)));
    }

    function testSlashesForNothing() public {
        _assertSlashed(0, abi.encode(NUMBER, uint256(0)));
    }

    function testSlashesForTheProofOfAnotherAnswer() public {
        _assertSlashed(8, abi.encode(NUMBER, uint256(7)));
    }

    function testSlashesForTheProofOfAnotherQuestion() public {
        _assertSlashed(8, abi.encode(uint256(16), uint256(8)));
    }

    function testSlashesForAProofOfAnotherLength() public {
        _assertSlashed(7, abi.encode(NUMBER, uint256(7), uint256(0)));
        assertEq(example.outputs(id), "");
    }

    function _assertSlashed(uint256 factor, bytes memory proof) private {
        _answer(factor, proof);
        assertEq(example.outputs(id), "");
        assertEq(address(nodeWallet).balance, FUNDS - PRICE);
    }

    function _answer(uint256 factor, bytes memory proof) private {
        bytes memory input = abi.encode(abi.encode(NUMBER), "");
        vm.prank(node);
        coordinator.deliverCompute(id, 1, input, abi.encode(abi.encode(factor), ""), proof, address(nodeWallet));
    }
}
