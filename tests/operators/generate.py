"""Models of one operator or a few, with inputs and what onnxruntime makes of them.

`generate.py DIRECTORY` writes NAME.onnx and NAME.json (the input of `evaluate`) for every case and
NAME.expected.json (the outputs, one list); `generate.py --check DIRECTORY RESULTS` compares the
lines that `evaluate DIRECTORY` printed with them.
"""

import json
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

rng = np.random.default_rng(7)
CASES = []


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


def write(directory):
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    skipped = 0
    for case in CASES:
        base = directory / case.name
        try:
            model = case.model()
            data = model.SerializeToString()
            options = onnxruntime.SessionOptions()
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
            session = onnxruntime.InferenceSession(data, options)
            results = session.run(None, case.inputs)
        except Exception as error:  # noqa: BLE001
            print(f"onnxruntime refuses {case.name}: {str(error)[:300]}")
            skipped += 1
            continue
        flat = []
        for result in results:
            flat += [float(v) for v in np.asarray(result).astype(np.float64).ravel()]
        base.with_suffix(".onnx").write_bytes(data)
        lists = [np.asarray(a).astype(np.float64).ravel().tolist() for a in case.inputs.values()]
        base.with_suffix(".json").write_text(json.dumps({"input_data": lists}))
        (directory / f"{case.name}.expected").write_text(json.dumps(flat))
    print(f"{len(CASES) - skipped} cases written, {skipped} refused by onnxruntime")


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


if __name__ == "__main__":
    if sys.argv[1] == "--check":
        sys.exit(check(pathlib.Path(sys.argv[2]), sys.argv[3]))
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    write(directory)
