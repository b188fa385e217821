// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Registry} from "../Registry.sol";
import {Wallet} from "./Wallet.sol";

/// @title WalletFactory
/// @notice Makes wallets, and knows which ones it made: payments go through these alone, since their code is known.
/// @dev The first wallet is deployed in full. All others are clones of it: small programs that run the first one's code on their own
/// storage and funds. Its owner has no power over them: the code is fixed, and has no way to destroy itself.
contract WalletFactory {
    Registry private immutable _registry;

    /// @notice The first wallet, whose code all others run. Zero before there is one.
    address public implementation;

    /// @notice Whether the factory made this wallet.
    mapping(address wallet => bool valid) public isValidWallet;

    /// @notice A wallet came to be. Anyone may make one for anyone.
    event WalletCreated(address indexed caller, address indexed owner, address wallet);

    /// @notice There is a wallet at this address already.
    error WalletExists();
    /// @notice No wallet was made with `createWallet` yet.
    error NoImplementation();

    constructor(Registry registry) {
        _registry = registry;
    }

    /// @notice Whether both are.
    function areValidWallets(address first, address second) external view returns (bool) {
        return isValidWallet[first] && isValidWallet[second];
    }

    /// @notice Makes a wallet at the next address of this factory's nonce.
    function createWallet(address initialOwner) external returns (address wallet) {
        address first = implementation;
        if (first == address(0)) {
            wallet = address(new Wallet(_registry, initialOwner));
            implementation = wallet;
        } else {
            bytes memory code = _cloneCode(first);
            assembly ("memory-safe") {
                wallet := create(0, add(code, 0x20), mload(code))
            }
            _begin(wallet, initialOwner);
        }
        _note(wallet, initialOwner);
    }

    /// @notice Makes a wallet whose address depends on caller, owner and salt alone: see `predictWallet`.
    /// @dev Reverts `WalletExists` the second time, `NoImplementation` before the first `createWallet`.
    function createWalletDeterministic(address initialOwner, bytes32 salt) external returns (address wallet) {
        bytes memory code = _cloneCode(_implementation());
        bytes32 full = _salt(msg.sender, initialOwner, salt);
        assembly ("memory-safe") {
            wallet := create2(0, add(code, 0x20), mload(code), full)
        }
        if (wallet == address(0)) revert WalletExists();
        _begin(wallet, initialOwner);
        _note(wallet, initialOwner);
    }

    /// @notice Where `createWalletDeterministic`, called by `caller`, puts the wallet.
    function predictWallet(address caller, address initialOwner, bytes32 salt) external view returns (address) {
        bytes32 codeHash = keccak256(_cloneCode(_implementation()));
        bytes32 full = _salt(caller, initialOwner, salt);
        return address(uint160(uint256(keccak256(abi.encodePacked(bytes1(0xff), address(this), full, codeHash)))));
    }

    function _implementation() private view returns (address first) {
        first = implementation;
        if (first == address(0)) revert NoImplementation();
    }

    function _begin(address wallet, address initialOwner) private {
        Wallet(payable(wallet)).initialize(initialOwner);
    }

    function _note(address wallet, address initialOwner) private {
        isValidWallet[wallet] = true;
        emit WalletCreated(msg.sender, initialOwner, wallet);
    }

    /// @dev The caller and the owner are part of it: nobody can take another's address.
    function _salt(address caller, address initialOwner, bytes32 salt) private pure returns (bytes32) {
        return keccak256(abi.encode(caller, initialOwner, salt));
    }

    /// @dev An ERC-1167 proxy with one thing before it: a call without data ends at once, so that plain ETH arrives within the 2,300 gas
    /// that `transfer` gives. Init code (9 bytes: copy the 51 bytes of code, return them), then the code:
    ///   36 60 05 57 00 | 5b              data? go on at 5; else stop
    ///   36 3d 3d 37                      copy the data
    ///   3d 3d 3d 36 3d 73 <first> 5a f4  delegate
    ///   3d 82 80 3e 90 3d 91 60 31 57 fd 5b f3   return, or revert, with what came back
    function _cloneCode(address first) private pure returns (bytes memory) {
        return abi.encodePacked(
            hex"60338060093d393df3", hex"36600557005b363d3d373d3d3d363d73", first, hex"5af43d82803e903d91603157fd5bf3"
        );
    }
}
