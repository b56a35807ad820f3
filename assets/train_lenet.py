#!/usr/bin/env python3
"""Trains a small LeNet on the digits and writes lenet.onnx and lenet.json beside this script.

    python3 assets/train_lenet.py

Needs numpy and onnx, and digits.csv (of train_digits.py), whose column `split` decides what is
trained on. Writes:

    lenet.onnx    Conv 5x5 pad 2 to 6 channels, Relu, MaxPool 2; Conv 3x3 pad 1 to 16 channels,
                  Relu, MaxPool 2; Flatten; Gemm 64-120-84-10 with Relu; float32;
                  input [1, 1, 8, 8] = pixels / 16
    lenet.json    accuracy of the float model, hyperparameters

LeNet-5 with the second kernel cut to 3x3, because a digit here is 8x8 and not 28x28. A test
image is read once, for the accuracy at the end: no choice below depends on it.
"""

import csv
import json
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SEED = 1998
EPOCHS = 120
BATCH = 64
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 2e-2
LABEL_SMOOTHING = 0.05
CONVOLUTIONS = [("conv1", 1, 6, 5), ("conv2", 6, 16, 3)]
DENSE = [("fc1", 64, 120), ("fc2", 120, 84), ("logits", 84, 10)]
HERE = pathlib.Path(__file__).resolve().parent


def load():
    """Images [n, 1, 8, 8] in 0..1, labels, and whether each is test."""
    with (HERE / "digits.csv").open() as file:
        rows = list(csv.reader(file))[1:]
    pixels = np.array([row[2:] for row in rows], dtype=np.float32).reshape(-1, 1, 8, 8) / 16
    labels = np.array([int(row[1]) for row in rows])
    return pixels, labels, np.array([row[0] == "test" for row in rows])


def shifted(images, rng):
    """Half of the images moved by at most one pixel in each direction, zeros moving in."""
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    result = images.copy()
    for index in np.flatnonzero(rng.random(len(images)) < 0.5):
        dy, dx = rng.integers(0, 3, size=2)
        result[index] = padded[index, :, dy : dy + 8, dx : dx + 8]
    return result


def initial(rng):
    """He initialisation, biases zero. Kernels as ONNX has them; dense weights [inputs, outputs]."""
    shapes = [(name, (out, inp, k, k), inp * k * k, out) for name, inp, out, k in CONVOLUTIONS]
    shapes += [(name, (inp, out), inp, out) for name, inp, out in DENSE]
    return {
        name: [
            rng.normal(0, np.sqrt(2 / fan_in), shape).astype(np.float32),
            np.zeros(out, dtype=np.float32),
        ]
        for name, shape, fan_in, out in shapes
    }


def patches(x, kernel):
    """[n, h, w, channels·kernel·kernel]: what a convolution of that size, padded, sees."""
    pad = kernel // 2
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(2, 3))
    n, channels, h, w = windows.shape[:4]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(n, h, w, channels * kernel * kernel)


def gathered(grads, shape, kernel):
    """Transpose of `patches`: each patch's gradient added where the patch was cut."""
    n, channels, h, w = shape
    pad = kernel // 2
    grads = grads.reshape(n, h, w, channels, kernel, kernel)
    padded = np.zeros((n, channels, h + 2 * pad, w + 2 * pad), dtype=np.float32)
    for dy in range(kernel):
        for dx in range(kernel):
            padded[:, :, dy : dy + h, dx : dx + w] += grads[..., dy, dx].transpose(0, 3, 1, 2)
    return padded[:, :, pad : pad + h, pad : pad + w]


