#!/usr/bin/env python3
"""Writes small models as the converters and exporters that people use spell them, for check.py.

    python3 tests/models/export.py DIR [--only PREFIX]
    python3 tests/models/check.py --models DIR --hallmark target/release/hallmark

scikit-learn by skl2onnx (`skl_`), xgboost (`xgb_`) and lightgbm (`lgbm_`) by onnxmltools, and PyTorch by both of its
exporters (`pt_script_`, `pt_dynamo_`). For each NAME: NAME.onnx, NAME.cal.json (calibration) and NAME.json
(one input). A library that is not installed is named and skipped; with --only, which takes a prefix, that is
a failure. Seeded: the same versions write the same models.
"""

import argparse
import json
import pathlib
import sys
import warnings

import numpy as np

warnings.filterwarnings("ignore")


def write(folder, name, model, samples):
    """`samples` are flat; every third calibrates, and the second is the input."""
    (folder / f"{name}.onnx").write_bytes(model)
    rows = [[value.item() for value in np.asarray(sample).ravel()] for sample in samples]
    (folder / f"{name}.cal.json").write_text(json.dumps({"input_data": rows[::3][:40]}))
    (folder / f"{name}.json").write_text(json.dumps({"input_data": [rows[1]]}))


def tables():
    """Flowers to classify and disease to predict: data sets that come with scikit-learn."""
    from sklearn.datasets import load_diabetes, load_iris

    x, y = load_iris(return_X_y=True)
    d, t = load_diabetes(return_X_y=True)
    return x.astype(np.float32), y, d.astype(np.float32), (t / 100).astype(np.float32)


def sklearn(folder):
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.tree import DecisionTreeClassifier

    x, y, d, t = tables()
    scaled = lambda model: make_pipeline(StandardScaler(), model)
    models = {
        "tree": (DecisionTreeClassifier(max_depth=4, random_state=0), x, y),
        "forest": (RandomForestClassifier(10, max_depth=4, random_state=0), x, y),
        "forest_zipmap": (RandomForestClassifier(10, max_depth=4, random_state=0), x, y),
        "forest_regressor": (RandomForestRegressor(10, max_depth=4, random_state=0), d, t),
        "boosted_regressor": (GradientBoostingRegressor(n_estimators=20, max_depth=3, random_state=0), d, t),
        "logistic": (scaled(LogisticRegression()), x, y),
        "linear": (scaled(LinearRegression()), d, t),
        "mlp": (scaled(MLPClassifier((16,), max_iter=500, random_state=0)), x, y),
    }
    for name, (model, inputs, outputs) in models.items():
        model.fit(inputs, outputs)
        classifies = outputs is y and not name.endswith("zipmap")
        options = {"zipmap": False} if classifies else None
        types = [("X", FloatTensorType([1, inputs.shape[1]]))]
        made = to_onnx(model, initial_types=types, options=options, target_opset=17)
        write(folder, f"skl_{name}", made.SerializeToString(), inputs)


def boosted(folder, library):
    """Both have the same interface."""
    import onnxmltools
    from onnxmltools.convert.common.data_types import FloatTensorType

    x, y, d, t = tables()
    if library == "xgb":
        import xgboost

        classifier, regressor = xgboost.XGBClassifier, xgboost.XGBRegressor
        convert, quiet = onnxmltools.convert_xgboost, {}
    else:
        import lightgbm

        classifier, regressor = lightgbm.LGBMClassifier, lightgbm.LGBMRegressor
        convert, quiet = onnxmltools.convert_lightgbm, {"verbose": -1}
    for name, model, inputs, outputs in [
        ("classifier", classifier(n_estimators=10, max_depth=3, random_state=0, **quiet), x, y),
        ("regressor", regressor(n_estimators=20, max_depth=4, random_state=0, **quiet), d, t),
    ]:
        model.fit(inputs, outputs)
        types = [("X", FloatTensorType([1, inputs.shape[1]]))]
        made = convert(model, initial_types=types, target_opset=15)
        write(folder, f"{library}_{name}", made.SerializeToString(), inputs)


def torch(folder):
    import io

    import torch
    import torch.nn.functional as f
    from torch import nn

    torch.manual_seed(0)

    class Block(nn.Module):
        """A transformer block with causal attention."""

        def __init__(self, width=32, heads=4):
            super().__init__()
            self.heads = heads
            self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

        def forward(self, x):
            batch, time, width = x.shape
            split = lambda t: t.view(batch, time, self.heads, width // self.heads).transpose(1, 2)
            q, k, v = map(split, self.qkv(self.before(x)).chunk(3, -1))
            y = f.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(y.transpose(1, 2).reshape(batch, time, width))
            return x + self.mlp(self.between(x))

    class Language(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.block, self.head = nn.Embedding(20, 16), Block(16, 2), nn.Linear(16, 20)

        def forward(self, tokens):
            return self.head(self.block(self.embed(tokens)))

    class Vision(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
            self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
            self.wide, self.head = nn.Conv2d(8, 16, 1), nn.Linear(16, 10)

        def forward(self, x):
            x = f.relu(self.norm(self.first(x)))
            x = x + f.silu(self.depthwise(x))
            x = f.max_pool2d(f.hardswish(self.wide(x)), 2)
            return self.head(x.mean((2, 3)))

    class Recurrent(nn.Module):
        def __init__(self, kind):
            super().__init__()
            self.steps, self.head = kind(8, 16, batch_first=True), nn.Linear(16, 3)

        def forward(self, x):
            return self.head(self.steps(x)[0][:, -1])

    dense = [nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 32), nn.ELU(), nn.Linear(32, 4), nn.Softmax(-1)]
    models = {
        "mlp": (nn.Sequential(*dense), (1, 10)),
        "vision": (Vision(), (1, 3, 16, 16)),
        "attention": (Block(), (1, 8, 32)),
        "language": (Language(), None),
        "lstm": (Recurrent(nn.LSTM), (1, 6, 8)),
        "gru": (Recurrent(nn.GRU), (1, 6, 8)),
    }
    for name, (model, shape) in models.items():
        model.eval()
        samples = [torch.randn(shape) if shape else torch.randint(0, 20, (1, 8)) for _ in range(60)]
        for exporter, options in [
            ("script", {"dynamo": False, "opset_version": 17}),
            ("dynamo", {"dynamo": True, "opset_version": 18, "external_data": False, "verbose": False}),
        ]:
            made = io.BytesIO()
            torch.onnx.export(model, (samples[0],), made, **options)
            write(folder, f"pt_{exporter}_{name}", made.getvalue(), samples)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--only", choices=["skl", "xgb", "lgbm", "pt"])
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    makers = {
        "skl": sklearn,
        "xgb": lambda folder: boosted(folder, "xgb"),
        "lgbm": lambda folder: boosted(folder, "lgbm"),
        "pt": torch,
    }
    for prefix, make in makers.items():
        if arguments.only in (None, prefix):
            try:
                make(arguments.folder)
            except ImportError as error:
                if arguments.only:
                    sys.exit(f"{prefix}: {error}")
                print(f"skipped {prefix}: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
