"""Models of one operator or a few, with inputs and what onnxruntime makes of them.

`generate.py DIRECTORY` writes NAME.onnx and NAME.json (the input of `evaluate`) for every case and
NAME.expected.json (the outputs, one list); `generate.py --check DIRECTORY RESULTS` compares the
lines that `evaluate DIRECTORY` printed with them.

`--samples N` writes N inputs of each case in place of one: the case's own, then others drawn from the
range of each of its tensors, whole numbers where the case has whole numbers. `--every N` with `--seed S`
takes one case of every N, shuffled by the seed. `--check-integers DIRECTORY RESULTS` reads what
`operators DIRECTORY` printed of the compiled models (JSON, one object a line) and demands, of every
case at int8 and at 16 bits, that a proof verified, that the results of all samples are as far from
onnxruntime's as the compiler's report says at most, and that this error is small (`SHARE`).
"""

import argparse
import json
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

rng = np.random.default_rng(7)
CASES = []
# Largest error allowed, as a share of the range of the outputs of all samples, by bits.
SHARE = {8: 0.05, 16: 1e-3}
# Cases, by the beginning of their names, whose error may be larger: where a function jumps, a rounding of its operand moves the result by a
# whole step, whatever the number of bits; `Tan` has poles within the samples' range.
COARSE = {
    "div_int": 0.13,
    "ms_qlinearmul": 0.05,
    "round_ties": 0.26,
    "unary_Round": 0.26,
    "unary_Shrink": 0.13,
    "unary_Tan": 0.06,
    # Quantised operators: one step of theirs.
    "qlinearconv": 0.01,
    "quantize": 0.01,
    # Steps and choices: an input that quantisation puts on the other side of a threshold, or of another
    # element, takes the other leaf or place.
    "tree_": 1.0,
    "topk": 1.0,
    # Many layers, one after the other.
    "block_": 0.08,
    "rnn_": 0.08,
    "gru_": 0.08,
    "lstm_": 0.08,
}
# Cases that are refused when they are compiled, and what the refusal says: infinities are masks only.
REFUSED = {"where_const_inf": 'node "where_const_inf": its results are too large for a scale'}


def f(*shape, lo=-2.0, hi=2.0):
    return rng.uniform(lo, hi, shape).astype(np.float32)


def i64(*values):
    return np.array(values, dtype=np.int64)


class Case:
    """Inputs are given as name=array; constants are initializers."""

    def __init__(self, name, nodes, inputs, constants=None, outputs=("y",), opset=17, domains=()):
        self.name, self.nodes, self.inputs = name, nodes, inputs
        self.constants, self.outputs = constants or {}, outputs
        self.opset, self.domains = opset, domains
        CASES.append(self)

    def model(self):
        graph = helper.make_graph(
            self.nodes,
            "case",
            [
                helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
                for n, a in self.inputs.items()
            ],
            [onnx.ValueInfoProto(name=n) for n in self.outputs],
            [numpy_helper.from_array(np.asarray(a), n) for n, a in self.constants.items()],
        )
        sets = [helper.make_opsetid("", self.opset)]
        sets += [helper.make_opsetid(d, v) for d, v in self.domains]
        return helper.make_model(graph, opset_imports=sets, ir_version=8)


def op(name, kind, inputs, constants=None, opset=17, outputs=("y",), domain="", domains=(), **attributes):
    """One operator: its operands are the inputs, then the constants, in order."""
    constants = constants or {}
    names = list(inputs) + list(constants)
    order = attributes.pop("order", names)
    node = helper.make_node(kind, order, list(outputs), name=name, domain=domain, **attributes)
    Case(name, [node], inputs, constants, outputs, opset, domains)


def chain(name, steps, inputs, constants=None, outputs=("y",), opset=17):
    """Steps are (operator, operands, results[, attributes])."""
    nodes = [
        helper.make_node(s[0], s[1], s[2] if isinstance(s[2], list) else [s[2]], name=f"{name}_{i}", **(s[3] if len(s) > 3 else {}))
        for i, s in enumerate(steps)
    ]
    Case(name, nodes, inputs, constants, outputs, opset)


exec((pathlib.Path(__file__).parent / "cases.py").read_text())


def drawn(array, random):
    """Another tensor from the range of one."""
    if array.dtype == bool:
        return random.random(array.shape) < 0.5
    low, high = array.min(), array.max()
    if np.issubdtype(array.dtype, np.integer) or np.all(array == np.round(array)):
        return random.integers(int(low), int(high), array.shape, endpoint=True).astype(array.dtype)
    return random.uniform(low, high, array.shape).astype(array.dtype)


