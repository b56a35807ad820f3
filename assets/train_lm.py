#!/usr/bin/env python3
"""Trains a small language model on text.txt and writes it beside this script.

    python3 assets/train_lm.py

Needs numpy and onnx; about ten minutes on one core. Writes:

    lm.onnx               ids int64 [1, 64] -> logits [1, 64, 96], float32
    lm.json               vocabulary, hyperparameters, perplexity on the held-out text
    lm_calibration.npz    `ids` int64 [32, 64]: windows of the training part
    lm_test.npz           `ids` and `next` int64 [32, 64]: held-out windows, and the same one
                          character on

A character is a symbol: id 0 is a newline, id k is the character of code 31 + k, so 1 is a space
and 95 a tilde. The model has 4 layers of width 64, 4 heads, an inner width of 256 and 64
positions; each layer is x + attention(norm(x)), then + ffn(norm(x)), GELU by Erf, a mask that
lets a position see itself and what is before it.

The last tenth of the text is held out: nothing below reads it before the perplexity at the end.
Steps, rates and dropout were chosen on the last tenth of the rest, which the final training
includes. Perplexity is exp of the mean cross entropy over every position of disjoint windows of
64, the first position with no context included.
"""

import json
import pathlib
import sys
import time

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SEED = 2718
LAYERS, WIDTH, HEADS, INNER, CONTEXT, SYMBOLS = 4, 64, 4, 256, 64, 96
STEPS = 5000
BATCH = 32
LEARNING_RATE = 6e-3
WARM_UP = 150
WEIGHT_DECAY = 0.1
DROPOUT = 0.1
CLIP = 1.0
HELD_OUT = 0.1
SAMPLES = 32
EPSILON = 1e-5
MASKED = -1e9
HERE = pathlib.Path(__file__).resolve().parent


def load():
    """The ids of the training part and of the held-out part."""
    codes = np.frombuffer((HERE / "text.txt").read_bytes(), dtype=np.uint8).astype(np.int64)
    ids = np.where(codes == 10, 0, codes - 31)
    assert ids.min() >= 0 and ids.max() < SYMBOLS
    cut = len(ids) - int(len(ids) * HELD_OUT)
    return ids[:cut], ids[cut:]


def windows(ids, starts):
    """Windows that begin there, and the same one character on."""
    index = np.asarray(starts)[:, None] + np.arange(CONTEXT)
    return ids[index], ids[index + 1]


# A tape: every operation returns a Value and leaves on the tape how its gradient flows back.


class Value:
    def __init__(self, data):
        self.data, self.grad = data, None

    def add_grad(self, grad):
        self.grad = grad if self.grad is None else self.grad + grad


