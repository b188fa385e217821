// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Attack} from "./Attack.sol";
import {Inbox} from "src/Inbox.sol";
import {Coordinated} from "src/utility/Coordinated.sol";

/// @dev Asks for the bytes that an item under construction would be given.
contract Eavesdropper {
    bytes32 public heard;

    constructor(Inbox inbox) {
        (bool success, bytes memory data) = address(inbox).staticcall(abi.encodeCall(inbox.blob, ()));
        require(success);
        heard = keccak256(data);
    }
}

/// @notice Items that are not what they seem, or change.
contract InboxForgeryTest is Attack {
    bytes32 internal constant CONTAINER = keccak256(abi.encode("container"));

    function testCannotWriteAsAnAnswer(address stranger) public {
        vm.assume(stranger != address(coordinator));
        vm.prank(stranger);
        vm.expectRevert(Coordinated.NotCoordinator.selector);
        inbox.writeViaCoordinator(CONTAINER, node, 1, 1, "", "", "");
    }

    function testWhatIsWrittenUnaskedSaysSo() public {
        vm.prank(node);
        inbox.write(CONTAINER, "input", "output", "proof");
        assertEq(inbox.read(CONTAINER, node, 0).subscriptionId, 0);
    }

    function testCannotWriteInAnothersList() public {
        inbox.write(CONTAINER, "", "", "");
        assertEq(inbox.count(CONTAINER, node), 0);
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 0x32));
        inbox.read(CONTAINER, node, 0);
    }

    function testBytesCannotMoveBetweenFields(bytes calldata input, bytes calldata output, bytes calldata proof)
        public
    {
        inbox.write(CONTAINER, input, output, proof);
        assertEq(inbox.read(CONTAINER, address(this), 0).input, input);
        assertEq(inbox.read(CONTAINER, address(this), 0).output, output);
        assertEq(inbox.read(CONTAINER, address(this), 0).proof, proof);
    }

    function testHeadCannotBeForgedByAnInput() public {
        // A whole item, as the store keeps it, that says subscription 7.
        bytes memory item = abi.encodePacked(uint32(1), uint32(7), uint32(1), uint24(0), uint24(0), uint24(0));
        inbox.write(CONTAINER, item, "", "");
        assertEq(inbox.read(CONTAINER, address(this), 0).subscriptionId, 0);
    }

    function testItemsStayWhenOthersFollow() public {
        inbox.write(CONTAINER, "first", "", "");
        inbox.write(CONTAINER, "second", "", "");
        inbox.write(bytes32(uint256(1)), "third", "", "");
        assertEq(inbox.read(CONTAINER, address(this), 0).input, "first");
        assertEq(inbox.read(CONTAINER, address(this), 1).input, "second");
    }

    function testNothingIsHeardOutsideAWrite() public {
        inbox.write(CONTAINER, "secret", "", "");
        assertEq(new Eavesdropper(inbox).heard(), keccak256(""));
    }

    function testItemCannotBeRun() public {
        address place = _placeOf(keccak256(abi.encode(CONTAINER, address(this), uint256(0))));
        // SELFDESTRUCT to the caller, were it run from the data on. STOP comes first.
        inbox.write(CONTAINER, hex"33ff", "", "");
        assertEq(place.code[0], bytes1(0));
        (bool success, bytes memory result) = place.call("");
        assertTrue(success);
        assertEq(result.length, 0);
        assertEq(inbox.read(CONTAINER, address(this), 0).input, hex"33ff");
    }

    function testFundsSentAheadDoNotStopAWrite() public {
        address place = _placeOf(keccak256(abi.encode(CONTAINER, address(this), uint256(0))));
        vm.deal(place, 1);
        inbox.write(CONTAINER, "input", "", "");
        assertEq(inbox.read(CONTAINER, address(this), 0).input, "input");
    }

    /// @dev By CREATE2, written out here once more.
    function _placeOf(bytes32 salt) private view returns (address) {
        bytes memory code = abi.encodePacked(hex"63", inbox.blob.selector, hex"5f525f5f6004601c335afa153d905f3e3d5ff3");
        return vm.computeCreate2Address(salt, keccak256(code), address(inbox));
    }
}
