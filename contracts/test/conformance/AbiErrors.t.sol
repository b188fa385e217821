// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Coordinator} from "src/Coordinator.sol";
import {EIP712Coordinator} from "src/EIP712Coordinator.sol";
import {BaseConsumer} from "src/consumer/Base.sol";
import {Allowlist} from "src/pattern/Allowlist.sol";
import {Wallet} from "src/payments/Wallet.sol";
import {Coordinated} from "src/utility/Coordinated.sol";
import {Test} from "../support/Test.sol";
import {Ownable} from "solady/auth/Ownable.sol";
import {ECDSA} from "solady/utils/ECDSA.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";

/// @notice The errors that nodes know, each by the contract that declares it.
contract AbiErrorsTest is Test {
    function _same(bytes4 actual, uint32 published) private pure {
        assertEq(bytes32(actual), bytes32(bytes4(published)));
    }

    function testCoordinator() public pure {
        _same(Coordinator.InvalidWallet.selector, 0x23455ba1);
        _same(Coordinator.IntervalMismatch.selector, 0x4db310c3);
        _same(Coordinator.IntervalCompleted.selector, 0x2f4ca85b);
        _same(Coordinator.UnauthorizedVerifier.selector, 0xb9857aa1);
        _same(Coordinator.NodeRespondedAlready.selector, 0x88a21e4f);
        _same(Coordinator.SubscriptionNotFound.selector, 0x1a00354f);
        _same(Coordinator.ProofRequestNotFound.selector, 0x1d68b37c);
        _same(Coordinator.NotSubscriptionOwner.selector, 0xa7fba711);
        _same(Coordinator.SubscriptionCompleted.selector, 0xae6704a7);
        _same(Coordinator.SubscriptionNotActive.selector, 0xefb74efe);
        _same(Coordinator.UnsupportedVerifierToken.selector, 0xe2372799);
        _same(Coordinator.Reentrancy.selector, 0xab143c06);
    }

    function testDelegation() public pure {
        _same(EIP712Coordinator.SignerMismatch.selector, 0x10c74b03);
        _same(EIP712Coordinator.SignatureExpired.selector, 0x0819bdcd);
        _same(ECDSA.InvalidSignature.selector, 0x8baa579f);
    }

    function testWallet() public pure {
        _same(Wallet.InsufficientFunds.selector, 0x356680b7);
        _same(Wallet.InsufficientAllowance.selector, 0x13be252b);
        _same(SafeTransferLib.TransferFailed.selector, 0x90b8ec18);
        _same(SafeTransferLib.ETHTransferFailed.selector, 0xb12d13eb);
    }

    function testCallers() public pure {
        _same(BaseConsumer.NotCoordinator.selector, 0x9ec853e6);
        _same(Coordinated.NotCoordinator.selector, 0x9ec853e6);
        _same(Allowlist.NodeNotAllowed.selector, 0x42764946);
    }

    function testOwnership() public pure {
        _same(Ownable.Unauthorized.selector, 0x82b42900);
        _same(Ownable.NewOwnerIsZeroAddress.selector, 0x7448fbae);
        _same(Ownable.NoHandoverRequest.selector, 0x6f5e8818);
        _same(Ownable.AlreadyInitialized.selector, 0x0dc149f0);
    }
}
