#!/usr/bin/env python3
"""Prints the security of both modes of what `hallmark zk inspect --json` reported, term by term, and fails
where the sum is below 100 bits or is not the sum of the terms."""

import json
import math
import sys

report = json.load(open(sys.argv[1]))
modes = {"public": report, "private-input": report["private_input"]}
for mode, security in modes.items():
    if security is None:
        sys.exit(f"error: profile {report['profile']} has no proofs of mode {mode}")
    terms, bits = security["security_terms"], security["security_bits"]
    print(f"profile {report['profile']}, mode {mode}: {bits:.1f} bits, the sum of")
    for term in terms:
        print(f"  {term['name']:<40} {term['bits']:.1f}")
    total = -math.log2(sum(2.0 ** -term["bits"] for term in terms))
    if abs(total - bits) > 1e-6:
        sys.exit(f"error: the terms sum to {total:.1f} bits")
    if bits < 100:
        sys.exit("error: fewer than 100 bits")
