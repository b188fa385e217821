// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Setup} from "../support/Setup.sol";
import {AtomicVerifier} from "../support/Verifiers.sol";
import {Coordinator} from "src/Coordinator.sol";
import {Wallet} from "src/payments/Wallet.sol";
import {stdError} from "forge-std/StdError.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";

/// @notice What a payment is refused for, each check by itself and those that follow each other in their order. 1 ETH, of which 0.1022
/// is the protocol's; where there is a verifier, it takes 0.1, and the protocol 0.00511 of that.
contract PaymentOrderTest is Setup {
    AtomicVerifier private verifier;

    function setUp() public override {
        super.setUp();
        verifier = new AtomicVerifier(coordinator);
        verifier.setFee(ETH, 0.1 ether);
    }

    function _allow(Wallet wallet_, address spender, uint256 amount) private {
        vm.prank(owner);
        wallet_.approve(spender, ETH, amount);
    }

    function _refuses(bytes memory reason, uint32 id, address paidInto) private {
        vm.expectRevert(reason);
        _deliver(id, node, paidInto);
    }

    function _refuses(bytes4 reason, address verifier_) private {
        _refuses(abi.encodePacked(reason), _paid(ETH, 1 ether, verifier_), address(nodeWallet));
    }

    function testCannotPayIntoAnAccount() public {
        uint32 id = _paid(ETH, 1 ether, NOBODY);
        _refuses(abi.encodePacked(Coordinator.InvalidWallet.selector), id, node);
    }

    function testCannotPayFromAWalletOfOnesOwn() public {
        address own = address(new Wallet(registry, owner));
        uint32 id = consumer.create("container", 1, 0, 1, false, ETH, 1 ether, own, NOBODY);
        _refuses(abi.encodePacked(Coordinator.InvalidWallet.selector), id, address(nodeWallet));
    }

    function testInvalidWalletBeforeAllowance() public {
        _allow(wallet, address(consumer), 0);
        uint32 id = _paid(ETH, 1 ether, NOBODY);
        _refuses(abi.encodePacked(Coordinator.InvalidWallet.selector), id, node);
    }

    function testInvalidWalletBeforeUnsupportedToken() public {
        verifier.refuse(ETH);
        uint32 id = _paid(ETH, 1 ether, address(verifier));
        _refuses(abi.encodePacked(Coordinator.InvalidWallet.selector), id, node);
    }

    function testCannotPayWithoutAllowance() public {
        _allow(wallet, address(consumer), 0);
        _refuses(Wallet.InsufficientAllowance.selector, NOBODY);
    }

    function testCannotPayWithAllowanceForTheFeeAlone() public {
        _allow(wallet, address(consumer), 1 ether - 1);
        _refuses(Wallet.InsufficientAllowance.selector, NOBODY);
    }

    function testFundsForTheFeeBeforeAllowanceForTheRest() public {
        _allow(wallet, address(consumer), 0.5 ether);
        vm.deal(address(wallet), 0.05 ether);
        _refuses(SafeTransferLib.ETHTransferFailed.selector, NOBODY);
    }

    function testAllowanceForTheFeeBeforeVerifierWithoutCode() public {
        _allow(wallet, address(consumer), 0.1 ether);
        uint32 id = _paid(ETH, 1 ether, makeAddr("no verifier"));
        _refuses(abi.encodePacked(Wallet.InsufficientAllowance.selector), id, address(nodeWallet));
    }

    function testVerifierWithoutCodeBeforeAllowanceForTheRest() public {
        _allow(wallet, address(consumer), 0.11 ether);
        uint32 id = _paid(ETH, 1 ether, makeAddr("no verifier"));
        _refuses("", id, address(nodeWallet));
    }

    function testAllowanceForTheVerifiersFeeBeforeItsWallet() public {
        _allow(wallet, address(consumer), 0.1022 ether);
        vm.mockCallRevert(address(verifier), abi.encodeCall(verifier.getWallet, ()), "no wallet");
        _refuses(Wallet.InsufficientAllowance.selector, address(verifier));
    }

    function testVerifiersWalletBeforeAllowanceForWhatItGets() public {
        _allow(wallet, address(consumer), 0.10731 ether);
        vm.mockCallRevert(address(verifier), abi.encodeCall(verifier.getWallet, ()), "no wallet");
        _refuses("no wallet", _paid(ETH, 1 ether, address(verifier)), address(nodeWallet));
    }

    function testCannotPayEtherThatIsNotThere() public {
        vm.deal(address(wallet), 1 ether - 1);
        _refuses(SafeTransferLib.ETHTransferFailed.selector, NOBODY);
    }

    function testCannotPayTokensThatAreNotThere() public {
        vm.prank(address(wallet));
        token.transfer(owner, FUNDS - 9);
        uint32 id = _paid(address(token), 10, NOBODY);
        _refuses(abi.encodePacked(SafeTransferLib.TransferFailed.selector), id, address(nodeWallet));
    }

    function testAllowanceBeforeUnsupportedToken() public {
        verifier.refuse(ETH);
        _allow(wallet, address(consumer), 0);
        _refuses(Wallet.InsufficientAllowance.selector, address(verifier));
    }

    function testFundsForTheFeeBeforeUnsupportedToken() public {
        verifier.refuse(ETH);
        vm.deal(address(wallet), 0.1 ether);
        _refuses(SafeTransferLib.ETHTransferFailed.selector, address(verifier));
    }

    function testCannotBeJudgedInAnUnsupportedToken() public {
        verifier.refuse(ETH);
        _refuses(Coordinator.UnsupportedVerifierToken.selector, address(verifier));
    }

    function testUnsupportedTokenBeforeTheVerifiersFee() public {
        verifier.refuse(ETH);
        verifier.setFee(ETH, 2 ether);
        _refuses(Coordinator.UnsupportedVerifierToken.selector, address(verifier));
    }

    function testUnsupportedTokenBeforeTheNodesStake() public {
        verifier.refuse(ETH);
        _allow(nodeWallet, node, 0);
        _refuses(Coordinator.UnsupportedVerifierToken.selector, address(verifier));
    }

    function testCannotPayAVerifierThatTakesMoreThanIsLeft() public {
        verifier.setFee(ETH, 0.8978 ether + 1);
        uint32 id = _paid(ETH, 1 ether, address(verifier));
        _refuses(stdError.arithmeticError, id, address(nodeWallet));
    }

    function testAllowanceBeforeTheVerifiersFee() public {
        verifier.setFee(ETH, 2 ether);
        _allow(wallet, address(consumer), 0);
        _refuses(Wallet.InsufficientAllowance.selector, address(verifier));
    }

    function testMayPayAVerifierAllThatIsLeft() public {
        verifier.setFee(ETH, 0.8978 ether);
        _deliver(_paid(ETH, 1 ether, address(verifier)));
        assertEq(address(nodeWallet).balance, FUNDS);
        assertEq(address(wallet).balance, FUNDS - 1 ether);
    }

    function testCannotStakeWithoutFunds() public {
        vm.deal(address(nodeWallet), 1 ether - 1);
        _refuses(Wallet.InsufficientFunds.selector, address(verifier));
    }

    function testCannotStakeWithoutAllowance() public {
        _allow(nodeWallet, node, 1 ether - 1);
        _refuses(Wallet.InsufficientAllowance.selector, address(verifier));
    }

    function testCannotStakeInAnothersName() public {
        // The wallet's owner has approved the other node.
        uint32 id = _paid(ETH, 1 ether, address(verifier));
        _refuses(abi.encodePacked(Wallet.InsufficientAllowance.selector), id, address(otherWallet));
    }

    function testStakesFundsBeforeAllowance() public {
        vm.deal(address(nodeWallet), 0);
        _allow(nodeWallet, node, 0);
        _refuses(Wallet.InsufficientFunds.selector, address(verifier));
    }

    function testPaysFeesBeforeTheStake() public {
        vm.deal(address(nodeWallet), 0);
        _allow(wallet, address(consumer), 0.2 ether);
        _refuses(Wallet.InsufficientAllowance.selector, address(verifier));
    }

    function testStakeBeforeTheConsumersEscrow() public {
        // Enough for the fees.
        vm.deal(address(wallet), 0.21 ether);
        _allow(nodeWallet, node, 0);
        _refuses(Wallet.InsufficientAllowance.selector, address(verifier));
    }

    function testCannotEscrowFundsThatAreNotThere() public {
        vm.deal(address(wallet), 1 ether - 1);
        _refuses(Wallet.InsufficientFunds.selector, address(verifier));
    }

    function testCannotEscrowWithoutAllowance() public {
        _allow(wallet, address(consumer), 1 ether - 1);
        _refuses(Wallet.InsufficientAllowance.selector, address(verifier));
    }

    function testEscrowsFundsBeforeAllowance() public {
        vm.deal(address(wallet), 1 ether - 1);
        _allow(wallet, address(consumer), 1 ether - 1);
        _refuses(Wallet.InsufficientFunds.selector, address(verifier));
    }

    /// @dev What a wallet pays itself it still has: each of the two payments is free, though not both at once.
    function testMayPayItselfWhatIsFreeOnce() public {
        vm.prank(feeRecipient);
        fee.transferOwnership(address(wallet));
        uint32 id = _paid(ETH, 1 ether, NOBODY);
        vm.prank(address(coordinator));
        wallet.cLock(address(consumer), ETH, FUNDS - 0.9 ether);
        _allow(wallet, address(consumer), 1 ether);
        _deliver(id);
        assertEq(address(nodeWallet).balance, FUNDS + 0.8978 ether);
        assertEq(address(wallet).balance, FUNDS - 0.8978 ether);
        assertEq(wallet.allowance(address(consumer), ETH), 0);
    }

    function testCannotPayOthersWhatIsFreeOnce() public {
        uint32 id = _paid(ETH, 1 ether, NOBODY);
        vm.prank(address(coordinator));
        wallet.cLock(address(consumer), ETH, FUNDS - 0.9 ether);
        _allow(wallet, address(consumer), 1 ether);
        _refuses(abi.encodePacked(Wallet.InsufficientFunds.selector), id, address(nodeWallet));
    }

    function testARefusalLeavesNothing() public {
        _allow(nodeWallet, node, 0);
        uint32 id = _paid(ETH, 1 ether, address(verifier));
        _refuses(abi.encodePacked(Wallet.InsufficientAllowance.selector), id, address(nodeWallet));
        assertEq(address(wallet).balance, FUNDS);
        assertEq(wallet.allowance(address(consumer), ETH), FUNDS);
        assertEq(_count(id, 1), 0);
        assertFalse(_responded(id, 1, node));
    }
}
