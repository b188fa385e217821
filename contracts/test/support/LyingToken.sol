// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Token} from "./Tokens.sol";

/// @notice Moves what it is told to, and tells of more beside that: that so much has come, and so much has gone again.
contract LyingToken is Token {
    uint256 public come;
    uint256 public gone;

    function setLies(uint256 come_, uint256 gone_) external {
        (come, gone) = (come_, gone_);
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        if (come > 0) emit Transfer(msg.sender, to, come);
        if (gone > 0) emit Transfer(to, address(this), gone);
        return super.transfer(to, amount);
    }
}
