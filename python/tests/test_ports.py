"""Several inputs and outputs, and symbolic dimensions: models written here byte by byte."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import hallmark


def varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def field(number: int, value: int | str | bytes) -> bytes:
    """A field of a protobuf message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def port(name: str, shape: list[int | str]) -> bytes:
    """A float32 tensor's name and shape (ValueInfoProto)."""
    sizes = [field(1, d) if isinstance(d, int) else field(2, d) for d in shape]
    dims = b"".join(field(1, size) for size in sizes)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, dims)))


def onnx(
    nodes: list[tuple[str, list[str], str]],
    inputs: dict[str, list[int | str]],
    outputs: dict[str, list[int | str]],
) -> bytes:
    """A model of operator set 13."""
    graph = field(2, "graph")
    for operator, operands, result in nodes:
        names = b"".join(field(1, operand) for operand in operands)
        graph += field(1, names + field(2, result) + field(3, result) + field(4, operator))
    graph += b"".join(field(11, port(*i)) for i in inputs.items())
    graph += b"".join(field(12, port(*o)) for o in outputs.items())
    return field(1, 8) + field(7, graph) + field(8, field(2, 13))


@pytest.fixture(scope="module")
def pair() -> hallmark.Model:
    """`sum = a + b` of shape [3], `product = a·a` of shape [3]."""
    model = onnx(
        [("Add", ["a", "b"], "sum"), ("Mul", ["a", "a"], "product")],
        {"a": [3], "b": [3]},
        {"sum": [3], "product": [3]},
    )
    random = np.random.default_rng(7)
    samples = {name: random.uniform(-1, 1, (64, 3)) for name in "ab"}
    return hallmark.compile(model, samples)


A: NDArray[np.float32] = np.array([0.5, -0.25, 0.0], np.float32)
B: NDArray[np.float32] = np.array([0.25, 0.5, -0.75], np.float32)


def test_a_model_of_several_inputs_takes_a_list_or_names(pair: hallmark.Model) -> None:
    assert [i.name for i in pair.inputs] == ["a", "b"]
    assert [o.name for o in pair.outputs] == ["sum", "product"]
    total, product = pair.run_all([A, B])
    assert np.allclose(total, A + B, atol=0.03)
    assert np.allclose(product, A * A, atol=0.03)
    for ours in [pair.run_all((A, B)), pair.run_all({"b": B, "a": A})]:
        assert np.array_equal(ours, [total, product])
    many = pair.run_all([np.stack([A, B]), np.stack([B, A])])
    assert [m.shape for m in many] == [(2, 3), (2, 3)]
    assert np.array_equal([m[0] for m in many], [total, product])


def test_several_inputs_or_outputs_are_not_taken_for_one(pair: hallmark.Model) -> None:
    with pytest.raises(ValueError, match=r"the model has 2 inputs \(a, b\)"):
        pair.run_all(A)
    with pytest.raises(ValueError, match="the model has 2 outputs: run_all gives them all"):
        pair.run([A, B])
    with pytest.raises(ValueError, match=r"hold \[2, 1\] samples"):
        pair.run_all([np.stack([A, A]), B])


@pytest.mark.parametrize("mode", ["public", "private-input"])
def test_several_inputs_and_outputs_are_proved(pair: hallmark.Model, mode: str) -> None:
    key = hallmark.setup(pair)
    proof = hallmark.prove(key, {"a": A, "b": B}, mode=mode)  # type: ignore[arg-type]
    result = hallmark.verify(key.verifying_key, proof)
    assert result.outputs is not None
    for ours, expected in zip(result.outputs, pair.run_all([A, B])):
        assert np.array_equal(ours, expected)
    with pytest.raises(ValueError, match="outputs gives them all"):
        _ = result.output
    if mode == "public":
        assert result.inputs is not None
        assert np.allclose(result.inputs, [A, B], atol=0.01)


def test_symbolic_dimensions_are_fixed_when_asked(tmp_path: Path) -> None:
    model = onnx([("Mul", ["x", "x"], "y")], {"x": ["batch", "width"]}, {"y": ["batch", "width"]})
    samples = np.linspace(-1, 1, 40).reshape(10, 4)
    with pytest.raises(hallmark.CompileError, match='dimension 0 .*"batch".* is dynamic'):
        hallmark.compile(model, samples)
    path = tmp_path / "square.onnx"
    path.write_bytes(model)
    fixed = hallmark.compile(path, samples, fix_batch=True, dims={"width": 4})
    assert [i.shape for i in fixed.inputs] == [(1, 4)]
    assert np.allclose(fixed.run(samples), samples**2, atol=0.03)
