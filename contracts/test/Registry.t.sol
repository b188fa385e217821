// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Test} from "./support/Test.sol";
import {Registry} from "infernet-sdk/Registry.sol";

contract RegistryTest is Test {
    function testFuzz_eachGetterAnswersItsOwnAddress(
        address coordinator,
        address inbox,
        address reader,
        address fee,
        address walletFactory
    ) external {
        Registry registry = new Registry(coordinator, inbox, reader, fee, walletFactory);
        assertEq(registry.COORDINATOR(), coordinator);
        assertEq(registry.INBOX(), inbox);
        assertEq(registry.READER(), reader);
        assertEq(registry.FEE(), fee);
        assertEq(registry.WALLET_FACTORY(), walletFactory);
    }
}
