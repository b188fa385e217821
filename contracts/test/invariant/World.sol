// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {LibDeploy} from "../../script/LibDeploy.sol";
import {EIP712Coordinator} from "src/EIP712Coordinator.sol";
import {Inbox} from "src/Inbox.sol";
import {Registry} from "src/Registry.sol";
import {ICoordinator} from "src/interface/ICoordinator.sol";
import {Fee} from "src/payments/Fee.sol";
import {Wallet} from "src/payments/Wallet.sol";
import {WalletFactory} from "src/payments/WalletFactory.sol";
import {MoodyConsumer, MoodyVerifier} from "./Actors.sol";
import {Model} from "./Model.sol";
import {EfficientHashLib} from "solady/utils/EfficientHashLib.sol";
import {CommonBase} from "forge-std/Base.sol";
import {Vm} from "forge-std/Vm.sol";

/// @title World
/// @notice All contracts and actors, and how an action is taken: in reality and on the model, which have to agree.
abstract contract World is Model, CommonBase {
    uint256 internal constant FUNDS = 2 ** 100;
    uint256 internal constant SIGNER_KEY = 0xa11ce;
    uint256 internal constant MAX_WALLETS = 10;

    EIP712Coordinator public coordinator;
    Inbox internal inbox;
    Fee internal fee;
    WalletFactory internal factory;

    address[] internal tokens;
    address[] internal nodes;
    address[] internal owners;
    address[] internal recipients;
    MoodyConsumer[] internal consumers;
    MoodyVerifier[] internal verifiers;
    /// @dev All wallets; those that nobody has renounced; the last of these is the intruding verifier's.
    Wallet[] internal wallets;
    Wallet[] internal desk;
    /// @dev Whoever may come to hold anything.
    address[] internal holders;

    /// @notice The first thing that was not as it ought to be. Empty: all is well.
    string public broken;
    mapping(string action => uint256) public tried;
    mapping(string action => uint256) public done;
    uint256 public triedInAll;
    uint256 public doneInAll;

    /// @notice Actions so far.
    uint256 public turn;
    uint256 private _entropy;
    uint256 private immutable _salt;

    /// @dev All that an action draws depends on its argument alone, so that a history can be shortened.
    modifier seeded(uint256 seed) {
        _entropy = uint256(EfficientHashLib.hash(seed, _salt));
        turn++;
        _;
    }

    /// @param salt Another one draws other histories from the same seeds.
    constructor(address[] memory tokens_, uint256 salt) {
        (tokens, _salt) = (tokens_, salt);
        vm.warp(1_750_000_000);
        Registry registry;
        (registry, coordinator, inbox,, fee, factory) =
            LibDeploy.deployContracts(address(this), vm.getNonce(address(this)), address(0xFEE), 511);
        (feeBps, recipient) = (511, address(0xFEE));
        for (uint160 i = 0; i < 4; i++) {
            nodes.push(address(0xA0DE00 + i));
            verifiers.push(new MoodyVerifier(coordinator));
        }
        owners = [address(0x0A1), address(0x0A2), address(verifiers[0])];
        for (uint256 i = 0; i < 5; i++) {
            desk.push(Wallet(payable(factory.createWallet(owners[i / 2]))));
        }
        for (uint256 i = 0; i < 3; i++) {
            consumers.push(new MoodyConsumer(address(registry), vm.addr(SIGNER_KEY), address(desk[i])));
        }
        verifiers[0].setWallet(desk[4]);
        recipients = [address(0xFEE), address(0xFEE2), address(desk[0])];
        for (uint256 i = 0; i < desk.length; i++) {
            _furnish(desk[i]);
        }
        _addHolders();
    }

    /// @notice Takes an action, and asks the model whether it ought to succeed.
    function _act(string memory name, address as_, address target, bytes memory data, bytes memory spec)
        internal
        returns (bool success, bytes memory result)
    {
        delete told;
        vm.recordLogs();
        vm.prank(as_);
        (success, result) = target.call(data);
        (bool expected,) = address(this).call(spec);
        if (success != expected) {
            _expect(false, string.concat(name, success ? ": ought to be refused" : ": ought to succeed"));
        }
        if (success) _checkTold(name);
        if (bytes4(spec) != this.spec_refuse.selector) _count(name, success);
    }

    /// @dev Whether the events of an action say what has come of it.
    function _checkTold(string memory name) private {
        Told memory real;
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; i++) {
            bytes32 topic = logs[i].topics[0];
            if (logs[i].emitter == address(coordinator)) {
                if (topic == ICoordinator.AnswerAccepted.selector) real.accepted++;
                else if (topic == ICoordinator.AnswerRejected.selector) real.rejected++;
            } else if (isWallet[logs[i].emitter]) {
                if (topic == Wallet.Transfer.selector) real.sent += _amountOf(logs[i].data);
                else if (topic == Wallet.Owed.selector) real.owed += _amountOf(logs[i].data);
            }
        }
        bool same = real.sent == told.sent && real.owed == told.owed && real.accepted == told.accepted
            && real.rejected == told.rejected;
        if (!same) _expect(false, string.concat(name, ": told otherwise"));
    }

    function _amountOf(bytes memory data) private pure returns (uint256 amount) {
        (, amount) = abi.decode(data, (address, uint256));
    }

    /// @dev What ought to be refused whatever the state does not count.
    function _count(string memory name, bool success) internal {
        tried[name]++;
        triedInAll++;
        if (!success) return;
        done[name]++;
        doneInAll++;
    }

    function _expect(bool holds, string memory what) internal {
        if (!holds && bytes(broken).length == 0) broken = what;
    }

    function _draw(uint256 below) internal returns (uint256) {
        _entropy = uint256(EfficientHashLib.hash(_entropy));
        return _entropy % below;
    }

    function _oneIn(uint256 n) internal returns (bool) {
        return _draw(n) == 0;
    }

    function _any(address[] storage list) internal returns (address) {
        return list[_draw(list.length)];
    }

    function _anyDesk() internal returns (Wallet) {
        return desk[_draw(desk.length)];
    }

    /// @dev Of each size that is stored in a manner of its own, and where rounding shows.
    function _anyAmount() internal returns (uint256) {
        uint256 size = _draw(8);
        if (size == 0) return 0;
        if (size < 3) return 1 + _draw(200);
        if (size < 6) return 0.1 ether + _draw(15 ether);
        if (size == 6) return 20 ether + _draw(20 ether);
        return type(uint96).max - 1 + _draw(3);
    }

    function _fund(address token, address to, uint256 amount) internal {
        _mint(token, to, amount);
        if (token == ETH) vm.deal(to, to.balance + amount);
        else _mintReal(token, to, amount);
    }

    function _mintReal(address token, address to, uint256 amount) private {
        (bool success,) = token.call(abi.encodeWithSignature("mint(address,uint256)", to, amount));
        require(success, "mint");
    }

    /// @dev Everyone may spend from the wallet.
    function _furnish(Wallet wallet) internal {
        wallets.push(wallet);
        isWallet[address(wallet)] = true;
        for (uint256 t = 0; t < tokens.length; t++) {
            _fund(tokens[t], address(wallet), FUNDS);
            for (uint256 i = 0; i < nodes.length; i++) {
                _allow(wallet, nodes[i], tokens[t]);
            }
            for (uint256 i = 0; i < consumers.length; i++) {
                _allow(wallet, address(consumers[i]), tokens[t]);
            }
        }
    }

    function _allow(Wallet wallet, address spender, address token) private {
        vm.prank(wallet.owner());
        wallet.approve(spender, token, FUNDS);
        allowances[token][address(wallet)][spender] = FUNDS;
    }

    function _addHolders() private {
        holders.push(address(coordinator));
        holders.push(address(0xFEE));
        holders.push(address(0xFEE2));
        for (uint256 i = 0; i < 2; i++) {
            holders.push(owners[i]);
        }
        for (uint256 i = 0; i < verifiers.length; i++) {
            holders.push(address(verifiers[i]));
        }
        for (uint256 i = 0; i < consumers.length; i++) {
            holders.push(address(consumers[i]));
        }
        for (uint256 i = 0; i < desk.length; i++) {
            holders.push(address(desk[i]));
        }
    }
}
