#!/usr/bin/env python3
"""Refuses a lock file of the Python package that names other versions than the root's.

A package that only one of the two locks is free; one that both lock must be of a version that the
root has, so that the package proves with the very code that the binary verifies with.
"""
import sys
import tomllib
from collections import defaultdict


def versions(path: str) -> dict[str, set[str]]:
    found = defaultdict(set)
    for package in tomllib.load(open(path, "rb"))["package"]:
        found[package["name"]].add(package["version"])
    return found


root, python = versions("Cargo.lock"), versions("python/Cargo.lock")
shared = sorted(root.keys() & python.keys())
bad = [
    f"{name}: {', '.join(sorted(python[name] - root[name]))}, the root has {', '.join(sorted(root[name]))}"
    for name in shared
    if not python[name] <= root[name]
]
if bad:
    print("\n".join(bad))
    sys.exit("python/Cargo.lock differs: copy Cargo.lock over it and run `cargo metadata` in python/")
print(f"{len(shared)} packages are locked alike")
