// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Ownable} from "solady/auth/Ownable.sol";

/// @title Fee
/// @notice What the protocol takes of each payment, and who gets it. The owner is the recipient.
/// @dev Each side of a payment pays the fee: twice `FEE` is taken off the amount, so that half is the most that leaves nobody in debt. A
/// change holds for the next delivery: nodes and consumers bound what they accept (`Bounds.minPayout`, `Terms.maxFee`).
contract Fee is Ownable {
    /// @notice The most that the fee can be, in basis points: with it a payment goes to the recipient as a whole.
    uint16 public constant MAX_FEE = 5000;

    /// @dev Both in one slot, for deliveries. The recipient is the owner, whom the base contract keeps in a slot of its own.
    uint16 private _fee;
    address private _recipient;

    /// @notice The fee is another from the next delivery on.
    event FeeUpdated(uint16 oldFee, uint16 newFee);

    /// @notice More than `MAX_FEE`.
    error FeeTooHigh();

    /// @param feeRecipient Zero is allowed: then nobody can change the fee, and none is charged.
    constructor(address feeRecipient, uint16 fee) {
        _initializeOwner(feeRecipient);
        _setFee(fee);
    }

    /// @notice Basis points (1/10,000) that each side pays.
    function FEE() external view returns (uint16) {
        return _fee;
    }

    /// @notice Who is paid the fee: the owner.
    function FEE_RECIPIENT() external view returns (address) {
        return _recipient;
    }

    /// @notice What a delivery is charged. Without a recipient nothing: many tokens refuse to send to the zero address.
    function quote() external view returns (uint256 fee, address recipient) {
        recipient = _recipient;
        fee = recipient == address(0) ? 0 : _fee;
    }

    function updateFee(uint16 newFee) external onlyOwner {
        _setFee(newFee);
    }

    function _setFee(uint16 newFee) private {
        if (newFee > MAX_FEE) revert FeeTooHigh();
        emit FeeUpdated(_fee, newFee);
        _fee = newFee;
    }

    function _initializeOwner(address newOwner) internal override {
        super._initializeOwner(newOwner);
        _recipient = newOwner;
    }

    function _setOwner(address newOwner) internal override {
        super._setOwner(newOwner);
        _recipient = newOwner;
    }
}
