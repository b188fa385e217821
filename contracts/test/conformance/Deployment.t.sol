// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {LibDeploy} from "../lib/LibDeploy.sol";
import {EIP712Coordinator} from "src/EIP712Coordinator.sol";
import {Inbox} from "src/Inbox.sol";
import {Registry} from "src/Registry.sol";
import {Fee} from "src/payments/Fee.sol";
import {WalletFactory} from "src/payments/WalletFactory.sol";
import {Reader} from "src/utility/Reader.sol";
import {Test} from "../support/Test.sol";

contract DeploymentTest is Test {
    /// @dev The third account of anvil, and of every other development chain with the usual mnemonic.
    address private constant DEPLOYER = 0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC;
    /// @dev The second.
    address private constant WALLET_OWNER = 0x70997970C51812dc3A010C7d01b50e0d17dc79C8;

    function testDevelopmentChainsHaveTheUsualAddresses() public {
        vm.startPrank(DEPLOYER);
        (Registry registry, EIP712Coordinator coordinator, Inbox inbox, Reader reader, Fee fee, WalletFactory factory) =
            LibDeploy.deployContracts(DEPLOYER, 0, DEPLOYER, 0);
        address wallet = factory.createWallet(WALLET_OWNER);
        assertEq(address(registry), 0x663F3ad617193148711d28f5334eE4Ed07016602);
        assertEq(address(coordinator), 0x2E983A1Ba5e8b38AAAeC4B440B9dDcFBf72E15d1);
        assertEq(address(inbox), 0x8438Ad1C834623CfF278AB6829a248E37C2D7E3f);
        assertEq(address(reader), 0xBC9129Dc0487fc2E169941C75aABC539f208fb01);
        assertEq(address(fee), 0x6e989C01a3e3A94C973A62280a72EC335598490e);
        assertEq(address(factory), 0xF6168876932289D073567f347121A267095f3DD6);
        assertEq(wallet, 0x60985ee8192B322c3CAbA97A9A9f7298bdc4335C);
        assertTrue(factory.isValidWallet(wallet));
    }

    function testRegistryKnowsTheOthers(uint64 nonce) public {
        nonce = uint64(bound(nonce, vm.getNonce(address(this)), type(uint64).max - 10));
        vm.setNonce(address(this), nonce);
        (Registry registry, EIP712Coordinator coordinator, Inbox inbox, Reader reader, Fee fee, WalletFactory factory) =
            LibDeploy.deployContracts(address(this), nonce, address(1), 500);
        assertEq(registry.COORDINATOR(), address(coordinator));
        assertEq(registry.INBOX(), address(inbox));
        assertEq(registry.READER(), address(reader));
        assertEq(registry.FEE(), address(fee));
        assertEq(registry.WALLET_FACTORY(), address(factory));
        assertEq(fee.FEE(), 500);
        assertEq(fee.FEE_RECIPIENT(), address(1));
    }

    function testCannotDeployAtAnotherNonce() public {
        Deployer deployer = new Deployer();
        vm.expectRevert("Coordinator address mismatch");
        deployer.deploy(5);
    }

    function testRegistryChecksNothing(address[5] calldata addresses) public {
        Registry registry = new Registry(addresses[0], addresses[1], addresses[2], addresses[3], addresses[4]);
        assertEq(registry.COORDINATOR(), addresses[0]);
        assertEq(registry.INBOX(), addresses[1]);
        assertEq(registry.READER(), addresses[2]);
        assertEq(registry.FEE(), addresses[3]);
        assertEq(registry.WALLET_FACTORY(), addresses[4]);
    }

    /// @dev With 24,576 bytes of code at most, a contract can be deployed.
    function testContractsFitTheirChain() public {
        vm.startPrank(DEPLOYER);
        (Registry registry, EIP712Coordinator coordinator, Inbox inbox, Reader reader, Fee fee, WalletFactory factory) =
            LibDeploy.deployContracts(DEPLOYER, 0, DEPLOYER, 0);
        address[7] memory all = [
            address(registry),
            address(coordinator),
            address(inbox),
            address(reader),
            address(fee),
            address(factory),
            factory.createWallet(WALLET_OWNER)
        ];
        for (uint256 i = 0; i < all.length; i++) {
            assertLe(all[i].code.length, 24_576);
        }
    }
}

contract Deployer {
    function deploy(uint256 nonce) external {
        LibDeploy.deployContracts(address(this), nonce, address(this), 0);
    }
}
