#!/usr/bin/env python3
"""Makes the tables of documents from measured data, so that no figure is typed.

    table.py demo DEMO.json FILE.md        the demo's table, between the markers in FILE.md
    table.py rows ROWS.jsonl [FILE.md]     a table of bench rows: to FILE.md, or to standard output

Markers are lines: <!-- demo: begin --> and <!-- demo: end -->; <!-- rows: ... likewise.
Standard library only.
"""
import json
import math
import sys


def size_text(count):
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" or count >= 99.95 else f"{count:.1f} {unit}"
        count /= 1000.0


def share_text(share):
    if share is None:
        return "–"
    low, high = 100 * share["low"], 100 * share["high"]
    return f"{100 * share['value']:.1f} ({low:.1f}–{high:.1f})"


def markdown(heads, aligns, rows):
    rule = {"l": "---", "r": "---:"}
    lines = ["| " + " | ".join(heads) + " |", "|" + "|".join(rule[a] for a in aligns) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def demo_table(demo):
    heads = ("", "pattern", "method", "layers", "zeros", "bytes", "recall@1 %", "recall@10 %",
             "cosine", "texts/s", "× dense")
    rows = []
    for row in demo["rows"]:
        cosine = "–" if row["cosine"] is None else f"{row['cosine']:.4f}"
        rows.append((row["row"], row["pattern"], row["method"], row["layers"],
                     f"{100 * row['zeros']:.1f} %", size_text(row["bytes"]),
                     share_text(row["recall1"]), share_text(row["recall10"]), cosine,
                     f"{row['texts_per_second']:.0f}", f"{row['ratio_dense']:.2f}"))
    note = (f"{demo['device']}, {demo['isa']}, {demo['threads']} threads; median of "
            f"{demo['rounds']} rounds of {demo['texts']} texts, all models in turns; "
            f"{demo['versions']}, commit {demo['commit']}; {demo['date']}; command: `make demo`. "
            "In brackets: 95 % intervals.")
    if demo["is_seed_model"]:
        note += (" **The model is a stand-in of the same shape, made from a seed: speed holds, "
                 "accuracy means nothing.**")
    return markdown(heads, "llllrrrrrrr", rows) + "\n" + note + "\n"


def number(value, digits):
    return "–" if value is None else f"{value:.{digits}f}"


def rows_table(rows):
    heads = ("T, K, N", "threads", "who", "pattern", "kernel", "state", "µs", "95 %", "dense GF/s",
             "× dense")
    table = []
    for row in rows:
        if row["t"] is None or row["us"] is None:
            continue
        rate = 2e-3 * row["t"] * row["k"] * row["n"] / row["us"]
        table.append((f"{row['t']}, {row['k']}, {row['n']}", str(row["threads"]), row["who"],
                      row["pattern"] or row["format"] or row["op"], f"`{row['kernel']}`",
                      row["state"], number(row["us"], 1),
                      f"{number(row['us_min'], 1)}–{number(row['us_max'], 1)}", f"{rate:.1f}",
                      number(row["ratio_dense"], 2)))
    first = rows[0]
    note = (f"{first['device']}, {first['isa']}; {first['rounds']} rounds; {first['versions']}, "
            f"commit {first['commit']}; {first['date']}.")
    means = geometric_means(rows)
    return markdown(heads, "lrllllrrrr", table) + "\n" + note + "\n\n" + means


def geometric_means(rows):
    logs = {}
    for row in rows:
        if row["t"] is not None and row["ratio_dense"]:
            key = (row["t"], row["who"], row["pattern"] or row["format"] or row["op"])
            logs.setdefault(key, []).append(math.log(row["ratio_dense"]))
    table = [(str(t), who, what, f"{math.exp(sum(v) / len(v)):.2f}", str(len(v)))
             for (t, who, what), v in sorted(logs.items(), key=lambda item: item[0][0])]
    return markdown(("T", "who", "pattern", "× dense, geometric mean", "shapes"), "rllrr", table)


def put_between(path, name, text):
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    whole = open(path, encoding="utf-8").read()
    if whole.count(begin) != 1 or whole.count(end) != 1:
        sys.exit(f"{path}: needs the lines {begin} and {end}, once each")
    head, rest = whole.split(begin)
    tail = rest.split(end)[1]
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{head}{begin}\n{text}{end}{tail}")


def main(arguments):
    if len(arguments) == 3 and arguments[0] == "demo":
        with open(arguments[1], encoding="utf-8") as file:
            put_between(arguments[2], "demo", demo_table(json.load(file)))
    elif len(arguments) in (2, 3) and arguments[0] == "rows":
        with open(arguments[1], encoding="utf-8") as file:
            text = rows_table([json.loads(line) for line in file if line.strip()])
        if len(arguments) == 3:
            put_between(arguments[2], "rows", text)
        else:
            print(text, end="")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
