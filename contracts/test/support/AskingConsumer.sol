// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {RecordingConsumer} from "./Consumers.sol";

/// @notice Gives each subscription the input that it is told to give, or fails to, in its own way.
contract AskingConsumer is RecordingConsumer {
    enum Mood {
        Giving,
        Reverting,
        Burning,
        Babbling
    }

    mapping(uint32 id => bytes) internal inputs;
    mapping(uint32 id => Mood) internal moods;
    mapping(uint32 id => uint256) internal lengths;

    constructor(address registry) RecordingConsumer(registry) {}

    function give(uint32 id, bytes calldata input) external {
        inputs[id] = input;
    }

    /// @notice So many zeros: to store as many would take more gas than a block has.
    function fill(uint32 id, uint256 length) external {
        lengths[id] = length;
    }

    function behave(uint32 id, Mood mood) external {
        moods[id] = mood;
    }

    function getContainerInputs(uint32 id, uint32, uint32, address) external view override returns (bytes memory) {
        Mood mood = moods[id];
        require(mood != Mood.Reverting, "no input yet");
        while (mood == Mood.Burning) {}
        if (lengths[id] > 0) return new bytes(lengths[id]);
        if (mood == Mood.Giving) return inputs[id];
        // Something that is no byte string.
        assembly ("memory-safe") {
            mstore(0, 0xbad)
            return(0, 32)
        }
    }
}
