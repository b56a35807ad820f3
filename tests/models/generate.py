#!/usr/bin/env python3
"""Writes the models of the benchmarks, with random weights, and samples for them.

    python3 tests/models/generate.py OUT [NAME…]

Needs numpy and onnx. For each name (all of DEFAULT when none is given) OUT receives

    NAME.onnx       the model: float32 weights, fixed shapes, batch 1
    NAME.json       one input, {"input_data": [[…]]}, row-major
    NAME.cal.json   eight inputs for calibration, one list each

A name holds the shapes, so other sizes are other names:

    mlp_A_B_…_Z             Gemm A→B, Relu, …, Gemm →Z; input [1, A]
    lenet5_28, lenet5_cifar LeNet-5 with Relu and MaxPool on [1, 1, 28, 28] and [1, 3, 32, 32]
    cnn127k_32              three times Conv 3×3, Relu, MaxPool, then two Gemm; [1, 3, 32, 32]
    dense_4m                Gemm 1024→2048, Relu, Gemm 2048→1024
    tblock_dD_sS            a transformer block without mask, every LayerNorm and GELU spelled
                            out in operators of set 13; input [1, S, D]
    nanogpt_025m[_sS]       4 layers of width 64, causal, vocabulary 96; input ids int64 [1, S],
                            S = 64 unless given; logits of every position
    resnet18_R              torchvision's ResNet-18, BatchNormalization left in; [1, 3, R, R]
    gpt2_124m_sS            GPT-2 small: ids int64 [1, S], logits of every position
    gpt2_124m_sS_embed      the same blocks on embeddings [1, S, 768]; logits of the last position

Weights: normal with σ = √(2/fan-in) (He), biases with a tenth of that, GPT-2's as GPT-2
starts (σ = 0.02, projections into the residual stream divided by √24, biases zero). Generator PCG64;
the seed is the number in SEEDS, weights are drawn in the order of the graph, weight before bias,
and samples from a second stream, so neither changes when the other does. Samples are
uniform in (−1, 1), rounded to six decimals; ids are uniform in the vocabulary.
"""

import json
import pathlib
import re
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SEEDS = {
    "mlp_64_128_128_10": 1,
    "lenet5_28": 2,
    "cnn127k_32": 3,
    "tblock_d64_s16": 4,
    "lenet5_cifar": 5,
    "tblock_d16_s4": 6,
    "dense_4m": 7,
    "nanogpt_025m": 8,
    "resnet18_224": 9,
    "gpt2_124m_s32_embed": 10,
    "gpt2_124m_s32": 11,
}
DEFAULT = list(SEEDS)
OTHER_SEED = 12
CALIBRATION_SAMPLES = 8
MASKED = -1e9


