#!/usr/bin/env python3
"""Runs `hallmark zk bench` on models of generate.py and compares with onnxruntime.

    python3 tests/models/check.py --models DIR [--hallmark target/release/hallmark] [NAME…]

Needs numpy, onnx and onnxruntime. For each NAME.onnx of DIR (all of them when no name is given)
it checks the file, runs NAME.json in floats and, with --hallmark, runs

    hallmark zk bench NAME.onnx --input NAME.json --calibrate NAME.cal.json --json

and prints one row of the report's figures per model. Without --hallmark the rows hold what the
float run gives. A model fails when the command fails or stops answering (--timeout seconds), when
the report lacks a field, when the proof did not verify, or when the largest error exceeds
--tolerance times the largest magnitude of the float output. The exit status is the number of
models that failed, at most 100. --out FILE also appends the reports, one JSON object a line.
"""

import argparse
import json
import pathlib
import subprocess
import sys
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
    ("verified", "verified", "{}"),
]
FIELDS = ["model"] + [field for field, _, _ in COLUMNS]


def float_run(path, sample):
    """The model's first output for one flat sample, and the milliseconds that it took."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    wanted = session.get_inputs()[0]
    dtype = np.int64 if wanted.type == "tensor(int64)" else np.float32
    feed = {wanted.name: np.asarray(sample, dtype=dtype).reshape(wanted.shape)}
    started = time.perf_counter()
    output = session.run(None, feed)[0]
    return output, (time.perf_counter() - started) * 1e3


def bench(arguments, path):
    """The report of `hallmark zk bench`; raises ValueError with the reason when there is none."""
    command = [arguments.hallmark, "zk", "bench", path, "--input", path.with_suffix(".json")]
    command += ["--calibrate", path.with_suffix(".cal.json"), "--json", *arguments.option]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=arguments.timeout)
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"no answer in {arguments.timeout} s") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise ValueError(f"exit status {done.returncode}: {lines[-1]}")
    try:
        report = json.loads(done.stdout)
    except json.JSONDecodeError as error:
        raise ValueError(f"the report is not JSON: {error}") from error
    missing = [field for field in FIELDS if field not in report]
    if missing:
        raise ValueError(f"the report lacks {', '.join(missing)}")
    return report


def judged(report, output, tolerance):
    """Why the report is no success, or None."""
    allowed = tolerance * float(np.abs(output).max())
    if report["verified"] is not True:
        return "the proof did not verify"
    if not report["max_abs_error"] <= allowed:
        return f"error {report['max_abs_error']:.3e} exceeds {allowed:.3e}"
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
        report = bench(arguments, path)
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
