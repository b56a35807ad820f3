#!/usr/bin/env python3
"""Checks the outcome of `hallmark demo --json`: not that it ran, but what it did."""
import json
import sys

d = json.load(open(sys.argv[1]))
failures = []


def need(what: str, ok: bool) -> None:
    print(f"{'ok  ' if ok else 'FAIL'} {what}")
    if not ok:
        failures.append(what)


need(f"20 orders placed ({d['orders']})", d["orders"] == 20)
need(f"all of them paid ({d['paid']})", d["paid"] == d["orders"])
need(f"at least 18 predictions right ({d['correct']})", d["correct"] >= 18)
need("inputs and answers are sealed", d["mode"] == "sealed")
need(f"nine cheats tried ({d['cheats_tried']})", d["cheats_tried"] >= 9)
need("every cheat refused", d["cheats_refused"] == d["cheats_tried"])
need("not a unit of money lost", d["conserved"] is True)
need(f"proof at most 900 KB ({d['proof_bytes']})", 0 < d["proof_bytes"] <= 900_000)
need(f"peak memory at most 2 GB ({d['peak_rss_mb']} MB)", 0 < d["peak_rss_mb"] <= 2048)
need("blocks were made", d["blocks"] > 20)
# Speed is reported, not gated: a busy machine must not fail a correct change.
print(f"order to paid p50 {d['order_to_paid_ms']['p50']} ms, p95 {d['order_to_paid_ms']['p95']} ms;"
      f" prove {d['prove_ms']} ms; verify {d['verify_ms']} ms")
sys.exit(f"{len(failures)} checks failed" if failures else 0)
