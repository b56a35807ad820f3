#!/usr/bin/env python3
"""Refuses a dependency whose licence does not allow MIT OR Apache-2.0 distribution.

Reads `cargo tree` (what is really built, not what a lock file could offer); the allowed list is deny.toml's, so that both agree.
"""
import re
import subprocess
import sys
import tomllib

allowed = set(tomllib.load(open("deny.toml", "rb"))["licenses"]["allow"])
# The Python package is a workspace of its own.
tree = "".join(
    subprocess.run(
        ["cargo", "tree", "--locked", "--workspace", "--prefix", "none", "--format", "{p}|{l}",
         "--manifest-path", manifest],
        check=True, capture_output=True, text=True,
    ).stdout
    for manifest in ("Cargo.toml", "python/Cargo.toml")
)
packages = sorted({tuple(line.replace(" (*)", "").split("|")) for line in tree.splitlines() if "|" in line})


def satisfied(expression: str) -> bool:
    """SPDX expression over AND, OR and parentheses, evaluated against the allowed set."""
    expression = expression.replace("/", " OR ")
    tokens = re.findall(r"\(|\)|[^\s()]+", expression)
    words = []
    i = 0
    while i < len(tokens):
        t = tokens[i]
        if t in ("AND", "OR"):
            words.append(t.lower())
        elif t in "()":
            words.append(t)
        else:
            if i + 2 < len(tokens) and tokens[i + 1] == "WITH":
                t = f"{t} WITH {tokens[i + 2]}"
                i += 2
            words.append(str(t in allowed))
        i += 1
    return bool(eval(" ".join(words), {"__builtins__": {}}))


bad = [f"{p}: {licence or 'no licence field'}" for p, licence in packages if not licence or not satisfied(licence)]
if bad:
    print("\n".join(bad))
    sys.exit(f"{len(bad)} dependencies are not allowed by deny.toml")
print(f"{len(packages)} packages, all licences allowed")
