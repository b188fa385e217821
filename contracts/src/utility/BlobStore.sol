// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {LibBytes} from "solady/utils/LibBytes.sol";

/// @title BlobStore
/// @notice Keeps bytes as the code of contracts that nothing else is in: 200 gas a byte, where a slot takes 691.
/// @dev Where such a contract lies follows from the blob's name (CREATE2), so that no slot has to remember it. For that all have one init
/// code, which asks the store for the bytes, as the pools of Uniswap v3 ask their deployer for parameters. What does not fit into one
/// contract goes on in others.
abstract contract BlobStore {
    /// @dev Code is 24,576 bytes at most. The first is STOP, so that none of it can be run.
    uint256 private constant MAX_CODE = 24_576;

    /// @notice For contracts under construction: the bytes that they are to be. Empty otherwise.
    /// @dev In transient storage: size at 0, then words. Nothing else of the store may lie there.
    function blob() external view {
        assembly ("memory-safe") {
            let size := tload(0)
            let data := mload(0x40)
            for { let at := 0 } lt(at, size) { at := add(at, 0x20) } {
                mstore(add(data, at), tload(add(1, shr(5, at))))
            }
            return(data, size)
        }
    }

    /// @notice Stores data under a name that was never used.
    function _writeBlob(bytes32 name, bytes memory data) internal {
        for (uint256 from = 0; from < data.length; from += MAX_CODE - 1) {
            bytes memory code = bytes.concat(hex"00", LibBytes.slice(data, from, from + MAX_CODE - 1));
            assembly ("memory-safe") {
                let size := mload(code)
                tstore(0, size)
                for { let at := 0 } lt(at, size) { at := add(at, 0x20) } {
                    tstore(add(1, shr(5, at)), mload(add(add(code, 0x20), at)))
                }
            }
            _create(_saltOf(name, from));
        }
    }

    /// @return data `size` bytes of what was stored under a name, from its beginning.
    function _readBlob(bytes32 name, uint256 size) internal view returns (bytes memory data) {
        data = new bytes(size);
        for (uint256 from = 0; from < size; from += MAX_CODE - 1) {
            address place = _placeOf(_saltOf(name, from));
            uint256 length = size - from < MAX_CODE ? size - from : MAX_CODE - 1;
            assembly ("memory-safe") {
                extcodecopy(place, add(add(data, 0x20), from), 1, length)
            }
        }
    }

    function _create(bytes32 salt) private {
        bytes memory code = _initCode();
        assembly ("memory-safe") {
            if iszero(create2(0, add(code, 0x20), mload(code), salt)) { revert(0, 0) }
            tstore(0, 0)
        }
    }

    function _placeOf(bytes32 salt) private view returns (address) {
        bytes32 digest = keccak256(abi.encodePacked(bytes1(0xff), address(this), salt, keccak256(_initCode())));
        return address(uint160(uint256(digest)));
    }

    function _saltOf(bytes32 name, uint256 from) private pure returns (bytes32) {
        return from == 0 ? name : keccak256(abi.encode(name, from));
    }

    /// @dev   63 <selector> 5f 52              the selector of `blob`, to memory
    ///        5f 5f 60 04 60 1c 33 5a fa        ask the maker
    ///        15 3d 90 5f 3e 3d 5f f3           be what it returns, if it did: else copying begins beyond its end, which is fatal. Who
    /// picks the gas could have the store fail for want of it, and nothing stored.
    function _initCode() private pure returns (bytes memory) {
        return abi.encodePacked(bytes1(0x63), BlobStore.blob.selector, hex"5f525f5f6004601c335afa153d905f3e3d5ff3");
    }
}
