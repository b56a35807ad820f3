#!/usr/bin/env python3
"""Checks the outcome of `hallmark demo topics --only score --json`: who earned, and what was refused."""
import json
import sys

d = json.load(open(sys.argv[1]))
s = d["score"]
failures = []


def need(what: str, ok: bool) -> None:
    print(f"{'ok  ' if ok else 'FAIL'} {what}")
    if not ok:
        failures.append(what)


shares = {p["name"]: p["shareBillionths"] for p in s["participants"]}
earned = {p["name"]: p["earned"] for p in s["participants"]}
good, damaged = "honest, good model", "honest, damaged model"
right = {p["name"]: p["right"] for p in s["right"]}

need("not a unit of money lost", d["conserved"] is True)
need("the demo's own checks hold", bool(d["checks"]) and all(c["holds"] for c in d["checks"]))
need(f"eight samples ({s['samples']})", s["samples"] == 8)
need(f"all of them proven by the good model, half by the damaged one ({right})", right == {good: 8, damaged: 4})
# What the mechanism gave the two who proved nothing is paid to nobody.
need(f"the shares sum to at most one ({sum(shares.values())})", 990_000_000 < sum(shares.values()) <= 1_000_000_000)
need(f"the good model has nearly all ({shares[good]})", shares[good] > 950_000_000)
need(f"the damaged one has a little ({shares[damaged]})", 0 < shares[damaged] < 50_000_000)
need(f"who earned is who was paid ({earned})", earned[good] > earned[damaged] > 0)
for cheat in ["forger", "swapper"]:
    need(f"the {cheat} has nothing", shares[cheat] == 0 and earned[cheat] == 0)
for name, reason in {
    "swapRefused": "CommitmentMismatch",
    "forgeryRefused": "ProofRefused",
    "flippedBitRefused": "ProofRefused",
    "otherModelRefused": "ProofRefused",
}.items():
    need(f"{name}: {s[name]}", (s[name] or "").startswith(reason))
sys.exit(f"{len(failures)} checks failed" if failures else 0)
