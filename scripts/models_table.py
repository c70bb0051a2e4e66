#!/usr/bin/env python3
"""Makes the table of whole models from rows of examples/gpu_models.py.

    models_table.py ROWS.jsonl FILE.md...     between <!-- models: begin --> and ... end --> of each
"""
import json
import os
import sys
import textwrap

from table import put_between

COLUMNS = {
    "dense": "dense",
    "dense compiled": "compiled",
    "dense compiled whole": "compiled whole",
    "torch 2:4": "torch 2:4",
    "torch 2:4 compiled": "compiled",
    "tamis": "tamis",
    "tamis compiled": "compiled",
    "tamis compiled whole": "compiled whole",
}


def cell(row, fastest):
    if row is None:
        return ""
    text = f"{row['us'] / 1e3:.3g}"
    if row["us"] in fastest:
        text = f"**{text}**"
    return f"{text} ({row['us_min'] / 1e3:.3g}–{row['us_max'] / 1e3:.3g})"


def table(rows):
    columns = [name for name in COLUMNS if any(row["kernel"] == name for row in rows)]
    lines = ["| model (bf16, ms) | " + " | ".join(COLUMNS[name] for name in columns)
             + " | tamis over dense |", "|---|" + "---:|" * (len(columns) + 1)]
    for label in dict.fromkeys(row["label"] for row in rows):
        mine = {row["kernel"]: row for row in rows if row["label"] == label}
        fastest = [min(row["us"] for name, row in mine.items() if name.startswith(who))
                   for who in ("dense", "tamis")]
        cells = [cell(mine.get(name), fastest) for name in columns]
        lines.append(f"| {label} | " + " | ".join(cells)
                     + f" | **{fastest[0] / fastest[1]:.2f}** |")
    return "\n".join(lines)


def foot(rows, source):
    versions = max((row["versions"] for row in rows), key=len)
    commits = ", ".join(dict.fromkeys(row["commit"][:12] for row in rows))
    rounds = sorted({row["rounds"] for row in rows})
    rounds = "–".join(map(str, dict.fromkeys((rounds[0], rounds[-1]))))
    text = (
        f"{rows[0]['device']}, {versions}, commit {commits}; medians of {rounds} interleaved rounds, in "
        "brackets their 95 % interval (of fewer than nine: the extremes). \"compiled\" is torch.compile "
        "of each block, \"whole\" of the model, each of what stands left of it; \"tamis over dense\" "
        "compares the fastest of both, in bold. Random weights; layers of the blocks pruned 2:4, no "
        "dense weights kept. Decoding runs as CUDA graphs, after 1024 tokens. "
        f"`python examples/gpu_models.py`; rows in `bench/results/{os.path.basename(source)}`."
    )
    return "\n".join(textwrap.wrap(text, 118))


def main():
    source, *pages = sys.argv[1:]
    with open(source, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    for page in pages:
        put_between(page, "models", f"{table(rows)}\n\n{foot(rows, source)}\n")
    print(table(rows))


main()