class Graph:
    """An ONNX graph under construction: every method adds nodes and returns a value's name."""

    def __init__(self, name, seed, opset):
        self.name, self.opset = name, opset
        self.rng = np.random.Generator(np.random.PCG64(seed))
        self.nodes, self.tensors, self.known = [], [], {}
        self.sigma, self.bias_share = None, 0.1

    def constant(self, name, values, dtype=np.float32):
        """An initialiser; the same name gives the same one."""
        if name not in self.known:
            self.tensors.append(numpy_helper.from_array(np.asarray(values, dtype=dtype), name))
            self.known[name] = True
        return name

    def normal(self, name, shape, sigma):
        values = self.rng.standard_normal(shape, dtype=np.float32)
        values *= np.float32(sigma)
        return self.constant(name, values)

    def node(self, op, inputs, name, outputs=1, **attributes):
        out = [name] if outputs == 1 else [f"{name}.{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, out, name=name, **attributes))
        return name if outputs == 1 else out

    def reshape(self, x, shape, name):
        return self.node("Reshape", [x, self.constant(f"{name}.shape", shape, np.int64)], name)

    def weight_and_bias(self, name, shape, fan_in, outputs, scale=1.0):
        sigma = (np.sqrt(2 / fan_in) if self.sigma is None else self.sigma) * scale
        weight = self.normal(f"{name}.weight", shape, sigma)
        return weight, self.normal(f"{name}.bias", (outputs,), sigma * self.bias_share)

    def gemm(self, x, inputs, outputs, name):
        """As PyTorch writes nn.Linear over a matrix: the weight is [outputs, inputs]."""
        w, b = self.weight_and_bias(name, (outputs, inputs), inputs, outputs)
        return self.node("Gemm", [x, w, b], name, transB=1)

    def linear(self, x, inputs, outputs, name, scale=1.0):
        """As PyTorch writes nn.Linear over a tensor of rank 3: MatMul, then Add."""
        w, b = self.weight_and_bias(name, (inputs, outputs), inputs, outputs, scale)
        return self.node("Add", [b, self.node("MatMul", [x, w], f"{name}.matmul")], name)

    def conv(self, x, inputs, outputs, kernel, name, stride=1, pad=0, bias=True):
        shape = (outputs, inputs, kernel, kernel)
        fan_in = inputs * kernel * kernel
        if bias:
            operands = [x, *self.weight_and_bias(name, shape, fan_in, outputs)]
        else:
            operands = [x, self.normal(f"{name}.weight", shape, np.sqrt(2 / fan_in))]
        return self.node(
            "Conv",
            operands,
            name,
            dilations=[1, 1],
            group=1,
            kernel_shape=[kernel, kernel],
            pads=[pad] * 4,
            strides=[stride, stride],
        )

    def relu(self, x, name):
        return self.node("Relu", [x], name)

    def max_pool(self, x, name, kernel=2, stride=2, pad=0):
        return self.node(
            "MaxPool",
            [x],
            name,
            ceil_mode=0,
            kernel_shape=[kernel, kernel],
            pads=[pad] * 4,
            strides=[stride, stride],
        )

    def model(self, inputs, outputs):
        graph = helper.make_graph(
            self.nodes,
            self.name,
            [helper.make_tensor_value_info(*inputs)],
            [helper.make_tensor_value_info(*outputs)],
            self.tensors,
        )
        opset = helper.make_opsetid("", self.opset)
        model = helper.make_model(graph, producer_name="hallmark", opset_imports=[opset])
        model.ir_version = 8
        return model


def float_model(graph, shape, out, out_shape):
    return graph.model(("input", TensorProto.FLOAT, shape), (out, TensorProto.FLOAT, out_shape))


def ids_model(graph, positions, out, vocabulary):
    shape = [1, positions, vocabulary]
    return graph.model(("ids", TensorProto.INT64, [1, positions]), (out, TensorProto.FLOAT, shape))


# Classifiers


def mlp(name, seed, widths):
    g, x = Graph(name, seed, 13), "input"
    for index, (inputs, outputs) in enumerate(zip(widths, widths[1:]), 1):
        last = index + 1 == len(widths)
        x = g.gemm(x, inputs, outputs, "logits" if last else f"fc{index}")
        if not last:
            x = g.relu(x, f"relu{index}")
    return float_model(g, [1, widths[0]], x, [1, widths[-1]])


def classifier(g, x, widths):
    """Flatten, then Gemm and Relu up to the logits."""
    x = g.node("Flatten", [x], "flatten", axis=1)
    for index, (inputs, outputs) in enumerate(zip(widths, widths[1:]), 1):
        last = index + 1 == len(widths)
        x = g.gemm(x, inputs, outputs, "logits" if last else f"fc{index}")
        if not last:
            x = g.relu(x, f"fc{index}.relu")
    return x


def lenet5(name, seed, channels, side, pad):
    g = Graph(name, seed, 13)
    x = g.relu(g.conv("input", channels, 6, 5, "conv1", pad=pad), "conv1.relu")
    x = g.max_pool(x, "pool1")
    x = g.relu(g.conv(x, 6, 16, 5, "conv2"), "conv2.relu")
    x = g.max_pool(x, "pool2")
    x = classifier(g, x, [400, 120, 84, 10])
    return float_model(g, [1, channels, side, side], x, [1, 10])


def cnn127k(name, seed):
    g, x = Graph(name, seed, 13), "input"
    for index, (inputs, outputs) in enumerate([(3, 16), (16, 32), (32, 64)], 1):
        x = g.conv(x, inputs, outputs, 3, f"conv{index}", pad=1)
        x = g.max_pool(g.relu(x, f"conv{index}.relu"), f"pool{index}")
    x = classifier(g, x, [1024, 100, 10])
    return float_model(g, [1, 3, 32, 32], x, [1, 10])


def resnet18(name, seed, side):
    g = Graph(name, seed, 13)

    def normalised(x, inputs, outputs, kernel, label, stride=1, pad=0):
        x = g.conv(x, inputs, outputs, kernel, f"{label}.conv", stride, pad, bias=False)
        noise = 0.1 * g.rng.standard_normal((4, outputs))
        statistics = {"weight": 1 + noise[0], "bias": noise[1], "mean": noise[2], "var": np.exp(noise[3])}
        operands = [x] + [g.constant(f"{label}.bn.{part}", v) for part, v in statistics.items()]
        return g.node("BatchNormalization", operands, f"{label}.bn", epsilon=1e-5, momentum=0.9)

    def block(x, inputs, outputs, stride, label):
        y = g.relu(normalised(x, inputs, outputs, 3, f"{label}.1", stride, 1), f"{label}.1.relu")
        y = normalised(y, outputs, outputs, 3, f"{label}.2", 1, 1)
        if stride != 1 or inputs != outputs:
            x = normalised(x, inputs, outputs, 1, f"{label}.downsample", stride)
        return g.relu(g.node("Add", [y, x], f"{label}.add"), f"{label}.relu")

    x = g.relu(normalised("input", 3, 64, 7, "stem", 2, 3), "stem.relu")
    x = g.max_pool(x, "stem.pool", 3, 2, 1)
    inputs = 64
    for stage, outputs in enumerate([64, 128, 256, 512], 1):
        x = block(x, inputs, outputs, 1 if stage == 1 else 2, f"layer{stage}.0")
        x = block(x, outputs, outputs, 1, f"layer{stage}.1")
        inputs = outputs
    x = g.node("Flatten", [g.node("GlobalAveragePool", [x], "pool")], "flatten", axis=1)
    x = g.gemm(x, 512, 1000, "logits")
    return float_model(g, [1, 3, side, side], x, [1, 1000])


# Transformers


def layer_norm(g, x, width, name):
    """One node where the set has it, else the mean, the variance and the affine map."""
    weight = g.constant(f"{name}.weight", 1 + 0.1 * g.rng.standard_normal(width))
    bias = g.constant(f"{name}.bias", 0.1 * g.rng.standard_normal(width))
    if g.opset >= 17:
        return g.node("LayerNormalization", [x, weight, bias], name, axis=-1, epsilon=1e-5)
    mean = g.node("ReduceMean", [x], f"{name}.mean", axes=[-1], keepdims=1)
    centred = g.node("Sub", [x, mean], f"{name}.centred")
    square = g.node("Mul", [centred, centred], f"{name}.square")
    variance = g.node("ReduceMean", [square], f"{name}.variance", axes=[-1], keepdims=1)
    shifted = g.node("Add", [variance, g.constant(f"{name}.epsilon", 1e-5)], f"{name}.shifted")
    root = g.node("Sqrt", [shifted], f"{name}.root")
    unit = g.node("Div", [centred, root], f"{name}.unit")
    return g.node("Add", [g.node("Mul", [unit, weight], f"{name}.scaled"), bias], name)


def gelu(g, x, name):
    """x·½·(1 + erf(x/√2)), as PyTorch writes it."""
    ratio = g.node("Div", [x, g.constant("sqrt2", np.sqrt(2))], f"{name}.ratio")
    erf = g.node("Erf", [ratio], f"{name}.erf")
    raised = g.node("Add", [erf, g.constant("one", 1)], f"{name}.raised")
    product = g.node("Mul", [x, raised], f"{name}.product")
    return g.node("Mul", [product, g.constant("half", 0.5)], name)


def gelu_tanh(g, x, name):
    """½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))), as GPT-2 has it."""
    half = g.node("Mul", [x, g.constant("half", 0.5)], f"{name}.half")
    cube = g.node("Pow", [x, g.constant("three", 3)], f"{name}.cube")
    term = g.node("Mul", [cube, g.constant("gelu.cubic", 0.044715)], f"{name}.term")
    inner = g.node("Add", [x, term], f"{name}.inner")
    scaled = g.node("Mul", [inner, g.constant("gelu.root", np.sqrt(2 / np.pi))], f"{name}.scaled")
    tanh = g.node("Tanh", [scaled], f"{name}.tanh")
    raised = g.node("Add", [tanh, g.constant("one", 1)], f"{name}.raised")
    return g.node("Mul", [half, raised], name)


def attention(g, x, positions, width, heads, name, causal, fused, out_scale=1.0):
    """Softmax(q·kᵀ/√d)·v by heads; `fused` makes q, k and v in one product and splits it."""
    size = width // heads
    if fused:
        qkv = g.linear(x, width, 3 * width, f"{name}.qkv")
        parts = g.constant("qkv.parts", [width] * 3, np.int64)
        q, k, v = g.node("Split", [qkv, parts], f"{name}.split", outputs=3, axis=2)
    else:
        q, k, v = (g.linear(x, width, width, f"{name}.{part}") for part in "qkv")
    by_head = g.constant("by_head", [1, positions, heads, size], np.int64)

    def split(value, label, perm):
        value = g.node("Reshape", [value, by_head], f"{name}.{label}.heads")
        return g.node("Transpose", [value], f"{name}.{label}.moved", perm=perm)

    q, k, v = split(q, "q", [0, 2, 1, 3]), split(k, "k", [0, 2, 3, 1]), split(v, "v", [0, 2, 1, 3])
    scores = g.node("MatMul", [q, k], f"{name}.scores")
    root = g.constant("root", np.sqrt(size))
    scores = g.node("Div", [scores, root], f"{name}.scaled")
    if causal:
        visible = np.tril(np.ones((1, 1, positions, positions), dtype=bool))
        operands = [g.constant("visible", visible, bool), scores, g.constant("masked", MASKED)]
        scores = g.node("Where", operands, f"{name}.causal")
    weights = g.node("Softmax", [scores], f"{name}.weights", axis=3)
    mixed = g.node("MatMul", [weights, v], f"{name}.mixed")
    mixed = g.node("Transpose", [mixed], f"{name}.joined", perm=[0, 2, 1, 3])
    flat = g.node("Reshape", [mixed, g.constant("flat", [1, positions, width], np.int64)], f"{name}.flat")
    return g.linear(flat, width, width, f"{name}.out", out_scale)


def block(g, x, positions, width, heads, inner, name, causal, fused=False, activation=gelu, out_scale=1.0):
    """x + attention(norm(x)), then + ffn(norm(x))."""
    y = layer_norm(g, x, width, f"{name}.norm1")
    y = attention(g, y, positions, width, heads, f"{name}.attention", causal, fused, out_scale)
    x = g.node("Add", [x, y], f"{name}.residual1")
    y = layer_norm(g, x, width, f"{name}.norm2")
    y = activation(g, g.linear(y, width, inner, f"{name}.up"), f"{name}.gelu")
    y = g.linear(y, inner, width, f"{name}.down", out_scale)
    return g.node("Add", [x, y], f"{name}.residual2")


def tblock(name, seed, width, positions):
    g = Graph(name, seed, 13)
    heads = 4 if width >= 64 else 2
    x = block(g, "input", positions, width, heads, 4 * width, "block", causal=False)
    return float_model(g, [1, positions, width], x, [1, positions, width])


def nanogpt(name, seed, positions, width=64, layers=4, heads=4, vocabulary=96):
    g = Graph(name, seed, 17)
    tokens = g.normal("tokens", (vocabulary, width), 1)
    places = g.normal("places", (1, positions, width), 0.3)
    x = g.node("Add", [g.node("Gather", [tokens, "ids"], "token", axis=0), places], "embedding")
    for layer in range(layers):
        x = block(g, x, positions, width, heads, 4 * width, f"block{layer}", causal=True)
    x = layer_norm(g, x, width, "norm")
    head = g.normal("head", (width, vocabulary), np.sqrt(2 / width))
    return ids_model(g, positions, g.node("MatMul", [x, head], "logits"), vocabulary)


def gpt2(name, seed, positions, embed):
    width, layers, heads, vocabulary = 768, 12, 12, 50257
    g = Graph(name, seed, 17)
    g.sigma, g.bias_share = 0.02, 0.0
    if embed:
        x = "input"
    else:
        tokens = g.normal("tokens", (vocabulary, width), 0.02)
        places = g.normal("places", (1, positions, width), 0.01)
        x = g.node("Add", [g.node("Gather", [tokens, "ids"], "token", axis=0), places], "embedding")
    for layer in range(layers):
        x = block(
            g, x, positions, width, heads, 4 * width, f"block{layer}", True, True, gelu_tanh,
            1 / np.sqrt(2 * layers),
        )
    x = layer_norm(g, x, width, "norm")
    if embed:
        bounds = [g.constant(f"last.{part}", [at], np.int64) for part, at in
                  [("start", -1), ("end", np.iinfo(np.int64).max), ("axis", 1)]]
        x = g.node("Slice", [x, *bounds], "last")
        head = g.normal("head", (width, vocabulary), 0.02)
        x = g.node("MatMul", [x, head], "logits")
        return float_model(g, [1, positions, width], x, [1, 1, vocabulary])
    # The head is the table of embeddings, as in GPT-2; `transB` keeps the file to one copy.
    rows = g.node("Gemm", [g.reshape(x, [positions, width], "rows"), tokens], "head", transB=1)
    x = g.reshape(rows, [1, positions, vocabulary], "logits")
    return ids_model(g, positions, x, vocabulary)


# Names


def build(name):
    """The model of a name, or None when the name means nothing."""
    seed = SEEDS.get(name, OTHER_SEED)
    if name == "lenet5_28":
        return lenet5(name, seed, 1, 28, 2)
    if name == "lenet5_cifar":
        return lenet5(name, seed, 3, 32, 0)
    if name == "cnn127k_32":
        return cnn127k(name, seed)
    if name == "dense_4m":
        return mlp(name, seed, [1024, 2048, 1024])
    if re.fullmatch(r"mlp(_\d+){2,}", name):
        return mlp(name, seed, [int(width) for width in name.split("_")[1:]])
    if found := re.fullmatch(r"tblock_d(\d+)_s(\d+)", name):
        return tblock(name, seed, int(found[1]), int(found[2]))
    if found := re.fullmatch(r"nanogpt_025m(?:_s(\d+))?", name):
        return nanogpt(name, seed, int(found[1] or 64))
    if found := re.fullmatch(r"resnet18_(\d+)", name):
        return resnet18(name, seed, int(found[1]))
    if found := re.fullmatch(r"gpt2_124m_s(\d+)(_embed)?", name):
        return gpt2(name, seed, int(found[1]), bool(found[2]))
    return None


def vocabulary(model):
    """Symbols of a model that reads ids, from its table of embeddings; None for other models."""
    if model.graph.input[0].type.tensor_type.elem_type != TensorProto.INT64:
        return None
    return next(tensor.dims[0] for tensor in model.graph.initializer if tensor.name == "tokens")


def samples(model, count, rng):
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    size, symbols = int(np.prod(shape)), vocabulary(model)
    if symbols is not None:
        return rng.integers(0, symbols, (count, size)).tolist()
    return np.round(rng.uniform(-1, 1, (count, size)), 6).tolist()


def write(folder, name):
    model = build(name)
    if model is None:
        sys.exit(f"no model is called {name}; the script's first lines say which names there are")
    onnx.checker.check_model(model, full_check=True)
    (folder / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))
    rng = np.random.Generator(np.random.PCG64([SEEDS.get(name, OTHER_SEED), 1]))
    for suffix, count in [("json", 1), ("cal.json", CALIBRATION_SAMPLES)]:
        text = json.dumps({"input_data": samples(model, count, rng)})
        (folder / f"{name}.{suffix}").write_text(text + "\n")
    elements = sum(int(np.prod(t.dims)) for t in model.graph.initializer if t.data_type == TensorProto.FLOAT)
    print(f"{name:24} {elements:>12,} parameters {len(model.graph.node):>4} nodes", flush=True)


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:] or DEFAULT:
        write(folder, name)


if __name__ == "__main__":
    main()
