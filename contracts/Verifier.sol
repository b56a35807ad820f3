// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// @title IVerifier, at 0x4841000000000000000000000000000000000004
/// @notice Checks proofs of model runs, for any contract. It keeps no state of its own.
/// @dev Gas is a function of the model's verifying key and the proof's length, and is charged
/// before a byte of the proof is decoded.
interface IVerifier {
    /// @notice No listed model has this id.
    error UnknownModel(bytes32 model);
    /// @notice The input does not fit the model's graph; the reason is for people.
    error InvalidInput(string reason);
    /// @notice The output does not fit the model's graph; the reason is for people.
    error InvalidOutput(string reason);
    /// @notice No proof of this model can hide its input.
    error PrivateUnavailable(bytes32 model);
    /// @notice Not a commitment: eight field elements in canonical form.
    error InvalidCommitment(bytes32 commitment);

    /// @notice Whether `proof` shows that the model gives `output` for `input`, in `context`.
    /// @param model Id in `Models`; a retired model still verifies.
    /// @param input The graph's input encoding.
    /// @param output The graph's output encoding.
    /// @param context 32 bytes that the proof was bound to.
    /// @return True, or false for any proof that does not hold.
    function verify(
        bytes32 model,
        bytes calldata input,
        bytes calldata output,
        bytes32 context,
        bytes calldata proof
    ) external view returns (bool);
    /// @notice Whether `proof` shows that the model's output, masked by the pad in `commitment`,
    /// is `maskedOutput` for the input in `commitment`, in `context`.
    /// @param model Id in `Models`; a retired model still verifies.
    /// @param commitment To an input and to a one-time pad of the output.
    /// @param maskedOutput 4 bytes an element, little endian, below p.
    /// @param context 32 bytes that the proof was bound to.
    /// @return True, or false for any proof that does not hold.
    function verifyPrivate(
        bytes32 model,
        bytes32 commitment,
        bytes calldata maskedOutput,
        bytes32 context,
        bytes calldata proof
    ) external view returns (bool);
    /// @notice Gas charged for verifying a proof of this length, in bytes.
    function gas(bytes32 model, uint256 proofLength) external view returns (uint256);
    /// @notice As `gas`, for proofs that hide the input.
    function gasPrivate(bytes32 model, uint256 proofLength) external view returns (uint256);
}
