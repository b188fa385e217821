// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Subscription} from "src/interface/ICoordinator.sol";

/// @title TypedData
/// @notice What a signer of subscriptions signs, written a second time: word by word from the standard (EIP-712), with the hashes of
/// the types as they were published.
library TypedData {
    bytes32 internal constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 internal constant SUBSCRIPTION_TYPEHASH =
        0x3da81ed66ee47395e568c52867826ec137777eef9c1bdfb6bf972dd4385bc5a9;
    bytes32 internal constant DELEGATE_TYPEHASH = 0xba9ff1aef2b048b42767aade2b901745a3acf14f698a9ec13952098cfd03d0b6;

    function digest(address coordinator, uint256 nonce, uint256 expiry, Subscription memory sub)
        internal
        view
        returns (bytes32)
    {
        bytes32 message = keccak256(bytes.concat(DELEGATE_TYPEHASH, bytes32(nonce), bytes32(expiry), hashOf(sub)));
        return keccak256(bytes.concat(hex"1901", separator(coordinator), message));
    }

    function separator(address coordinator) internal view returns (bytes32) {
        return keccak256(
            bytes.concat(
                DOMAIN_TYPEHASH,
                keccak256("InfernetCoordinator"),
                keccak256("1"),
                bytes32(block.chainid),
                _word(coordinator)
            )
        );
    }

    function hashOf(Subscription memory sub) internal pure returns (bytes32) {
        bytes memory times =
            bytes.concat(bytes32(uint256(sub.activeAt)), bytes32(uint256(sub.period)), bytes32(uint256(sub.frequency)));
        bytes memory what = bytes.concat(
            bytes32(uint256(sub.redundancy)), sub.containerId, bytes32(uint256(sub.lazy ? 1 : 0)), _word(sub.verifier)
        );
        bytes memory payment = bytes.concat(bytes32(sub.paymentAmount), _word(sub.paymentToken), _word(sub.wallet));
        return keccak256(bytes.concat(SUBSCRIPTION_TYPEHASH, _word(sub.owner), times, what, payment));
    }

    function _word(address account) private pure returns (bytes32) {
        return bytes32(uint256(uint160(account)));
    }
}
