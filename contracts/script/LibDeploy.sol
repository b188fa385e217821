// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {EIP712Coordinator} from "../src/EIP712Coordinator.sol";
import {Inbox} from "../src/Inbox.sol";
import {Registry} from "../src/Registry.sol";
import {Fee} from "../src/payments/Fee.sol";
import {WalletFactory} from "../src/payments/WalletFactory.sol";
import {Reader} from "../src/utility/Reader.sol";

/// @title LibDeploy
/// @notice Deploys all contracts in six consecutive creations, the registry first: it is given the addresses that the others will have.
/// So one account, at one nonce, always deploys to the same addresses, whatever the contracts are.
library LibDeploy {
    /// @param deployer Whose creations these are.
    /// @param nonce The deployer's next.
    /// @param feeRecipient Owns the `Fee`.
    /// @param fee Basis points, `Fee.MAX_FEE` at most.
    function deployContracts(address deployer, uint256 nonce, address feeRecipient, uint16 fee)
        internal
        returns (
            Registry registry,
            EIP712Coordinator coordinator,
            Inbox inbox,
            Reader reader,
            Fee feeContract,
            WalletFactory walletFactory
        )
    {
        registry = new Registry(
            createAddress(deployer, nonce + 1),
            createAddress(deployer, nonce + 2),
            createAddress(deployer, nonce + 3),
            createAddress(deployer, nonce + 4),
            createAddress(deployer, nonce + 5)
        );
        coordinator = new EIP712Coordinator(registry);
        inbox = new Inbox(registry);
        reader = new Reader(registry);
        feeContract = new Fee(feeRecipient, fee);
        walletFactory = new WalletFactory(registry);
        require(address(coordinator) == registry.COORDINATOR(), "Coordinator address mismatch");
        require(address(inbox) == registry.INBOX(), "Inbox address mismatch");
        require(address(reader) == registry.READER(), "Reader address mismatch");
        require(address(feeContract) == registry.FEE(), "Fee address mismatch");
        require(address(walletFactory) == registry.WALLET_FACTORY(), "WalletFactory address mismatch");
    }

    /// @notice Where an account's creation at a nonce (below 2^64 - 1) goes: the hash of both in RLP.
    function createAddress(address deployer, uint256 nonce) internal pure returns (address) {
        bytes memory number = _rlp(nonce);
        bytes memory list = abi.encodePacked(uint8(0xc0 + 21 + number.length), uint8(0x94), deployer, number);
        return address(uint160(uint256(keccak256(list))));
    }

    /// @dev A number has no leading zeros; below 128 it is its own encoding, except that 0 is an empty string.
    function _rlp(uint256 number) private pure returns (bytes memory encoded) {
        if (number == 0) return hex"80";
        if (number < 0x80) return abi.encodePacked(uint8(number));
        for (uint256 rest = number; rest > 0; rest >>= 8) {
            encoded = bytes.concat(bytes1(uint8(rest)), encoded);
        }
        return abi.encodePacked(uint8(0x80 + encoded.length), encoded);
    }
}
