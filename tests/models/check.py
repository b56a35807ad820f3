#!/usr/bin/env python3
"""Runs `hallmark zk bench` on models of generate.py and compares with onnxruntime.

    python3 tests/models/check.py --models DIR [--hallmark target/release/hallmark] [NAME…]

Needs numpy, onnx and onnxruntime. For each NAME.onnx of DIR (all of them when no name is given)
it checks the file, runs NAME.json in floats and, with --hallmark, runs

    hallmark zk bench NAME.onnx --input NAME.json --calibrate NAME.cal.json --json

and prints one row of the report's figures per model. `max error` is the report's own, against
Hallmark's reading of the file in floats; so that a wrong reading shows too, the model is also
compiled and run on NAME.json (`zk compile`, `zk run`), and `off` is the largest difference from
onnxruntime. Without --hallmark the rows hold what the float run gives.

A model fails when a command fails or stops answering (--timeout seconds), when the report lacks a
field, when the proof did not verify, when its error exceeds --tolerance times the largest magnitude of
the float output, or when `off` exceeds the error that `zk compile` or `zk bench` printed (and what floats
of two programs differ by). The exit status is the number of models that failed, at most 100.
--out FILE also appends the reports, one JSON object a line, `ort_abs_error` added.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
import onnxruntime

# Field of the report, heading, how it is printed.
COLUMNS = [
    ("params", "params", "{:,}"),
    ("macs", "MACs", "{:,}"),
    ("lookups", "lookups", "{:,}"),
    ("committed", "committed", "{:,}"),
    ("mode", "mode", "{}"),
    ("security_bits", "bits", "{:.1f}"),
    ("compile_ms", "compile ms", "{:,.0f}"),
    ("plain_ms", "plain ms", "{:,.2f}"),
    ("prove_ms", "prove ms", "{:,.1f}"),
    ("prove_cpu_ms", "CPU ms", "{:,.1f}"),
    ("verify_ms", "verify ms", "{:,.2f}"),
    ("verify_cpu_ms", "CPU ms", "{:,.2f}"),
    ("proof_bytes", "proof B", "{:,}"),
    ("model_bytes", "model B", "{:,}"),
    ("peak_rss_mb", "RSS MB", "{:,.0f}"),
    ("max_abs_error", "max error", "{:.2e}"),
    ("ort_abs_error", "off", "{:.2e}"),
    ("verified", "verified", "{}"),
]
ADDED = "ort_abs_error"
FIELDS = ["model"] + [field for field, _, _ in COLUMNS if field != ADDED]


def float_run(path, sample):
    """The model's outputs for one flat sample, one after the other, and the milliseconds that it took."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    wanted = session.get_inputs()[0]
    dtype = np.int64 if wanted.type == "tensor(int64)" else np.float32
    feed = {wanted.name: np.asarray(sample, dtype=dtype).reshape(wanted.shape)}
    started = time.perf_counter()
    outputs = session.run(None, feed)
    taken = (time.perf_counter() - started) * 1e3
    if len(outputs) == 1:
        return outputs[0], taken
    # What `ZipMap` makes is a list of one dictionary a row.
    rows = [[list(row.values()) for row in o] if isinstance(o, list) else o for o in outputs]
    return np.concatenate([np.asarray(o, dtype=np.float32).ravel() for o in rows]), taken


def asked(arguments, *command):
    """The JSON that a command of `hallmark zk` prints; ValueError with the reason if none."""
    command = [arguments.hallmark, "zk", *command, "--json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=arguments.timeout)
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"{command[2]}: no answer in {arguments.timeout:g} s") from error
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise ValueError(f"{command[2]}: exit status {done.returncode}: {said}")
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError as error:
        raise ValueError(f"{command[2]}: the answer is not JSON: {error}") from error


