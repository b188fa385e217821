// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {RecordingConsumer} from "./Consumers.sol";
import {Setup} from "./Setup.sol";
import {TypedData} from "./TypedData.sol";
import {Subscription} from "src/interface/ICoordinator.sol";
import {Delegator} from "src/pattern/Delegator.sol";

/// @notice Lets a signer ask in its name.
contract SigningConsumer is RecordingConsumer, Delegator {
    constructor(address registry, address signer) RecordingConsumer(registry) Delegator(signer) {}

    function setSigner(address signer) external {
        _updateSigner(signer);
    }
}

/// @notice Beside everything else a consumer with a signer, and what the signer signs.
abstract contract DelegationSetup is Setup {
    struct Signature {
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    address internal signer;
    uint256 internal signerKey;
    SigningConsumer internal delegator;
    /// @dev An hour from the beginning.
    uint32 internal expiry;

    function setUp() public virtual override {
        super.setUp();
        (signer, signerKey) = makeAddrAndKey("signer");
        delegator = new SigningConsumer(address(registry), signer);
        expiry = uint32(vm.getBlockTimestamp() + 1 hours);
    }

    /// @notice An unpaid callback of the delegator's, for two nodes.
    function _sub() internal view returns (Subscription memory) {
        return Subscription({
            owner: address(delegator),
            activeAt: uint32(block.timestamp),
            period: 0,
            frequency: 1,
            redundancy: 2,
            containerId: keccak256(abi.encode("container")),
            lazy: false,
            verifier: payable(NOBODY),
            paymentAmount: 0,
            paymentToken: ETH,
            wallet: payable(NOBODY)
        });
    }

    function _sign(uint32 nonce, Subscription memory sub) internal view returns (Signature memory) {
        return _signAs(signerKey, nonce, expiry, sub);
    }

    function _signAs(uint256 key, uint32 nonce, uint32 expiry_, Subscription memory sub)
        internal
        view
        returns (Signature memory signature)
    {
        bytes32 digest = TypedData.digest(address(coordinator), nonce, expiry_, sub);
        (signature.v, signature.r, signature.s) = vm.sign(key, digest);
    }

    /// @notice Signs and submits.
    function _delegate(uint32 nonce, Subscription memory sub) internal returns (uint32) {
        return _submit(nonce, expiry, sub, _sign(nonce, sub));
    }

    function _submit(uint32 nonce, uint32 expiry_, Subscription memory sub, Signature memory signature)
        internal
        returns (uint32)
    {
        return coordinator.createSubscriptionDelegatee(nonce, expiry_, sub, signature.v, signature.r, signature.s);
    }

    function _idOf(uint32 nonce) internal view returns (uint32) {
        return coordinator.delegateCreatedIds(keccak256(abi.encode(address(delegator), nonce)));
    }
}
