// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title Allowlist
/// @notice A consumer that takes answers from chosen nodes only: decorate `_receiveCompute` with `onlyAllowedNode(node)`.
/// @dev The check runs in the consumer's callback: the delivery of any other node reverts as a whole, after it has paid for most of it.
abstract contract Allowlist {
    mapping(address node => bool allowed) private _allowedNodes;

    /// @notice The node may deliver from here on, or may not.
    event AllowlistUpdated(address indexed node, bool allowed);

    /// @notice The node is not on the list.
    error NodeNotAllowed();

    modifier onlyAllowedNode(address node) {
        if (!_allowedNodes[node]) revert NodeNotAllowed();
        _;
    }

    constructor(address[] memory initialAllowed) {
        for (uint256 i = 0; i < initialAllowed.length; i++) {
            _allow(initialAllowed[i], true);
        }
    }

    /// @notice Whether answers of this node are taken.
    function isAllowedNode(address node) external view returns (bool) {
        return _allowedNodes[node];
    }

    /// @notice Sets each node's status; of several for one node the last counts.
    /// @dev Fewer statuses than nodes: Panic 0x32. More are ignored.
    function _updateAllowlist(address[] memory nodes, bool[] memory statuses) internal {
        for (uint256 i = 0; i < nodes.length; i++) {
            _allow(nodes[i], statuses[i]);
        }
    }

    function _allow(address node, bool allowed) private {
        _allowedNodes[node] = allowed;
        emit AllowlistUpdated(node, allowed);
    }
}
