#!/usr/bin/env python3
"""Writes text.txt beside this script: this repository's own prose, for the language model.

    python3 assets/collect_text.py

Needs git and nothing else. Takes every tracked Markdown file outside assets/, and the
documentation comments (`//!` and `///`) of every tracked Rust and Solidity file; licences are
not ours and are left out. Two files of the same prose count once.

The text is printable ASCII and newlines, so that the model's vocabulary is 96 symbols: REPLACED
says what other characters become, and one that it does not name becomes nothing. Documents
follow in the order of the SHA-256 of their paths, so the held-out end is of the same kind as
the rest.
"""

import hashlib
import pathlib
import re
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
SHORTEST = 80
REPLACED = {
    "–": "-", "—": "-", "−": "-", "×": "x", "·": "*", "…": "...", "→": "->", "←": "<-",
    "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "“": '"', "”": '"', "‘": "'", "’": "'",
    "Σ": "sum ", "∑": "sum ", "Π": "prod ", "√": "sqrt ", "∈": " in ", "⊕": "^", "⌈": "ceil(",
    "⌉": ")", "⌊": "floor(", "⌋": ")", "½": "1/2", "²": "^2", "³": "^3", "ᵀ": "^T", "∞": "inf",
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "η": "eta",
    "λ": "lambda", "μ": "mu", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau", "φ": "phi",
    "ω": "omega", "₀": "_0", "₁": "_1", "₂": "_2", "ᵢ": "_i", "ⱼ": "_j", "\t": "    ",
}  # fmt: skip


def tracked(*patterns):
    command = ["git", "-C", HERE.parent, "ls-files", "-z", "--", *patterns]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [path for path in listed.split("\0") if path]


def comments(source):
    """The documentation comments, a blank line between blocks."""
    lines, inside = [], False
    for line in source.splitlines():
        found = re.match(r"\s*//[/!] ?(?!/)(.*)", line)
        if found:
            lines.append(found[1])
        elif inside:
            lines.append("")
        inside = bool(found)
    return "\n".join(lines)


def plain(text):
    text = "".join(REPLACED.get(c, c) for c in text)
    text = "".join(c for c in text if c == "\n" or " " <= c <= "~")
    lines = [line.rstrip() for line in text.splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def main():
    documents = {}
    for path in tracked("*.md", "*.rs", "*.sol"):
        if path.startswith("assets/"):
            continue
        source = (HERE.parent / path).read_text()
        text = plain(source if path.endswith(".md") else comments(source))
        if len(text) >= SHORTEST:
            documents.setdefault(text, path)
    ordered = sorted(documents.items(), key=lambda item: hashlib.sha256(item[1].encode()).digest())
    text = "\n".join(text for text, _ in ordered)
    (HERE / "text.txt").write_text(text)
    print(f"{len(ordered)} documents, {len(text):,} characters")


if __name__ == "__main__":
    main()
