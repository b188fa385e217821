// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Coordinator} from "src/Coordinator.sol";
import {Call} from "src/interface/ICoordinator.sol";
import {Delegator} from "src/pattern/Delegator.sol";
import {IVerifier} from "src/payments/IVerifier.sol";
import {Wallet} from "src/payments/Wallet.sol";
import {EmptyConsumer} from "../support/Consumers.sol";

/// @notice Tries, out of a delivery, what must not be possible there, and counts what was.
abstract contract Intruder {
    uint256 public breaches;

    function _intrude(Coordinator coordinator, uint32 id, uint32 interval, address node, address wallet) internal {
        bytes memory delivery = abi.encodeCall(Coordinator.deliverCompute, (id, interval, "", "", "", wallet));
        _mustFail(address(coordinator), delivery);
        _mustFail(address(coordinator), abi.encodeCall(Coordinator.reclaimPrepayment, (id)));
        _mustFail(
            address(coordinator), abi.encodeCall(Coordinator.finalizeProofVerification, (id, interval, node, true))
        );
        Call[] memory calls = new Call[](1);
        calls[0].data = delivery;
        if (coordinator.deliverComputeBatch(calls)[0] == 0) breaches++;
    }

    function _mustFail(address target, bytes memory data) internal {
        (bool success,) = target.call(data);
        if (success) breaches++;
    }
}

/// @notice A consumer that takes answers, or refuses them, or uses the call to intrude.
contract MoodyConsumer is EmptyConsumer, Delegator, Intruder {
    enum Mood {
        Fine,
        Reverts,
        Intrudes
    }

    Mood public mood;
    address private _wallet;
    /// @notice Answers so far, and what came with the last one.
    uint256 public answers;
    uint16 public lastOrdinal;
    uint256 public lastIndex;

    constructor(address registry, address signer, address wallet) EmptyConsumer(registry) Delegator(signer) {
        _wallet = wallet;
    }

    function setMood(Mood mood_) external {
        mood = mood_;
    }

    function _receiveCompute(
        uint32 id,
        uint32 interval,
        uint16 ordinal,
        address node,
        bytes calldata,
        bytes calldata,
        bytes calldata,
        bytes32,
        uint256 index
    ) internal override {
        if (mood == Mood.Reverts) revert("not now");
        answers++;
        lastOrdinal = ordinal;
        lastIndex = index;
        if (mood == Mood.Intrudes) _intrude(COORDINATOR, id, interval, node, _wallet);
    }
}

/// @notice A verifier of any kind, honest or not. Owns a wallet, and is paid into itself.
contract MoodyVerifier is IVerifier, Intruder {
    enum Mood {
        Silent,
        Valid,
        Invalid,
        Reverts
    }

    struct Conduct {
        Mood mood;
        /// @dev Before its verdict it tries what it may not, and raises an allowance to the highest number.
        bool intrudes;
        bool refusesEth;
        bool refusesTokens;
        uint256 fee;
        /// @dev What it asks for on top, once the answer that it watches is under way.
        uint256 surcharge;
    }

    struct Proof {
        uint32 id;
        uint32 interval;
        address node;
    }

    Coordinator private immutable _coordinator;
    Conduct public conduct;
    /// @notice The wallet of this verifier's own, in which it raises a spender's allowance of a token.
    Wallet public wallet;
    address public spender;
    address public token;
    Proof public watched;
    /// @dev Another proof that waits for this verifier.
    Proof private _other;

    constructor(Coordinator coordinator) {
        _coordinator = coordinator;
    }

    receive() external payable {
        if (conduct.refusesEth) revert("no ETH");
        if (conduct.intrudes) _reachForLocked(address(0));
    }

    function setConduct(Conduct calldata conduct_) external {
        conduct = conduct_;
    }

    function setWallet(Wallet wallet_) external {
        wallet = wallet_;
    }

    function setTarget(address spender_, address token_) external {
        spender = spender_;
        token = token_;
    }

    function watch(uint32 id, uint32 interval, address node) external {
        watched = Proof(id, interval, node);
    }

    function setOther(uint32 id, uint32 interval, address node) external {
        _other = Proof(id, interval, node);
    }

    function getWallet() external view returns (address) {
        return address(this);
    }

    function isSupportedToken(address) external view returns (bool) {
        return !conduct.refusesTokens;
    }

    function fee(address) external view returns (uint256) {
        bytes32 key = keccak256(abi.encode(watched.id, watched.interval, watched.node));
        return conduct.fee + (_coordinator.nodeResponded(key) ? conduct.surcharge : 0);
    }

    function finalize(uint32 id, uint32 interval, address node, bool valid) external {
        _coordinator.finalizeProofVerification(id, interval, node, valid);
    }

    function requestProofVerification(uint32 id, uint32 interval, address node, bytes calldata) external {
        Conduct memory how = conduct;
        if (how.mood == Mood.Reverts) revert("no verdict");
        if (how.intrudes) {
            wallet.approve(spender, token, type(uint256).max);
            _reachForLocked(token);
            bytes memory other =
                abi.encodeCall(Coordinator.finalizeProofVerification, (_other.id, _other.interval, _other.node, false));
            if (_other.id != id || _other.interval != interval || _other.node != node) {
                _mustFail(address(_coordinator), other);
            }
        }
        if (how.mood == Mood.Silent) return;
        _coordinator.finalizeProofVerification(id, interval, node, how.mood == Mood.Valid);
        if (how.intrudes) _intrude(_coordinator, id, interval, node, address(wallet));
    }

    function _reachForLocked(address of_) private {
        uint256 tooMuch = wallet.unlockedBalance(of_) + 1;
        _mustFail(address(wallet), abi.encodeCall(Wallet.withdraw, (of_, tooMuch)));
    }
}

/// @notice A token of any kind: says nothing or false, takes a cut, refuses accounts, changes balances by itself.
contract OddToken {
    enum Refusal {
        Reverts,
        SaysFalse
    }

    Refusal private immutable _refusal;
    bool private immutable _isMute;
    uint256 public immutable cut;
    mapping(address account => uint256) public balanceOf;
    mapping(address account => bool) public isRefused;

    /// @param cut_ Basis points of each transfer that do not arrive.
    constructor(Refusal refusal, bool isMute, uint256 cut_) {
        _refusal = refusal;
        _isMute = isMute;
        cut = cut_;
    }

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function refuse(address account, bool refused) external {
        isRefused[account] = refused;
    }

    function rebase(address account, uint256 balance) external {
        balanceOf[account] = balance;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        if (isRefused[msg.sender] || isRefused[to] || balanceOf[msg.sender] < amount) {
            if (_refusal == Refusal.Reverts) revert("refused");
            return false;
        }
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount - amount * cut / 10_000;
        if (_isMute) {
            assembly {
                return(0, 0)
            }
        }
        return true;
    }
}