class Tape:
    """`rng` switches dropout on."""

    def __init__(self, rng=None):
        self.rng, self.steps = rng, []

    def push(self, data, backward):
        out = Value(data)
        self.steps.append((out, backward))
        return out

    def backward(self):
        for out, backward in reversed(self.steps):
            backward(out.grad)
            out.grad = None

    def embedding(self, tokens, places, ids):
        def backward(grad):
            into = np.zeros_like(tokens.data)
            np.add.at(into, ids, grad)
            tokens.add_grad(into)
            places.add_grad(grad.sum(axis=0))

        return self.push(tokens.data[ids] + places.data, backward)

    def linear(self, x, w, b=None):
        flat = x.data.reshape(-1, x.data.shape[-1])
        out = flat @ w.data
        if b is not None:
            out += b.data

        def backward(grad):
            grad = grad.reshape(len(flat), -1)
            w.add_grad(flat.T @ grad)
            x.add_grad((grad @ w.data.T).reshape(x.data.shape))
            if b is not None:
                b.add_grad(grad.sum(axis=0))

        return self.push(out.reshape(*x.data.shape[:-1], -1), backward)

    def add(self, a, b):
        def backward(grad):
            a.add_grad(grad)
            b.add_grad(grad)

        return self.push(a.data + b.data, backward)

    def norm(self, x, w, b):
        centred = x.data - x.data.mean(axis=-1, keepdims=True)
        inverse = 1 / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + EPSILON)
        unit = centred * inverse

        def backward(grad):
            flat = grad.reshape(-1, WIDTH)
            w.add_grad((flat * unit.reshape(-1, WIDTH)).sum(axis=0))
            b.add_grad(flat.sum(axis=0))
            grad = grad * w.data
            along = (grad * unit).mean(axis=-1, keepdims=True)
            x.add_grad((grad - grad.mean(axis=-1, keepdims=True) - unit * along) * inverse)

        return self.push(unit * w.data + b.data, backward)

    def gelu(self, x):
        """Erf by formula 7.1.26 of Abramowitz and Stegun, within 1.5e-7."""
        z = np.abs(x.data) * np.float32(np.sqrt(0.5))
        bell = np.exp(-z * z)
        t = 1 / (1 + np.float32(0.3275911) * z)
        series = np.float32(1.061405429) * t - np.float32(1.453152027)
        for coefficient in (1.421413741, -0.284496736, 0.254829592):
            series = series * t + np.float32(coefficient)
        cumulative = 0.5 + 0.5 * np.copysign(1 - series * t * bell, x.data)
        slope = cumulative + x.data * bell * np.float32(1 / np.sqrt(2 * np.pi))
        return self.push(x.data * cumulative, lambda grad: x.add_grad(grad * slope))

    def attention(self, q, k, v):
        n, length, _ = q.data.shape
        scale = np.float32(1 / np.sqrt(WIDTH // HEADS))
        hidden = np.triu(np.full((length, length), MASKED, dtype=q.data.dtype), 1)

        def split(x):
            return x.reshape(n, length, HEADS, -1).transpose(0, 2, 1, 3)

        def joined(x):
            return x.transpose(0, 2, 1, 3).reshape(n, length, WIDTH)

        qs, ks, vs = split(q.data), split(k.data), split(v.data)
        scores = qs @ ks.transpose(0, 1, 3, 2) * scale + hidden
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)

        def backward(grad):
            grad = split(grad)
            v.add_grad(joined(weights.transpose(0, 1, 3, 2) @ grad))
            inner = grad @ vs.transpose(0, 1, 3, 2)
            inner = weights * (inner - (inner * weights).sum(axis=-1, keepdims=True)) * scale
            q.add_grad(joined(inner @ ks))
            k.add_grad(joined(inner.transpose(0, 1, 3, 2) @ qs))

        return self.push(joined(weights @ vs), backward)

    def dropout(self, x):
        if self.rng is None:
            return x
        kept = self.rng.random(x.data.shape, dtype=np.float32) >= DROPOUT
        kept = kept.astype(np.float32) / np.float32(1 - DROPOUT)
        return self.push(x.data * kept, lambda grad: x.add_grad(grad * kept))

    def cross_entropy(self, logits, targets):
        """The mean over all positions; begins the way back."""
        flat = logits.data.reshape(-1, SYMBOLS)
        shifted = flat - flat.max(axis=1, keepdims=True)
        exponents = np.exp(shifted)
        total = exponents.sum(axis=1, keepdims=True)
        rows = np.arange(len(flat))
        losses = np.log(total[:, 0]) - shifted[rows, targets.reshape(-1)]
        grad = exponents / total
        grad[rows, targets.reshape(-1)] -= 1
        logits.grad = (grad / len(flat)).reshape(logits.data.shape)
        return float(losses.mean())


def initial(rng):
    """As GPT-2 starts, wider for the width; projections into the residual stream are smaller."""
    small = 1 / np.sqrt(2 * LAYERS)
    shapes = {"tokens": ((SYMBOLS, WIDTH), 0.5), "places": ((CONTEXT, WIDTH), 0.1)}
    for layer in range(LAYERS):
        name = f"block{layer}"
        for part in "qkv":
            shapes[f"{name}.{part}"] = ((WIDTH, WIDTH), WIDTH**-0.5)
        shapes[f"{name}.out"] = ((WIDTH, WIDTH), small * WIDTH**-0.5)
        shapes[f"{name}.up"] = ((WIDTH, INNER), WIDTH**-0.5)
        shapes[f"{name}.down"] = ((INNER, WIDTH), small * INNER**-0.5)
    shapes["head"] = ((WIDTH, SYMBOLS), 0.02)
    parameters = {}
    for name, (shape, sigma) in shapes.items():
        parameters[name] = Value(rng.normal(0, sigma, shape).astype(np.float32))
        if name.startswith("block"):
            parameters[f"{name}.bias"] = Value(np.zeros(shape[1], dtype=np.float32))
    for name in [f"block{layer}.norm{part}" for layer in range(LAYERS) for part in (1, 2)] + ["norm"]:
        parameters[f"{name}.weight"] = Value(np.ones(WIDTH, dtype=np.float32))
        parameters[f"{name}.bias"] = Value(np.zeros(WIDTH, dtype=np.float32))
    return parameters


def forward(tape, parameters, ids):
    """The logits of every position."""

    def linear(x, name):
        return tape.linear(x, parameters[name], parameters[f"{name}.bias"])

    def norm(x, name):
        return tape.norm(x, parameters[f"{name}.weight"], parameters[f"{name}.bias"])

    x = tape.dropout(tape.embedding(parameters["tokens"], parameters["places"], ids))
    for layer in range(LAYERS):
        name = f"block{layer}"
        y = norm(x, f"{name}.norm1")
        y = tape.attention(*(linear(y, f"{name}.{part}") for part in "qkv"))
        x = tape.add(x, tape.dropout(linear(y, f"{name}.out")))
        y = tape.gelu(linear(norm(x, f"{name}.norm2"), f"{name}.up"))
        x = tape.add(x, tape.dropout(linear(y, f"{name}.down")))
    return tape.linear(norm(x, "norm"), parameters["head"])


def perplexity(parameters, ids):
    """Over disjoint windows from the start of the ids; what is left of the last one is dropped."""
    starts = np.arange(0, len(ids) - CONTEXT, CONTEXT)
    total = 0.0
    for part in np.array_split(starts, -(-len(starts) // 64)):
        tape = Tape()
        seen, following = windows(ids, part)
        total += tape.cross_entropy(forward(tape, parameters, seen), following) * len(part)
    return float(np.exp(total / len(starts))), len(starts)


def train(ids, rng, steps=STEPS, every=None, watch=None):
    """Adam with decoupled weight decay, a warm-up and a cosine schedule."""
    parameters = initial(rng)
    moments = {name: (np.zeros_like(p.data), np.zeros_like(p.data)) for name, p in parameters.items()}
    for step in range(1, steps + 1):
        seen, following = windows(ids, rng.integers(0, len(ids) - CONTEXT, BATCH))
        tape = Tape(rng if DROPOUT else None)
        loss = tape.cross_entropy(forward(tape, parameters, seen), following)
        tape.backward()
        size = np.sqrt(sum(float((p.grad * p.grad).sum()) for p in parameters.values()))
        rate = LEARNING_RATE * min(step / WARM_UP, 0.5 * (1 + np.cos(np.pi * step / steps)))
        for name, p in parameters.items():
            g = p.grad * np.float32(min(1, CLIP / size))
            m, v = moments[name]
            m += (g - m) * np.float32(0.1)
            v += (g * g - v) * np.float32(0.01)
            change = (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.99**step)) + 1e-8)
            if p.data.ndim == 2:
                change = change + WEIGHT_DECAY * p.data
            p.data = (p.data - rate * change).astype(np.float32)
            p.grad = None
        if every and step % every == 0:
            watch(step, loss, parameters)
    return parameters


def export(parameters, path):
    """The operators that PyTorch writes for the same modules, in set 17."""
    nodes, tensors, known = [], [], set()

    def constant(name, values, dtype=np.float32):
        if name not in known:
            known.add(name)
            tensors.append(numpy_helper.from_array(np.asarray(values, dtype=dtype), name))
        return name

    def parameter(name):
        return constant(name, parameters[name].data)

    def node(op, inputs, name, **attributes):
        nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def linear(x, name):
        product = node("MatMul", [x, parameter(name)], f"{name}.matmul")
        return node("Add", [parameter(f"{name}.bias"), product], f"{name}.sum")

    def norm(x, name):
        operands = [x, parameter(f"{name}.weight"), parameter(f"{name}.bias")]
        return node("LayerNormalization", operands, name, axis=-1, epsilon=EPSILON)

    def by_head(x, name, perm):
        shape = constant("by_head", [1, CONTEXT, HEADS, WIDTH // HEADS], np.int64)
        return node("Transpose", [node("Reshape", [x, shape], f"{name}.heads")], f"{name}.moved", perm=perm)

    visible = np.tril(np.ones((1, 1, CONTEXT, CONTEXT), dtype=bool))
    token = node("Gather", [parameter("tokens"), "ids"], "token", axis=0)
    x = node("Add", [token, constant("places", parameters["places"].data[None])], "embedding")
    for layer in range(LAYERS):
        name = f"block{layer}"
        y = norm(x, f"{name}.norm1")
        q = by_head(linear(y, f"{name}.q"), f"{name}.q", [0, 2, 1, 3])
        k = by_head(linear(y, f"{name}.k"), f"{name}.k", [0, 2, 3, 1])
        v = by_head(linear(y, f"{name}.v"), f"{name}.v", [0, 2, 1, 3])
        scores = node("MatMul", [q, k], f"{name}.scores")
        scores = node("Div", [scores, constant("root", np.sqrt(WIDTH // HEADS))], f"{name}.scaled")
        operands = [constant("visible", visible, bool), scores, constant("masked", MASKED)]
        weights = node("Softmax", [node("Where", operands, f"{name}.causal")], f"{name}.weights", axis=-1)
        y = node("Transpose", [node("MatMul", [weights, v], f"{name}.mixed")], f"{name}.joined", perm=[0, 2, 1, 3])
        y = node("Reshape", [y, constant("flat", [1, CONTEXT, WIDTH], np.int64)], f"{name}.flat")
        x = node("Add", [x, linear(y, f"{name}.out")], f"{name}.residual1")
        y = linear(norm(x, f"{name}.norm2"), f"{name}.up")
        erf = node("Erf", [node("Div", [y, constant("sqrt2", np.sqrt(2))], f"{name}.ratio")], f"{name}.erf")
        y = node("Mul", [y, node("Add", [erf, constant("one", 1)], f"{name}.raised")], f"{name}.product")
        y = node("Mul", [y, constant("half", 0.5)], f"{name}.gelu")
        x = node("Add", [x, linear(y, f"{name}.down")], f"{name}.residual2")
    node("MatMul", [norm(x, "norm"), parameter("head")], "logits")
    graph = helper.make_graph(
        nodes,
        "lm",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, [1, CONTEXT])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, CONTEXT, SYMBOLS])],
        tensors,
    )
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(graph, producer_name="hallmark", opset_imports=[opset])
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def main():
    ids, held_out = load()
    rng = np.random.default_rng(SEED)
    started = time.monotonic()

    def watch(step, loss, _):
        seconds = time.monotonic() - started
        print(f"step {step:5} loss {loss:.3f} after {seconds:.0f} s", file=sys.stderr, flush=True)

    parameters = train(ids, rng, every=250, watch=watch)
    export(parameters, HERE / "lm.onnx")

    starts = rng.choice((len(ids) - CONTEXT) // CONTEXT, SAMPLES, replace=False) * CONTEXT
    np.savez_compressed(HERE / "lm_calibration.npz", ids=windows(ids, np.sort(starts))[0])
    starts = rng.choice((len(held_out) - CONTEXT) // CONTEXT, SAMPLES, replace=False) * CONTEXT
    seen, following = windows(held_out, np.sort(starts))
    np.savez_compressed(HERE / "lm_test.npz", ids=seen, next=following)

    train_perplexity, train_windows = perplexity(parameters, ids)
    test_perplexity, test_windows = perplexity(parameters, held_out)
    tape = Tape()
    sample = np.exp(tape.cross_entropy(forward(tape, parameters, seen), following))
    report = {
        "text": "text.txt",
        "model": f"{LAYERS} layers, width {WIDTH}, {HEADS} heads, inner width {INNER}, {CONTEXT} positions",
        "parameters": sum(p.data.size for p in parameters.values()),
        "vocabulary": "\n" + "".join(map(chr, range(32, 127))),
        "seed": SEED,
        "steps": STEPS,
        "batch": BATCH,
        "train": {"windows": train_windows, "perplexity": round(train_perplexity, 3)},
        "held_out": {"windows": test_windows, "perplexity": round(test_perplexity, 3)},
        "lm_test.npz": {"windows": SAMPLES, "perplexity": round(float(sample), 3)},
    }
    (HERE / "lm.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
