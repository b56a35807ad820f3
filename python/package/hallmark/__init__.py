"""Compile ONNX models to integer circuits, prove their runs, verify the proofs.

    model = hallmark.compile("model.onnx", calibration=samples)
    key = hallmark.setup(model)
    proof = hallmark.prove(key, x)                        # hides x and the output
    result = hallmark.verify(key.verifying_key, proof)    # raises VerificationError
    result.output                                         # opened by proof.secret
"""

from ._hallmark import (
    CompileError,
    FormatError,
    HallmarkError,
    LayerReport,
    Model,
    Proof,
    ProvingError,
    ProvingKey,
    Report,
    TensorInfo,
    VerificationError,
    VerifiedOutput,
    VerifyingKey,
    compile,
    prove,
    setup,
    verify,
)

__all__ = [
    "CompileError",
    "FormatError",
    "HallmarkError",
    "LayerReport",
    "Model",
    "Proof",
    "ProvingError",
    "ProvingKey",
    "Report",
    "TensorInfo",
    "VerificationError",
    "VerifiedOutput",
    "VerifyingKey",
    "compile",
    "prove",
    "setup",
    "verify",
]
