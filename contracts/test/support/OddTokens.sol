// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Token} from "./Tokens.sol";

/// @notice Says nothing when it has sent, as USDT does.
contract SilentToken {
    mapping(address account => uint256) public balanceOf;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function transfer(address to, uint256 amount) external {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
    }
}

/// @notice Says false, and sends nothing.
contract FalseToken is Token {
    function transfer(address, uint256) public pure override returns (bool) {
        return false;
    }
}

/// @notice Cannot say what anyone owns.
contract BlindToken is Token {
    function balanceOf(address) public pure override returns (uint256) {
        revert("blind");
    }
}

/// @notice Takes no ETH.
contract RefusingRecipient {
    receive() external payable {
        revert("no, thanks");
    }
}

/// @notice Burns whatever gas it is given with ETH.
contract BurningRecipient {
    receive() external payable {
        while (true) {}
    }
}
