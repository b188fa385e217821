// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ERC20} from "solady/tokens/ERC20.sol";

/// @notice A token as most are.
contract Token is ERC20 {
    function name() public pure override returns (string memory) {
        return "Token";
    }

    function symbol() public pure override returns (string memory) {
        return "TOK";
    }

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}

/// @notice Does not let go what it is told to keep.
contract StubbornToken is Token {
    mapping(address holder => bool) public isRefused;

    function refuse(address holder, bool refused) external {
        isRefused[holder] = refused;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        require(!isRefused[msg.sender], "no");
        return super.transfer(to, amount);
    }
}
