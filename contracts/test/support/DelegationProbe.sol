// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {EIP712Coordinator} from "src/EIP712Coordinator.sol";
import {Subscription} from "src/interface/ICoordinator.sol";

/// @notice An owner that is its own signer, and accepts (EIP-1271) what begins with the very digest that it is asked about.
contract DigestSigner {
    function getSigner() external view returns (address) {
        return address(this);
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external pure returns (bytes4) {
        return bytes32(signature[:32]) == digest ? this.isValidSignature.selector : bytes4(0);
    }
}

/// @notice Tells what the coordinator makes of many requests, each as if it were the only one.
contract DelegationProbe {
    struct Request {
        uint32 nonce;
        uint32 expiry;
        Subscription sub;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    /// @notice The error of each; of those that are taken, `Taken`.
    error Taken();

    function outcomes(EIP712Coordinator coordinator, Request[] calldata requests)
        external
        returns (bytes4[] memory selectors)
    {
        selectors = new bytes4[](requests.length);
        for (uint256 i = 0; i < requests.length; i++) {
            try this.submit(coordinator, requests[i]) {}
            catch (bytes memory reason) {
                selectors[i] = bytes4(reason);
            }
        }
    }

    /// @notice Undoes what it does.
    function submit(EIP712Coordinator coordinator, Request calldata request) external {
        coordinator.createSubscriptionDelegatee(
            request.nonce, request.expiry, request.sub, request.v, request.r, request.s
        );
        revert Taken();
    }
}

/// @notice As Solidity has it, for names that are joined.
contract ContainerHasher {
    function hashesOf(string[] calldata routes) external pure returns (bytes32[] memory hashes) {
        hashes = new bytes32[](routes.length);
        for (uint256 i = 0; i < routes.length; i++) {
            hashes[i] = keccak256(abi.encode(routes[i]));
        }
    }
}
