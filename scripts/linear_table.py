#!/usr/bin/env python3
"""Makes the table of layers from Python in docs/pytorch.md from rows of python/bench/linear_sweep.py.

    linear_table.py ROWS.jsonl FILE.md     between the lines <!-- linear: begin --> and ... end -->
"""
import json
import sys

from table import put_between

SHOWN = (1, 16, 64, 256, 1024, 4096, 16384)


def table(rows):
    ours = [row for row in rows if row["who"] == "tamis"]
    head = " | ".join(map(str, SHOWN))
    lines = [f"| layer (k to n) | {head} | least |", "|---|" + "---:|" * (len(SHOWN) + 1)]
    for label in dict.fromkeys(row["label"] for row in ours):
        mine = {row["t"]: row for row in ours if row["label"] == label}
        least = min(mine.values(), key=lambda row: row["ratio_dense"])
        cells = [f"{mine[t]['ratio_dense']:.2f}" for t in SHOWN]
        shape = f"{label} ({least['k']} to {least['n']})"
        lines.append(f"| {shape} | " + " | ".join(cells)
                     + f" | {least['ratio_dense']:.2f} at {least['t']} |")
    behind = [row for row in ours if row["ratio_dense"] < 0.97]
    worst = min(row["ratio_dense"] for row in ours)
    first = ours[0]
    lines += ["", f"{len(ours)} products, of them {len(behind)} more than 3 % slower than dense; "
              f"least {worst:.3f}. {first['device']}, {first['versions']}, commit {first['commit']}, "
              f"{first['date']}."]
    return "\n".join(lines)


def main():
    source, page = sys.argv[1:]
    with open(source, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    put_between(page, "linear", table(rows) + "\n")


main()