def pooled(x):
    """The largest of each 2x2 square, and which one it was (the first of equals)."""
    n, channels, h, w = x.shape
    squares = x.reshape(n, channels, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5)
    squares = squares.reshape(n, channels, h // 2, w // 2, 4)
    return squares.max(axis=4), squares.argmax(axis=4)


def unpooled(grads, chosen):
    n, channels, h, w = grads.shape
    squares = (np.arange(4) == chosen[..., None]) * grads[..., None]
    squares = squares.reshape(n, channels, h, w, 2, 2).transpose(0, 1, 2, 4, 3, 5)
    return squares.reshape(n, channels, 2 * h, 2 * w)


def forward(parameters, x):
    """The logits, and what the backward pass needs of every layer."""
    tape = []
    for name, _, outputs, kernel in CONVOLUTIONS:
        w, b = parameters[name]
        seen = patches(x, kernel)
        y = np.maximum(seen @ w.reshape(outputs, -1).T + b, 0).transpose(0, 3, 1, 2)
        tape.append((name, x.shape, seen, y))
        x, chosen = pooled(y)
        tape.append(chosen)
    x = x.reshape(len(x), -1)
    for name, _, _ in DENSE:
        w, b = parameters[name]
        tape.append((name, x))
        x = x @ w + b
        if name != "logits":
            x = np.maximum(x, 0)
    return x, tape


def gradients(parameters, x, targets):
    """Gradients of the mean cross entropy."""
    logits, tape = forward(parameters, x)
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    delta = (exponents / exponents.sum(axis=1, keepdims=True) - targets) / len(x)
    result = {}
    for name, _, _ in reversed(DENSE):
        _, entered = tape.pop()
        result[name] = [entered.T @ delta, delta.sum(axis=0)]
        delta = delta @ parameters[name][0].T
        if name != DENSE[0][0]:
            delta *= entered > 0
    for name, _, outputs, kernel in reversed(CONVOLUTIONS):
        chosen = tape.pop()
        _, shape, seen, y = tape.pop()
        delta = unpooled(delta.reshape(chosen.shape), chosen) * (y > 0)
        flat = delta.transpose(0, 2, 3, 1).reshape(-1, outputs)
        w = parameters[name][0]
        result[name] = [(flat.T @ seen.reshape(len(flat), -1)).reshape(w.shape), flat.sum(axis=0)]
        delta = gathered(flat @ w.reshape(outputs, -1), shape, kernel)
    return result


def train(x, labels, rng):
    """Adam with decoupled weight decay and a cosine schedule."""
    parameters = initial(rng)
    moments = {name: [[np.zeros_like(p)] * 2 for p in pair] for name, pair in parameters.items()}
    one_hot = np.eye(10, dtype=np.float32)[labels] * (1 - LABEL_SMOOTHING) + LABEL_SMOOTHING / 10
    batches = -(-len(x) // BATCH)
    step = 0
    for _ in range(EPOCHS):
        order = rng.permutation(len(x))
        moved = shifted(x, rng)
        for batch in np.array_split(order, batches):
            step += 1
            rate = LEARNING_RATE * 0.5 * (1 + np.cos(np.pi * step / (EPOCHS * batches)))
            for name, pair in gradients(parameters, moved[batch], one_hot[batch]).items():
                for part, g in enumerate(pair):
                    m, v = moments[name][part]
                    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
                    moments[name][part] = [m, v]
                    p = parameters[name][part]
                    change = (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
                    decay = WEIGHT_DECAY * p if part == 0 else 0
                    parameters[name][part] = (p - rate * (change + decay)).astype(np.float32)
    return parameters


def score(parameters, x, labels):
    right = int((forward(parameters, x)[0].argmax(axis=1) == labels).sum())
    return {"images": len(labels), "correct": right, "accuracy": round(right / len(labels), 4)}


def export(parameters, path):
    nodes, tensors, value = [], [], "pixels"

    def node(op, name, *weights, **attributes):
        nonlocal value
        nodes.append(helper.make_node(op, [value, *weights], [name], name=name, **attributes))
        value = name

    def weights(name, transposed):
        w, b = parameters[name]
        w = np.ascontiguousarray(w.T) if transposed else w
        tensors.append(numpy_helper.from_array(w, f"{name}.weight"))
        tensors.append(numpy_helper.from_array(b, f"{name}.bias"))
        return f"{name}.weight", f"{name}.bias"

    for index, (name, _, _, kernel) in enumerate(CONVOLUTIONS, 1):
        shape = {"kernel_shape": [kernel] * 2, "pads": [kernel // 2] * 4, "strides": [1, 1]}
        node("Conv", name, *weights(name, False), dilations=[1, 1], group=1, **shape)
        node("Relu", f"relu{index}")
        node("MaxPool", f"pool{index}", ceil_mode=0, kernel_shape=[2, 2], pads=[0] * 4, strides=[2, 2])
    node("Flatten", "flatten", axis=1)
    for index, (name, _, _) in enumerate(DENSE, len(CONVOLUTIONS) + 1):
        node("Gemm", name, *weights(name, True), transB=1)
        if name != "logits":
            node("Relu", f"relu{index}")
    graph = helper.make_graph(
        nodes,
        "lenet",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, 1, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 10])],
        tensors,
    )
    opset = helper.make_opsetid("", 13)
    model = helper.make_model(graph, producer_name="hallmark", opset_imports=[opset])
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def main():
    x, labels, test = load()
    parameters = train(x[~test], labels[~test], np.random.default_rng(SEED))
    export(parameters, HERE / "lenet.onnx")
    report = {
        "dataset": "digits.csv",
        "model": "LeNet: Conv 5x5 to 6, MaxPool, Conv 3x3 to 16, MaxPool, 64-120-84-10, ReLU, input = pixels / 16",
        "parameters": sum(p.size for pair in parameters.values() for p in pair),
        "seed": SEED,
        "epochs": EPOCHS,
        "train": score(parameters, x[~test], labels[~test]),
        "test": score(parameters, x[test], labels[test]),
    }
    (HERE / "lenet.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