def difference(arguments, path, expected):
    """The largest distance of what the compiled model gives from what onnxruntime gave, and the printed one."""
    calibrate, sample = path.with_suffix(".cal.json"), path.with_suffix(".json")
    with tempfile.TemporaryDirectory() as folder:
        compiled = pathlib.Path(folder) / f"{path.stem}.hmk"
        report = asked(arguments, "compile", path, "--calibrate", calibrate, "-o", compiled)
        output = asked(arguments, "run", compiled, sample).get("output")
    output = np.asarray(output, dtype=np.float64).ravel()
    if output.size != expected.size:
        raise ValueError(f"run: {output.size} numbers where onnxruntime gives {expected.size}")
    off = np.abs(output - expected.ravel())
    # What the importer's floats may differ by, as in tests/operators.
    floats = 2e-5 * (1 + float(np.abs(expected).max()))
    return float(off.max()), report["report"]["max_error"] + floats


def bench(arguments, path, expected):
    """The report of `zk bench` with the difference from onnxruntime; ValueError if none."""
    calibrate, sample = path.with_suffix(".cal.json"), path.with_suffix(".json")
    report = asked(
        arguments, "bench", path, "--input", sample, "--calibrate", calibrate, *arguments.option
    )
    missing = [field for field in FIELDS if report.get(field) is None]
    if missing:
        raise ValueError(f"the report lacks {', '.join(missing)}")
    off, printed = difference(arguments, path, expected)
    # The sample is not among those of calibration: its own error is printed by the bench.
    printed = max(printed, report["max_abs_error"] + 2e-5 * (1 + float(np.abs(expected).max())))
    return report | {ADDED: off, "printed_error": printed}


def judged(report, output, tolerance):
    """Why the report is no success, or None."""
    allowed = tolerance * float(np.abs(output).max())
    if report["verified"] is not True:
        return "the proof did not verify"
    if not report["max_abs_error"] <= allowed:
        return f"max_abs_error {report['max_abs_error']:.3e} exceeds {allowed:.3e}"
    if not report[ADDED] <= report["printed_error"]:
        return f"{ADDED} {report[ADDED]:.3e} exceeds the printed {report['printed_error']:.3e}"
    return None


def table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))]
        print("  ".join(cells).rstrip())


def check_one(arguments, path):
    """The row of one model and why it failed, or None."""
    onnx.checker.check_model(str(path), full_check=True)
    sample = json.loads(path.with_suffix(".json").read_text())["input_data"][0]
    output, float_ms = float_run(path, sample)
    measured = [f"{float_ms:,.2f}", f"{np.abs(output).max():.4g}"]
    if not np.isfinite(output).all():
        return [path.stem, *measured], "the float output is not finite"
    if arguments.hallmark is None:
        return [path.stem, *measured, "x".join(map(str, output.shape))], None
    try:
        report = bench(arguments, path, output)
    except ValueError as error:
        return [path.stem, *measured] + ["–"] * len(COLUMNS), str(error)
    if arguments.out:
        with arguments.out.open("a") as out:
            out.write(json.dumps(report) + "\n")
    cells = [form.format(report[field]) for field, _, form in COLUMNS]
    return [path.stem, *measured, *cells], judged(report, output, arguments.tolerance)


def parsed():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--models", type=pathlib.Path, required=True, help="folder of generate.py")
    parser.add_argument("--hallmark", help="the built command; without it only floats are run")
    parser.add_argument("--timeout", type=float, default=600, help="seconds for one model")
    parser.add_argument("--tolerance", type=float, default=0.05, help="share of the output's largest magnitude")
    parser.add_argument("--option", action="append", default=[], help="one more argument of `zk bench`, repeatable")
    parser.add_argument("--out", type=pathlib.Path, help="file to append the reports to")
    return parser.parse_args()


def main():
    arguments = parsed()
    every = sorted(arguments.models.glob("*.onnx"))
    paths = [arguments.models / f"{name}.onnx" for name in arguments.names] or every
    if not paths:
        sys.exit(f"{arguments.models} holds no models")
    headings = ["model", "float ms", "float max"]
    headings += [heading for _, heading, _ in COLUMNS] if arguments.hallmark else ["output"]
    rows, failures = [headings], []
    for path in paths:
        row, failure = check_one(arguments, path)
        rows.append(row + [""] * (len(headings) - len(row)))
        if failure:
            failures.append(f"{path.stem}: {failure}")
            print(failures[-1], file=sys.stderr, flush=True)
    table(rows)
    sys.exit(min(len(failures), 100))


if __name__ == "__main__":
    main()
