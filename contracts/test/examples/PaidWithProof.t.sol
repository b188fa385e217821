// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {Delivery} from "src/interface/ICoordinator.sol";
import {AttestationVerifier} from "examples/AttestationVerifier.sol";
import {PaidWithProof} from "examples/PaidWithProof.sol";

contract PaidWithProofExampleTest is Setup {
    uint256 private constant ATTESTER = 0xa77e57;
    uint256 private constant PRICE = 0.01 ether;

    AttestationVerifier private verifier;
    PaidWithProof private example;
    uint32 private id;

    function setUp() public override {
        super.setUp();
        verifier = new AttestationVerifier(registry, vm.addr(ATTESTER));
        example = new PaidWithProof(address(registry), owner, address(wallet), address(verifier));
        vm.startPrank(owner);
        wallet.approve(address(example), ETH, PRICE);
        id = example.ask("prover", "question");
        vm.stopPrank();
    }

    function testEscrowsThePrice() public view {
        assertEq(wallet.lockedBalance(ETH), PRICE);
        assertEq(coordinator.prepayments(id), PRICE);
        assertEq(example.getContainerInputs(id, 1, 0, node), "question");
    }

    function testPaysForWhatIsProven() public {
        _answer(node, "answer", _proof(ATTESTER, node, "answer"));
        assertEq(example.outputs(id), "answer");
        assertEq(address(nodeWallet).balance, FUNDS + 0.008978 ether);
        assertEq(wallet.lockedBalance(ETH), 0);
    }

    function testCannotPassOffAnotherAnswer() public {
        _assertSlashed(node, _proof(ATTESTER, node, "true answer"));
    }

    function testCannotPassOffAnothersProof() public {
        _assertSlashed(node, _proof(ATTESTER, otherNode, "answer"));
    }

    function testCannotProveByItself() public {
        _assertSlashed(node, _proof(ATTESTER + 1, node, "answer"));
    }

    function testCannotProveWithNothing() public {
        _assertSlashed(node, "");
    }

    function testPaysAnotherAfterAnInvalidProof() public {
        _assertSlashed(otherNode, "");
        _answer(node, "answer", _proof(ATTESTER, node, "answer"));
        assertEq(example.outputs(id), "answer");
        assertEq(address(nodeWallet).balance, FUNDS - PRICE + 0.008978 ether);
    }

    function testCannotAnswerAnotherQuestion() public {
        bytes memory input = abi.encode("easier question", "");
        bytes memory proof = _sign(ATTESTER, node, input, _output("answer"));
        vm.prank(node);
        vm.expectRevert(PaidWithProof.AnotherQuestion.selector);
        coordinator.deliverCompute(id, 1, input, _output("answer"), proof, address(nodeWallet));
    }

    function testGivesBackWhatNobodyHasEarned() public {
        vm.warp(1_750_086_400);
        coordinator.reclaimPrepayment(id);
        assertEq(wallet.unlockedBalance(ETH), FUNDS);
    }

    function testCannotBeAskedByOthers() public {
        vm.expectRevert(PaidWithProof.NotOwner.selector);
        example.ask("prover", "question");
    }

    function testVerifierTakesAnyToken() public view {
        assertTrue(verifier.isSupportedToken(address(token)));
        assertEq(verifier.fee(address(token)), 0);
    }

    function _assertSlashed(address as_, bytes memory proof) private {
        _answer(as_, "answer", proof);
        assertEq(example.outputs(id), "");
        assertEq(address(nodeWallet).balance, FUNDS - PRICE);
        assertEq(coordinator.prepayments(id), PRICE);
    }

    /// @dev Both nodes may stake the same wallet.
    function _answer(address as_, bytes memory output, bytes memory proof) private {
        vm.prank(owner);
        nodeWallet.approve(as_, ETH, FUNDS);
        vm.prank(as_);
        coordinator.deliverCompute(id, 1, _input(), _output(output), proof, address(nodeWallet));
    }

    function _proof(uint256 key, address of_, bytes memory output) private view returns (bytes memory) {
        return _sign(key, of_, _input(), _output(output));
    }

    function _sign(uint256 key, address of_, bytes memory input, bytes memory output)
        private
        view
        returns (bytes memory)
    {
        Delivery memory delivered =
            Delivery(id, 1, of_, keccak256(abi.encode("prover")), keccak256(input), keccak256(output));
        bytes32 digest = keccak256(abi.encode(block.chainid, address(verifier), delivered));
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(key, keccak256(abi.encodePacked("\x19Ethereum Signed Message:\n32", digest)));
        return abi.encodePacked(r, s, v);
    }

    function _input() private pure returns (bytes memory) {
        return abi.encode("question", "");
    }

    function _output(bytes memory output) private pure returns (bytes memory) {
        return abi.encode(output, "");
    }
}
