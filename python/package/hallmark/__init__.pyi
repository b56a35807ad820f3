import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

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

_Path: TypeAlias = str | os.PathLike[str]
# In a class that has a property of that name.
_Bytes: TypeAlias = bytes
_Mode: TypeAlias = Literal["private-input", "public"]
_Array: TypeAlias = NDArray[np.floating[Any] | np.integer[Any] | np.bool_]
# One array; one for each input, in their order; one for each input, by name.
_Arrays: TypeAlias = _Array | Sequence[_Array] | Mapping[str, _Array]

class HallmarkError(Exception):
    """What every error of this package is, beside ValueError, TypeError and OSError."""

class CompileError(HallmarkError):
    """A model that cannot be imported or quantised; the message names the node."""

class FormatError(HallmarkError):
    """Bytes that are no model, key, proof or secret, or of another version."""

class ProvingError(HallmarkError):
    """A model that cannot be proved, or not in this mode."""

class VerificationError(HallmarkError):
    """A proof that is refused; the message is the first check that failed."""

@final
class TensorInfo:
    """An input or output: real number = integer × `step`."""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def low(self) -> float:
        """Smallest real number that it can hold."""
    @property
    def high(self) -> float:
        """Largest real number that it can hold."""
    @property
    def step(self) -> float:
        """What one integer step means."""

@final
class LayerReport:
    """One node and its integers."""

    @property
    def name(self) -> str: ...
    @property
    def source(self) -> str:
        """The ONNX operator."""
    @property
    def snr_db(self) -> float:
        """Power of the float tensor over the power of the difference, in decibels."""

@final
class Report:
    """How far the integer model is from the float model on the calibration samples."""

    @property
    def samples(self) -> int: ...
    @property
    def max_error(self) -> float: ...
    @property
    def mean_error(self) -> float: ...
    @property
    def output_range(self) -> float:
        """Largest minus smallest output element of the float model."""
    @property
    def top1_agreement(self) -> float:
        """Share of samples whose largest output is the same."""
    @property
    def snr_db(self) -> float: ...
    @property
    def params(self) -> int: ...
    @property
    def macs(self) -> int: ...
    @property
    def lookups(self) -> int: ...
    @property
    def worst(self) -> str | None:
        """Name of the node whose result lost most."""
    @property
    def layers(self) -> list[LayerReport]: ...

@final
class Model:
    """An integer model: the exact function that is run and proved."""

    @staticmethod
    def load(path: _Path) -> Model:
        """Reads a `.hmk` file. It holds no names: inputs are called `input0`, `input1`, …"""
    def save(self, path: _Path) -> None:
        """Writes the `.hmk` file that `Model.load` and the command line read."""
    @property
    def report(self) -> Report | None:
        """What quantising cost; `None` of a model that was loaded."""
    @property
    def inputs(self) -> list[TensorInfo]: ...
    @property
    def outputs(self) -> list[TensorInfo]: ...
    @property
    def params(self) -> int: ...
    @property
    def macs(self) -> int: ...
    def run(self, x: _Arrays) -> NDArray[np.float32]:
        """The output on one sample or on many, in real numbers.

        An array of an input's shape is one sample; one more axis in front, or another length
        instead of a leading 1, makes it many, and the output has that axis too.
        """
    def run_all(self, x: _Arrays) -> list[NDArray[np.float32]]:
        """As `run`, one array for each output."""

@final
class VerifyingKey:
    """What a verifier knows of a model: its graph and a commitment to its weights."""

    @staticmethod
    def from_bytes(data: _Bytes) -> VerifyingKey: ...
    @property
    def bytes(self) -> _Bytes: ...
    @property
    def digest(self) -> _Bytes:
        """32 bytes that name the model."""
    @property
    def commitment(self) -> _Bytes:
        """32 bytes: the commitment to the weights."""
    def security_bits(self, mode: _Mode = "private-input") -> float:
        """Bits of security of the proofs of a mode, summed over all terms."""
    def max_proof_bytes(self, mode: _Mode = "private-input") -> int:
        """No proof of a mode is longer."""

@final
class ProvingKey:
    """What a prover holds: a model with the data of its weight commitment."""

    @property
    def verifying_key(self) -> VerifyingKey: ...

@final
class Proof:
    """A proof with its statement, and with the secret where this process made it."""

    @staticmethod
    def load(path: _Path, *, secret: _Path | None = None) -> Proof:
        """Reads what `save`, or `hallmark zk prove`, wrote. Nothing is verified yet."""
    def save(self, path: _Path, *, secret: _Path | None = None) -> None:
        """Writes the file that `load` and `hallmark zk verify` read; the secret to one of its own."""
    @property
    def bytes(self) -> _Bytes: ...
    @property
    def mode(self) -> _Mode: ...
    @property
    def context(self) -> _Bytes: ...
    @property
    def commitment(self) -> _Bytes | None:
        """Of a private input: the commitment to it and to the pads of the outputs."""
    @property
    def masked_output(self) -> NDArray[np.uint32] | None:
        """Of a private input: the outputs plus their pads modulo the field's prime, flat."""
    @property
    def output(self) -> NDArray[np.float32] | None:
        """The output as the proof states it; `None` without the secret of a private one."""
    @property
    def outputs(self) -> list[NDArray[np.float32]] | None:
        """As `output`, one array for each output of the model."""
    @property
    def secret(self) -> _Bytes | None:
        """Of a private input: 32 bytes that open the output. They serve this proof only."""

@final
class VerifiedOutput:
    """What a verified proof says."""

    @property
    def mode(self) -> _Mode: ...
    @property
    def output(self) -> NDArray[np.float32] | None:
        """The output; `None` of a private input as long as nobody opens it."""
    @property
    def outputs(self) -> list[NDArray[np.float32]] | None:
        """As `output`, one array for each output of the model."""
    @property
    def inputs(self) -> list[NDArray[np.float32]] | None:
        """Of a public proof: one array for each input of the model, as it was rounded."""
    @property
    def commitment(self) -> _Bytes | None:
        """Of a private input: the commitment to it. Compare it with what was ordered."""
    @property
    def masked_output(self) -> NDArray[np.uint32] | None:
        """Of a private input: the outputs plus their pads modulo the field's prime, flat."""
    def open(self, secret: _Bytes) -> VerifiedOutput:
        """Takes the pads off: the same with `output`."""

def compile(
    onnx: _Path | bytes,
    calibration: _Arrays,
    *,
    bits: Literal[8, 16] = 8,
    fix_batch: bool = False,
    dims: Mapping[str, int] | None = None,
) -> Model:
    """Quantises an ONNX model to integers, with scales from representative samples.

    `fix_batch` sets a leading symbolic dimension of an input to 1; `dims` gives symbolic
    dimensions by name.
    """

def setup(model: Model) -> ProvingKey:
    """Commits to the weights of a model; the same model always gives the same key."""

def prove(
    key: ProvingKey,
    x: _Arrays,
    *,
    mode: _Mode = "private-input",
    context: bytes = ...,
) -> Proof:
    """Runs the model on one sample and proves the run, bound to the 32 bytes of `context`.

    "private-input" hides the input behind a commitment and the output under a one-time pad, from
    all but who holds the proof's secret (and this process); "public" hides nothing.
    """

def verify(verifying_key: VerifyingKey, proof: Proof, *, context: bytes = ...) -> VerifiedOutput:
    """Checks a proof against the caller's key and context.

    Raises VerificationError with the first check that failed.
    """
