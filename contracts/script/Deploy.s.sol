// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {EIP712Coordinator} from "../src/EIP712Coordinator.sol";
import {Inbox} from "../src/Inbox.sol";
import {Registry} from "../src/Registry.sol";
import {Fee} from "../src/payments/Fee.sol";
import {WalletFactory} from "../src/payments/WalletFactory.sol";
import {Reader} from "../src/utility/Reader.sol";
import {LibDeploy} from "./LibDeploy.sol";
import {Script, console} from "forge-std/Script.sol";

/// @notice Deploys all contracts. Environment: `PRIVATE_KEY`; `FEE` in basis points (default 500); `FEE_RECIPIENT` (default the deployer);
/// `WALLET_OWNER`, for whom to make the first wallet (default nobody: none is made, and whoever makes the first one pays for its code).
contract Deploy is Script {
    function run() external {
        uint256 key = vm.envUint("PRIVATE_KEY");
        address deployer = vm.addr(key);
        address recipient = vm.envOr("FEE_RECIPIENT", deployer);
        uint256 fee = vm.envOr("FEE", uint256(500));
        address walletOwner = vm.envOr("WALLET_OWNER", address(0));
        require(fee <= type(uint16).max, "FEE is no number of basis points");

        vm.startBroadcast(key);
        (
            Registry registry,
            EIP712Coordinator coordinator,
            Inbox inbox,
            Reader reader,
            Fee feeContract,
            WalletFactory walletFactory
        ) = LibDeploy.deployContracts(deployer, vm.getNonce(deployer), recipient, uint16(fee));
        if (walletOwner != address(0)) console.log("Wallet:", walletFactory.createWallet(walletOwner));
        vm.stopBroadcast();

        console.log("Registry:", address(registry));
        console.log("EIP712Coordinator:", address(coordinator));
        console.log("Inbox:", address(inbox));
        console.log("Reader:", address(reader));
        console.log("Fee:", address(feeContract));
        console.log("WalletFactory:", address(walletFactory));
    }
}
