// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Coordinator} from "src/Coordinator.sol";

/// @notice Whatever it is called as (consumer, verifier, recipient, hook of a token), it makes the calls that it was told to plan.
contract Intruder {
    struct Attempt {
        address target;
        bytes data;
    }

    Attempt[] private _plan;
    bool private transient _running;

    /// @notice Attempts that came to nothing because the coordinator was busy.
    uint256 public refused;
    /// @notice Attempts that failed otherwise.
    uint256 public failed;
    uint256 public succeeded;
    bytes public lastResult;

    function plan(address target, bytes calldata data) external {
        _plan.push(Attempt(target, data));
    }

    /// @notice Makes a call of its own.
    function act(address target, bytes calldata data) external returns (bytes memory) {
        (bool success, bytes memory result) = target.call(data);
        if (!success) {
            assembly {
                revert(add(result, 0x20), mload(result))
            }
        }
        return result;
    }

    function isSupportedToken(address) external pure returns (bool) {
        return true;
    }

    function fee(address) external pure returns (uint256) {
        return 0.1 ether;
    }

    function getWallet() external view returns (address) {
        return address(this);
    }

    receive() external payable {
        _run();
    }

    fallback() external {
        _run();
    }

    function _run() private {
        if (_running) return;
        _running = true;
        for (uint256 i = 0; i < _plan.length; i++) {
            (bool success, bytes memory result) = _plan[i].target.call(_plan[i].data);
            if (success) (succeeded, lastResult) = (succeeded + 1, result);
            else if (bytes4(result) == Coordinator.Reentrancy.selector) refused++;
            else failed++;
        }
        _running = false;
    }
}
