"""The shipped networks and digits."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

import hallmark

ASSETS = Path(__file__).resolve().parents[2] / "assets"


class Digits(NamedTuple):
    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    test: NDArray[np.bool_]


@pytest.fixture(scope="session")
def digits() -> Digits:
    table = np.loadtxt(ASSETS / "digits.csv", delimiter=",", skiprows=1, dtype=str)
    images = (table[:, 2:].astype(np.float32) / np.float32(16)).reshape(-1, 1, 8, 8)
    return Digits(images, table[:, 1].astype(np.int64), table[:, 0] == "test")


@pytest.fixture(scope="session")
def lenet(digits: Digits) -> hallmark.Model:
    return hallmark.compile(ASSETS / "lenet.onnx", digits.images[~digits.test])


@pytest.fixture(scope="session")
def key(lenet: hallmark.Model) -> hallmark.ProvingKey:
    return hallmark.setup(lenet)


@pytest.fixture(scope="session")
def mlp(digits: Digits) -> hallmark.Model:
    images = digits.images[~digits.test].reshape(-1, 64)
    return hallmark.compile((ASSETS / "digits.onnx").read_bytes(), images)


@pytest.fixture(scope="session")
def image(digits: Digits) -> NDArray[np.float32]:
    first: NDArray[np.float32] = digits.images[digits.test][0]
    return first


@pytest.fixture(scope="session")
def private(key: hallmark.ProvingKey, image: NDArray[np.float32]) -> hallmark.Proof:
    return hallmark.prove(key, image)


@pytest.fixture(scope="session")
def public(key: hallmark.ProvingKey, image: NDArray[np.float32]) -> hallmark.Proof:
    return hallmark.prove(key, image, mode="public")
