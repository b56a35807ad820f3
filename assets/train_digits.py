#!/usr/bin/env python3
"""Trains the digit classifier of the demonstration and writes the files beside this script.

    python3 assets/train_digits.py

Needs numpy, scikit-learn (for the data set, which it ships) and onnx. Writes:

    digits.csv    the 1,797 images: split, label, 64 pixels of 0..16, in the data set's order
    digits.onnx   MLP 64-128-128-10, Gemm and Relu, float32; input [1, 64] = pixels / 16
    digits.json   accuracy of the float model, hyperparameters, provenance

The split is fixed by SEED and balanced by label: a fifth of the images is `test`, and nothing
below reads them before the accuracy at the end is measured.
"""

import json
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits

SEED = 1618
LAYERS = [64, 128, 128, 10]
EPOCHS = 160
BATCH = 64
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 2e-2
LABEL_SMOOTHING = 0.05
HERE = pathlib.Path(__file__).resolve().parent


def split(labels, rng):
    """True where an image is test: a fifth of each label, drawn by the seed."""
    test = np.zeros(len(labels), dtype=bool)
    for label in range(10):
        members = rng.permutation(np.flatnonzero(labels == label))
        test[members[: round(len(members) / 5)]] = True
    return test


def shifted(images, rng):
    """Each image moved by at most one pixel in each direction, zeros moving in."""
    result = np.zeros_like(images)
    for index, image in enumerate(images.reshape(-1, 8, 8)):
        dy, dx = rng.integers(-1, 2, size=2) if rng.random() < 0.5 else (0, 0)
        padded = np.pad(image, 1)
        result[index] = padded[1 + dy : 9 + dy, 1 + dx : 9 + dx].reshape(64)
    return result


def initial(rng):
    """He initialisation, biases zero."""
    pairs = zip(LAYERS, LAYERS[1:])
    return [
        (rng.normal(0, np.sqrt(2 / fan_in), (fan_in, fan_out)), np.zeros(fan_out))
        for fan_in, fan_out in pairs
    ]


def forward(parameters, x):
    """Activations of every layer, the input first and the logits last."""
    activations = [x]
    for index, (w, b) in enumerate(parameters):
        x = x @ w + b
        if index + 1 < len(parameters):
            x = np.maximum(x, 0)
        activations.append(x)
    return activations


def gradients(parameters, x, targets):
    """Gradients of the mean cross entropy."""
    activations = forward(parameters, x)
    logits = activations[-1] - activations[-1].max(axis=1, keepdims=True)
    probabilities = np.exp(logits)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    delta = (probabilities - targets) / len(x)
    result = []
    for index in reversed(range(len(parameters))):
        result.append((activations[index].T @ delta, delta.sum(axis=0)))
        if index > 0:
            delta = (delta @ parameters[index][0].T) * (activations[index] > 0)
    return result[::-1]


def train(x, labels, rng):
    """Adam with decoupled weight decay and a cosine schedule."""
    parameters = initial(rng)
    moments = [[(np.zeros_like(p), np.zeros_like(p)) for p in layer] for layer in parameters]
    one_hot = np.eye(10)[labels] * (1 - LABEL_SMOOTHING) + LABEL_SMOOTHING / 10
    batches = -(-len(x) // BATCH)
    step = 0
    for _ in range(EPOCHS):
        order = rng.permutation(len(x))
        moved = shifted(x, rng)
        for batch in np.array_split(order, batches):
            step += 1
            rate = LEARNING_RATE * 0.5 * (1 + np.cos(np.pi * step / (EPOCHS * batches)))
            grads = gradients(parameters, moved[batch], one_hot[batch])
            for index, layer in enumerate(grads):
                updated = []
                for part, (p, g) in enumerate(zip(parameters[index], layer)):
                    m, v = moments[index][part]
                    m = 0.9 * m + 0.1 * g
                    v = 0.999 * v + 0.001 * g * g
                    moments[index][part] = (m, v)
                    m_hat, v_hat = m / (1 - 0.9**step), v / (1 - 0.999**step)
                    decay = WEIGHT_DECAY * p if part == 0 else 0
                    updated.append(p - rate * (m_hat / (np.sqrt(v_hat) + 1e-8) + decay))
                parameters[index] = tuple(updated)
    return [(w.astype(np.float32), b.astype(np.float32)) for w, b in parameters]


def accuracy(parameters, x, labels):
    predictions = forward(parameters, x.astype(np.float32))[-1].argmax(axis=1)
    return int((predictions == labels).sum()), len(labels)


def export(parameters, path):
    nodes, tensors, value = [], [], "pixels"
    for index, (w, b) in enumerate(parameters):
        last = index + 1 == len(parameters)
        tensors += [
            numpy_helper.from_array(w, f"fc{index + 1}.weight"),
            numpy_helper.from_array(b, f"fc{index + 1}.bias"),
        ]
        out = "logits" if last else f"fc{index + 1}.out"
        inputs = [value, f"fc{index + 1}.weight", f"fc{index + 1}.bias"]
        nodes.append(helper.make_node("Gemm", inputs, [out], name=f"fc{index + 1}"))
        value = out
        if not last:
            nodes.append(helper.make_node("Relu", [out], [f"relu{index + 1}.out"], name=f"relu{index + 1}"))
            value = f"relu{index + 1}.out"
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, 64])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 10])],
        tensors,
    )
    model = helper.make_model(
        graph, producer_name="hallmark", opset_imports=[helper.make_opsetid("", 17)]
    )
    model.ir_version = 8
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


def main():
    digits = load_digits()
    pixels, labels = digits.data.astype(np.int64), digits.target
    rng = np.random.default_rng(SEED)
    test = split(labels, rng)
    lines = ["split,label," + ",".join(f"p{i}" for i in range(64))]
    for row, label, is_test in zip(pixels, labels, test):
        lines.append(f"{'test' if is_test else 'train'},{label}," + ",".join(map(str, row)))
    (HERE / "digits.csv").write_text("\n".join(lines) + "\n")

    x = pixels / 16
    parameters = train(x[~test], labels[~test], rng)
    export(parameters, HERE / "digits.onnx")
    (train_right, train_count) = accuracy(parameters, x[~test], labels[~test])
    (test_right, test_count) = accuracy(parameters, x[test], labels[test])
    report = {
        "dataset": "Optical Recognition of Handwritten Digits (UCI), 1,797 images of 8x8 pixels",
        "authors": "E. Alpaydin, C. Kaynak",
        "source": "https://doi.org/10.24432/C50P49",
        "licence": "CC BY 4.0",
        "model": "MLP " + "-".join(map(str, LAYERS)) + ", ReLU, input = pixels / 16",
        "seed": SEED,
        "epochs": EPOCHS,
        "train": {"images": train_count, "correct": train_right, "accuracy": round(train_right / train_count, 4)},
        "test": {"images": test_count, "correct": test_right, "accuracy": round(test_right / test_count, 4)},
    }
    (HERE / "digits.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