def write(directory, cases, samples):
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    random = np.random.default_rng(11)
    skipped = 0
    for case in cases:
        base = directory / case.name
        inputs = [case.inputs]
        for _ in range(1, samples):
            inputs.append({name: drawn(array, random) for name, array in case.inputs.items()})
        try:
            model = case.model()
            data = model.SerializeToString()
            options = onnxruntime.SessionOptions()
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
            session = onnxruntime.InferenceSession(data, options)
            results = [session.run(None, feed) for feed in inputs]
        except Exception as error:  # noqa: BLE001
            print(f"onnxruntime refuses {case.name}: {str(error)[:300]}")
            skipped += 1
            continue
        flat = [[float(v) for r in result for v in np.asarray(r).astype(np.float64).ravel()] for result in results]
        base.with_suffix(".onnx").write_bytes(data)
        lists = [[np.asarray(a).astype(np.float64).ravel().tolist() for a in feed.values()] for feed in inputs]
        # Of one sample a list for each input, of several a list for each sample.
        lists = lists[0] if samples == 1 else [sum(feed, []) for feed in lists]
        base.with_suffix(".json").write_text(json.dumps({"input_data": lists}))
        (directory / f"{case.name}.expected").write_text(json.dumps(flat[0] if samples == 1 else flat))
    print(f"{len(cases) - skipped} cases written, {skipped} refused by onnxruntime")
    return 1 if skipped else 0


def check(directory, results):
    bad, good = [], 0
    seen = set()
    for line in pathlib.Path(results).read_text().splitlines():
        name, _, text = line.partition("\t")
        seen.add(name)
        expected = np.array(json.loads((directory / f"{name}.expected").read_text()))
        try:
            actual = json.loads(text)
        except ValueError:
            bad.append(f"{name}: {text}")
            continue
        actual = np.array([np.nan if v is None else v for v in actual[0]], dtype=np.float64)
        if actual.shape != expected.shape:
            bad.append(f"{name}: {actual.size} numbers, expected {expected.size}")
            continue
        error = np.abs(actual - expected) / (1 + np.abs(expected))
        if not np.all(error <= 2e-5):
            worst = int(np.nanargmax(np.where(np.isnan(error), np.inf, error)))
            bad.append(f"{name}: element {worst} is {actual[worst]}, expected {expected[worst]}")
            continue
        good += 1
    for line in bad:
        print("WRONG", line)
    print(f"{good} of {good + len(bad)} cases agree")
    return 1 if bad or not good else 0


def judged(report, expected):
    """Why a compiled case is wrong, or None."""
    if report["name"] in REFUSED:
        said = report.get("wrong", "nothing")
        return None if REFUSED[report["name"]] in said else f"should be refused, and said {said}"
    if "wrong" in report:
        return report["wrong"]
    actual = np.array(report["outputs"], dtype=np.float64)
    if actual.shape != expected.shape:
        return f"{actual.shape} numbers, expected {expected.shape}"
    # Floats differ from onnxruntime's floats as `--check` allows.
    off = np.abs(actual - expected) - 2e-5 * (1 + np.abs(expected))
    if not np.all(off <= report["max_error"]):
        return f"{np.max(off):.3e} from onnxruntime, {report['max_error']:.3e} is said"
    share = report["max_error"] / max(float(np.ptp(expected)), 1e-9)
    allowed = [share for prefix, share in COARSE.items() if report["name"].startswith(prefix)]
    allowed = max([SHARE[report["bits"]], *allowed])
    if share > allowed:
        return f"an error of {share:.2%} of the outputs' range"
    return None


def check_integers(directory, results):
    bad, good, seen = [], 0, set()
    for line in pathlib.Path(results).read_text().splitlines():
        report = json.loads(line)
        name, bits = report["name"], report["bits"]
        seen.add((name, bits))
        expected = np.array(json.loads((directory / f"{name}.expected").read_text()))
        reason = judged(report, expected)
        if reason:
            bad.append(f"{name} at {bits} bits: {reason}")
        else:
            good += 1
    for path in sorted(directory.glob("*.onnx")):
        bad += [f"{path.stem} at {bits} bits: no result" for bits in SHARE if (path.stem, bits) not in seen]
    for line in bad:
        print("WRONG", line)
    print(f"{good} of {good + len(bad)} compiled cases agree and prove")
    return 1 if bad or not good else 0


def chosen(every, seed):
    order = np.random.default_rng(seed).permutation(len(CASES))
    return [CASES[i] for i in sorted(order[: -(-len(CASES) // every)])]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("results", nargs="?")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--check-integers", action="store_true")
    parser.add_argument("--samples", type=int, default=1)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    if asked.check:
        return check(asked.directory, asked.results)
    if asked.check_integers:
        return check_integers(asked.directory, asked.results)
    asked.directory.mkdir(parents=True, exist_ok=True)
    return write(asked.directory, chosen(asked.every, asked.seed), asked.samples)


if __name__ == "__main__":
    sys.exit(main())
