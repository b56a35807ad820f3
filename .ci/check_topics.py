#!/usr/bin/env python3
"""Checks the outcome of `hallmark demo topics --json`, of whichever parts were played: who earned, and what was
refused."""
import json
import sys

d = json.load(open(sys.argv[1]))
failures = []


def need(what: str, ok: bool) -> None:
    print(f"{'ok  ' if ok else 'FAIL'} {what}")
    if not ok:
        failures.append(what)


def check_forecast(f: dict) -> None:
    who = f["participants"]
    honest = [p for p in who if p["role"] == "worker" and p["name"] not in ("copier", "liar")]
    share = {p["name"]: p["earned"] / f["paid"] for p in who}
    late = sum(p["refusals"] for p in who)
    need(f"eight honest workers ({len(honest)})", len(honest) == 8)
    need(f"somebody was paid ({f['paid']:.1f} MARK)", f["paid"] > 0)
    for name in ("copier", "liar"):
        need(f"the {name} earned next to nothing ({share[name]:.2%})", share[name] < 0.03)
    need(f"the network answered in nearly all epochs ({f['networkEpochs']} of {f['epochs']})", f["networkEpochs"] >= 0.9 * f["epochs"])
    # Chance orders half of the pairs.
    need(f"the better of two honest workers mostly earned more ({f['pairsInOrder']:.0%})", f["pairsInOrder"] > 0.6)
    off = f["offline"]
    print(f"     network {f['networkLogLoss']:.3f}, best worker {f['bestWorkerLogLoss']:.3f}; offline {off['networkLogLoss']:.3f}, {off['bestWorkerLogLoss']:.3f}; {late} refusals")
    need(f"nobody was late ({late} refusals)", late == 0)
    need("on chain it is what it is offline", abs(f["networkLogLoss"] - off["networkLogLoss"]) < 1e-9)
    # Of less than five years it depends on the months (docs/topics.md); for these it is known.
    need("the network beats the best single worker", off["networkBeatsBest"] and f["networkLogLoss"] < f["bestWorkerLogLoss"])


def check_weights(w: dict) -> None:
    per_stake: dict = {}
    for p in w["participants"]:
        per_stake.setdefault(p["name"], []).append(p["perStakeOnChain"])
    honest = min(per_stake["honest validator"])
    need(f"the honest validators earned ({honest})", honest > 0)
    for name in ("copier", "cartel"):
        need(f"the {name} earned less per stake ({per_stake[name]})", max(per_stake[name]) < honest)
    hidden, seen = (next(p[key] for p in w["participants"] if p["name"] == "copier") for key in ("perStakeHidden", "perStakeOpen"))
    need(f"the copier would earn more if it saw what others say ({seen:.3f}, hidden {hidden:.3f})", hidden < seen)


def check_score(s: dict) -> None:
    shares = {p["name"]: p["shareBillionths"] for p in s["participants"]}
    earned = {p["name"]: p["earned"] for p in s["participants"]}
    good, damaged = "honest, good model", "honest, damaged model"
    right = {p["name"]: p["right"] for p in s["right"]}
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


parts = {"forecast": check_forecast, "weights": check_weights, "score": check_score}
need("not a unit of money lost", d["conserved"] is True)
need("the demo's own checks hold", bool(d["checks"]) and all(c["holds"] for c in d["checks"]))
need("a part was played", any(part in d for part in parts))
for part, check in parts.items():
    if part in d:
        check(d[part])
sys.exit(f"{len(failures)} checks failed" if failures else 0)
