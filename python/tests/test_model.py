import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import ASSETS, Digits
from numpy.typing import NDArray

import hallmark


def test_the_integer_network_reads_unseen_digits(lenet: hallmark.Model, digits: Digits) -> None:
    answers = lenet.run(digits.images[digits.test])
    assert answers.shape == (digits.test.sum(), 10)
    assert answers.dtype == np.float32
    right = answers.argmax(axis=1) == digits.labels[digits.test]
    assert right.mean() > 0.97


def test_a_model_tells_its_inputs_outputs_and_cost(lenet: hallmark.Model) -> None:
    [image] = lenet.inputs
    [scores] = lenet.outputs
    assert (image.shape, scores.shape) == ((1, 1, 8, 8), (1, 10))
    assert image.low <= 0 and image.high >= 1 - image.step
    assert lenet.params > 19_000 and lenet.macs > lenet.params
    assert lenet.report is not None
    assert lenet.report.samples == 1438
    assert lenet.report.top1_agreement > 0.98
    assert lenet.report.worst in [layer.name for layer in lenet.report.layers]


def test_one_sample_has_the_inputs_shape_with_or_without_the_leading_one(
    lenet: hallmark.Model, image: NDArray[np.float32]
) -> None:
    whole = lenet.run(image[None])
    assert whole.shape == (1, 10)
    assert np.array_equal(whole, lenet.run(image))
    assert np.array_equal(whole, lenet.run([image]))
    assert np.array_equal(whole, lenet.run({lenet.inputs[0].name: image}))
    stacked = lenet.run(np.stack([image[None]] * 3))
    assert stacked.shape == (3, 1, 10)
    assert np.array_equal(stacked[2], whole)


def test_other_number_types_and_orders_give_the_same(
    lenet: hallmark.Model, image: NDArray[np.float32]
) -> None:
    expected = lenet.run(image)
    assert np.array_equal(expected, lenet.run(image.astype(np.float64)))
    transposed = np.asfortranarray(np.tile(image, (2, 1, 1, 1)))
    assert np.array_equal(expected[0], lenet.run(transposed)[1])
    zeros_and_ones = image > 0.5
    assert np.array_equal(
        lenet.run(zeros_and_ones), lenet.run(zeros_and_ones.astype(np.int64))
    )


@pytest.mark.parametrize("shape", [(64,), (8, 8), (1, 3, 8, 8), (1, 1, 8, 9), (2, 2, 1, 8, 8), ()])
def test_another_shape_is_a_value_error_that_says_both(
    lenet: hallmark.Model, shape: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match=r"has the shape \[1, 1, 8, 8\]"):
        lenet.run(np.zeros(shape, np.float32))


def test_numbers_that_the_model_cannot_take_are_refused(
    lenet: hallmark.Model, image: NDArray[np.float32]
) -> None:
    with pytest.raises(ValueError, match="input element 0 is 50"):
        lenet.run(np.full_like(image, 50))
    with pytest.raises(ValueError, match="sample 1: input element 0 is NaN"):
        lenet.run(np.stack([image, np.full_like(image, np.nan)]))
    with pytest.raises(ValueError, match="at least one sample"):
        lenet.run(np.zeros((0, 1, 8, 8)))
    with pytest.raises(TypeError, match="numbers"):
        lenet.run(np.full((1, 8, 8), "one"))


def test_arrays_must_be_of_the_models_inputs(
    lenet: hallmark.Model, image: NDArray[np.float32]
) -> None:
    with pytest.raises(ValueError, match="a list of 2 arrays given, the model has 1 inputs"):
        lenet.run([image, image])
    with pytest.raises(ValueError, match="no array given for input"):
        lenet.run({"other": image})
    with pytest.raises(ValueError, match='no input "other"'):
        lenet.run({lenet.inputs[0].name: image, "other": image})


def test_a_saved_model_is_the_same_model(
    lenet: hallmark.Model, image: NDArray[np.float32], tmp_path: Path
) -> None:
    lenet.save(tmp_path / "lenet.hmk")
    loaded = hallmark.Model.load(str(tmp_path / "lenet.hmk"))
    assert np.array_equal(loaded.run(image), lenet.run(image))
    assert loaded.report is None
    assert [i.name for i in loaded.inputs] == ["input0"]
    assert hallmark.setup(loaded).verifying_key.bytes == hallmark.setup(lenet).verifying_key.bytes


def test_damaged_and_missing_files_are_named(lenet: hallmark.Model, tmp_path: Path) -> None:
    path = tmp_path / "damaged.hmk"
    lenet.save(path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(hallmark.FormatError, match="damaged.hmk"):
        hallmark.Model.load(path)
    with pytest.raises(FileNotFoundError, match="missing.hmk"):
        hallmark.Model.load(tmp_path / "missing.hmk")
    with pytest.raises(FileNotFoundError, match="missing.onnx"):
        hallmark.compile(tmp_path / "missing.onnx", np.zeros((1, 64)))


def test_what_cannot_be_compiled_is_said(digits: Digits) -> None:
    with pytest.raises(hallmark.CompileError, match="ONNX"):
        hallmark.compile(b"no model", digits.images)
    with pytest.raises(ValueError, match="bits is 7"):
        hallmark.compile(ASSETS / "lenet.onnx", digits.images, bits=7)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the array has"):
        hallmark.compile(ASSETS / "digits.onnx", digits.images)
    damaged = np.full((1, 64), np.inf, np.float32)
    with pytest.raises(hallmark.CompileError, match="not a finite number"):
        hallmark.compile(ASSETS / "digits.onnx", damaged)


def test_sixteen_bits_are_nearer_to_the_float_network(
    lenet: hallmark.Model, digits: Digits
) -> None:
    finer = hallmark.compile(ASSETS / "lenet.onnx", digits.images[~digits.test], bits=16)
    assert finer.report is not None and lenet.report is not None
    assert finer.report.max_error < lenet.report.max_error / 10


def test_other_threads_run_while_a_model_compiles(digits: Digits) -> None:
    turns = 0
    done = threading.Event()

    def take_turns() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1
            time.sleep(0)

    images = np.ascontiguousarray(digits.images[~digits.test], np.float32)
    model = (ASSETS / "lenet.onnx").read_bytes()
    other = threading.Thread(target=take_turns)
    interval = sys.getswitchinterval()
    # Nobody is made to pass the interpreter's lock on: the other thread has a turn only if it is
    # released.
    sys.setswitchinterval(1000)
    try:
        other.start()
        before = turns
        hallmark.compile(model, images)
        after = turns
    finally:
        done.set()
        sys.setswitchinterval(interval)
        other.join()
    assert after > before
