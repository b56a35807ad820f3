// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// @title ISystem
/// @notice Errors that every system contract may raise, beside its own.
/// @dev System contracts are native code behind fixed addresses. They accept plain and static
/// calls; a delegate call to one of them is refused by the chain. Coins sent to them by a plain
/// transfer are surplus: never counted, never returned.
interface ISystem {
    /// @notice No method of the contract has this selector.
    error UnknownMethod(bytes4 selector);
    /// @notice The call data are not the canonical encoding of the method's arguments.
    error MalformedCall();
    /// @notice The method takes no coins.
    error NotPayable();
    /// @notice The method writes, and the call is static.
    error StaticCall();
    /// @notice A number left its range.
    error Overflow();
}
