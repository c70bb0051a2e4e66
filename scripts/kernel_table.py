#!/usr/bin/env python3
"""Rows of bench_spmm (JSON lines) to the table of geometric means in docs/layouts.md.

    kernel_table.py ROWS.jsonl            prints the table
    kernel_table.py ROWS.jsonl FILE.md    writes it between FILE's marks
"""
import json
import math
import sys

BEGIN, END = "<!-- kernel_table.py: begin -->", "<!-- kernel_table.py: end -->"


def name_of(row):
    if row["op"] == "peak":
        return "FMA loop in registers"
    if row["who"] != "tamis":
        return f"dense, {row['who']}"
    return row["pattern"] or "dense"


def geomean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def table(rows):
    """A line a kind of row; columns of T: times the fastest dense, and share of the FMA loop."""
    names = list(dict.fromkeys(map(name_of, rows)))
    tokens = sorted({row["t"] for row in rows})
    shapes = sorted({(row["k"], row["n"]) for row in rows})
    peak = {(r["t"], r["k"], r["n"]): r["us"] for r in rows if r["op"] == "peak"}
    lines = ["| | " + " | ".join(f"T = {t}: x dense | of peak | kernel" for t in tokens) + " |",
             "|---" * (1 + 3 * len(tokens)) + "|"]
    for name in names:
        cells = [name]
        for t in tokens:
            mine = [r for r in rows if r["t"] == t and name_of(r) == name]
            share = geomean([peak[r["t"], r["k"], r["n"]] / r["us"] for r in mine])
            kernels = {r["kernel"] for r in mine}
            cells += [f"{geomean([r['ratio_dense'] for r in mine]):.2f}", f"{100 * share:.0f} %",
                      ", ".join(f"`{kernel}`" for kernel in sorted(kernels))]
        lines.append("| " + " | ".join(cells) + " |")
    first = rows[0]
    quiet = [row["quiet"] for row in rows]
    lines += ["", f"{first['device']}, {first['isa']}, {first['threads']} thread(s), "
              f"{first['rounds']} rounds, {100 * sum(quiet) / len(quiet):.0f} % of samples quiet; "
              f"{first['versions']}; commit {first['commit']}; {first['date']}; (K, N) = "
              + " ".join(f"({k}, {n})" for k, n in shapes) + ". Of peak counts zeros as work done."]
    return "\n".join(lines)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        text = table([json.loads(line) for line in file])
    if len(sys.argv) < 3:
        print(text)
        return
    with open(sys.argv[2], encoding="utf-8") as file:
        page = file.read()
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write(f"{before}{BEGIN}\n{text}\n{END}{after}")


if __name__ == "__main__":
    main()
