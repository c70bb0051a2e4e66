#!/usr/bin/env python3
"""Makes the table of host time in docs/python.md from rows of python/bench/host_time.py.

    host_table.py ROWS.jsonl ... FILE.md     between the lines <!-- host: begin --> and ... end -->
"""
import json
import sys

from table import put_between


def table(rows):
    runs = list(dict.fromkeys((row["device"], row["dtype"], row["versions"]) for row in rows))
    labels = list(dict.fromkeys(row["label"] for row in rows))
    heads = [f"{device}, {dtype}, {versions}" for device, dtype, versions in runs]
    lines = ["| | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(runs)]
    for label in labels:
        cells = []
        for run in runs:
            row = next(r for r in rows if r["label"] == label
                       and (r["device"], r["dtype"], r["versions"]) == run)
            beyond = f", {row['beyond_us']:+.1f}" if label != "F.linear" else ""
            cells.append(f"{row['us']:.1f} ({row['us_min']:.1f}–{row['us_max']:.1f}){beyond}")
        lines.append(f"| `{label}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    *sources, page = sys.argv[1:]
    rows = [json.loads(line) for source in sources for line in open(source, encoding="utf-8")]
    put_between(page, "host", table(rows) + "\n")


main()
