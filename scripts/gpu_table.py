#!/usr/bin/env python3
"""Rows of bench_gpu (JSON lines) to the tables of docs/hopper-24-h100.md and -h200.md.

    gpu_table.py ROWS.jsonl [FILE.md]    prints the tables, or writes each that FILE has marks for

Marks are lines: <!-- gpu shapes: begin --> and <!-- gpu shapes: end -->; likewise few, fused, blocks,
host and build. Only rows that were measured in turns are compared with each other; where the same
ones were measured twice, the later count. Standard library only.
"""
import json
import math
import re
import sys

from table import markdown, put_between

PROCESSORS = 132  # of an H100 or H200
TYPES = ("bf16", "f16", "e4m3", "i8")
DENSE_KEPT = "tamis dense kept"


def geomean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def product_of(row):
    return (row["op"], row["dtype"], row["t"], row["k"], row["n"], row["state"],
            row.get("label") if row["op"] == "block" else None)


def candidate_of(row):
    return row["who"], row["epilogue"], row["kernel"] if row["op"] == "build" else None


def measurements(rows):
    """Lists of rows that were measured in turns: bench_gpu prints them one after the other."""
    lists = []
    for row in rows:
        mine = lists[-1] if lists else []
        if (not mine or product_of(mine[0]) != product_of(row)
                or candidate_of(row) in map(candidate_of, mine)):
            lists.append([])
        lists[-1].append(row)
    return lists


def is_plain(mine):
    return all(row["epilogue"] == "none" for row in mine)


def is_few(mine):
    """Of the set of few tokens, which alone has the plan with dense kept: one product is in both."""
    return any(row["who"] == DENSE_KEPT for row in mine)


def latest(lists):
    return list({(product_of(mine[0]), is_plain(mine), is_few(mine)): mine
                 for mine in lists}.values())


def flat(lists):
    return [row for mine in lists for row in mine]


def floor_cycles(row):
    """Cycles that shared memory allows at best with the kernel's tile: an instruction of 64 rows by
    N tokens by 32 k (64 in 8-bit types) reads 64 N + 2048 bytes, 128 a cycle. Of an odd number of
    blocks of 64 rows the last is two instructions, half of the tokens each."""
    tile = re.search(r"_(\d+)x(\d+)_sm90", row["kernel"] or "")
    if not tile:
        return None
    blocks, tokens = int(tile[1]) // 64, int(tile[2])
    depth = 64 if row["dtype"] in ("e4m3", "i8") else 32
    halved = 16 / blocks if blocks > 1 and blocks % 2 else 0
    products = row["t"] * row["n"] * row["k"] / (64.0 * tokens * depth)
    return products * (tokens / 2 + 16 + halved) / PROCESSORS


def rate(row):
    return 2e-6 * row["t"] * row["k"] * row["n"] / row["us"]


def note_of(rows):
    first = rows[0]
    clocks = [1e-3 * row["cycles"] / row["us"] for row in rows if row["cycles"]]
    clock = f" at {min(clocks):.2f} to {max(clocks):.2f} GHz" if clocks else ""
    return (f"{first['device']}, sustained{clock}, medians of {first['rounds']} rounds; "
            f"{first['versions'].strip()}; commit {first['commit']}; {first['date']}.\n")


def by_shape(lists, dtype, few):
    """{(t, k, n): {who: row}} of plain products, of the set of few tokens or of the others."""
    shapes = {}
    for mine in lists:
        first = mine[0]
        if (first["op"] == "spmm" and first["dtype"] == dtype and first["state"] == "sustained"
                and is_plain(mine) and is_few(mine) == few):
            shapes[first["t"], first["k"], first["n"]] = {row["who"]: row for row in mine}
    return {shape: who for shape, who in shapes.items() if "tamis" in who}


def over(who, rival):
    return who[rival]["us"] / who["tamis"]["us"] if rival in who else None


def number(value, digits=2):
    return "–" if value is None else f"{value:.{digits}f}"


def mean_of(values):
    there = [value for value in values if value is not None]
    return f"**{geomean(there):.2f}**" if there else "–"


def shape_line(shape, who):
    ours = who["tamis"]
    floor = floor_cycles(ours)
    has_floor = floor is not None and ours["cycles"]
    # A shape is behind where the intervals of the two medians do not meet.
    behind = "cusparselt" in who and ours["us_min"] > who["cusparselt"]["us_max"]
    return (", ".join(map(str, shape)),
            *(number(who[r]["us"], 0) if r in who else "–" for r in ("cublaslt", "cusparselt")),
            f"{ours['us']:.0f} ({rate(ours):.0f})", number(over(who, "cublaslt")),
            number(over(who, "cusparselt")) + (" (behind)" if behind else ""),
            f"{100 * floor / ours['cycles']:.0f} %" if has_floor else "–", f"`{ours['kernel']}`")


def shapes_table(lists):
    """Layers of transformers."""
    heads = ("T, K, N", "cuBLASLt", "cuSPARSELt", "tamis (TFLOP/s)", "× cuBLASLt", "× cuSPARSELt",
             "of floor", "kernel")
    text, used = [], []
    for dtype in TYPES:
        shapes = by_shape(lists, dtype, few=False)
        if not shapes:
            continue
        used += [row for who in shapes.values() for row in who.values()]
        lines = [shape_line(shape, who) for shape, who in shapes.items()]
        kept = [who for who in shapes.values()]
        narrow = [who for (_, k, _), who in shapes.items() if k == 1280]
        lines.append(("geometric mean", "", "", "", mean_of([over(w, "cublaslt") for w in kept]),
                      mean_of([over(w, "cusparselt") for w in kept]), "", ""))
        if narrow:
            lines.append(("... of K = 1280", "", "", "",
                          mean_of([over(w, "cublaslt") for w in narrow]),
                          mean_of([over(w, "cusparselt") for w in narrow]), "", ""))
        text.append(f"**{dtype}**, µs (dense-equivalent TFLOP/s):\n\n"
                    + markdown(heads, "lrrrrrrl", lines))
    return "\n".join(text) + "\n" + (note_of(used) if used else "")


def few_table(lists):
    heads = ("T", "cuBLASLt", "cuSPARSELt", "tamis", "× cuBLASLt", "× the faster", "kernel",
             "dense kept", "× the faster", "kernel")
    rivals = ("cublaslt", "cusparselt")
    text, used = [], []
    shapes = by_shape(lists, "bf16", few=True)
    for size in (4096, 8192):
        few = {s: who for s, who in shapes.items() if s[1] == size}
        if not few:
            continue
        used += [row for who in few.values() for row in who.values()]
        lines = []
        for shape in sorted(few):
            who = few[shape]
            best = min((who[r]["us"] for r in rivals if r in who), default=None)
            ours = []
            for name in ("tamis", DENSE_KEPT):
                row = who.get(name)
                ours.append((number(row["us"], 1), number(best / row["us"] if best else None),
                             f"`{row['kernel']}`") if row else ("–", "–", "–"))
            (us, ratio, kernel), kept = ours
            lines.append((str(shape[0]), *(number(who[r]["us"], 1) if r in who else "–"
                                           for r in rivals),
                          us, number(over(who, "cublaslt")), ratio, kernel, *kept))
        text.append(f"K = N = {size}, bf16, µs:\n\n" + markdown(heads, "rrrrrrlrrl", lines))
    return "\n".join(text) + "\n" + (note_of(used) if used else "")


def fused_table(lists):
    """Cycles over the plain product's of the same turns, geometric means over shapes."""
    plain, others, copies, used = {}, {}, {}, []
    for mine in lists:
        shape = tuple(mine[0][name] for name in ("dtype", "t", "k", "n"))
        if mine[0]["op"] == "copy":
            copies[shape] = mine[0]
        elif mine[0]["op"] == "spmm" and not is_plain(mine):
            used += mine
            for row in mine:
                if row["epilogue"] == "none":
                    plain[shape] = row
                else:
                    others.setdefault((row["dtype"], row["epilogue"]), {})[shape] = row
    lines = []
    for (dtype, epilogue), cells in others.items():
        ratios = [row["cycles"] / plain[shape]["cycles"] for shape, row in cells.items()
                  if shape in plain and row["cycles"] and plain[shape]["cycles"]]
        if ratios:
            lines.append((dtype, epilogue, number(geomean(ratios), 3),
                          f"{min(ratios):.3f}–{max(ratios):.3f}", str(len(ratios))))
    allowed = [1 + row["cycles"] / plain[shape]["cycles"] / 2 for shape, row in copies.items()
               if shape in plain and row["cycles"] and plain[shape]["cycles"]]
    text = markdown(("type", "epilogue", "× cycles", "from, to", "shapes"), "llrrr", lines)
    if allowed:
        text += (f"\nReading a residual's 2·T·N bytes at the speed of the GPU's own copy (half of a "
                 f"copy's cycles) would make {geomean(allowed):.3f}.\n")
    return text + "\n" + (note_of(used) if used else "")


def blocks_table(lists):
    blocks = {}
    rows = [row for row in flat(lists) if row["op"] == "block"]
    for row in rows:
        blocks.setdefault(row.get("label"), {})[row["who"]] = row
    lines = [(name, str(next(iter(who.values()))["t"]),
              *(number(who[r]["us"], 0) if r in who else "–"
                for r in ("cublaslt", "cusparselt", "tamis")),
              number(over(who, "cublaslt")), number(over(who, "cusparselt")))
             for name, who in blocks.items() if "tamis" in who]
    return markdown(("block", "T", "cuBLASLt", "cuSPARSELt", "tamis", "× cuBLASLt",
                     "× cuSPARSELt"), "lrrrrrr", lines) + "\n" + (note_of(rows) if rows else "")


def host_table(lists):
    lines = [(row["who"], row["epilogue"], number(row["us"]),
              f"{row['us_min']:.2f}–{row['us_max']:.2f}")
             for row in flat(lists) if row["op"] == "call"]
    return markdown(("who", "call", "µs", "95 %"), "llrr", lines)


def build_table(lists):
    """In brackets: bytes read and written a second, over those of the copy."""
    ways = (("tamis", "select"), ("tamis", "check"), ("tamis", "nm"), ("tamis", "decode"),
            ("cuda", "copy"), ("cusparselt", "prune and compress"))
    cases = {}
    rows = [row for row in flat(lists) if row["op"] == "build"]
    for row in rows:
        case = cases.setdefault((row["n"], row["k"], row["dtype"]), {})
        case[row["who"], row["kernel"]] = row
    if not cases:
        return "\n"

    def cell(case, way):
        if way not in case:
            return "–"
        row, copy = case[way], case.get(("cuda", "copy"))
        if way[0] != "tamis" or not copy:
            return number(row["us"], 1)
        share = row["bytes"] / row["us"] / (copy["bytes"] / copy["us"])
        return f"{row['us']:.1f} ({100 * share:.0f} %)"

    lines = [(f"{n} × {k}", dtype, *(cell(case, way) for way in ways))
             for (n, k, dtype), case in cases.items()]
    note = note_of(rows)
    return markdown(("N × K", "type", "select", "check", "from nm", "to nm", "copy", "cuSPARSELt"),
                    "llrrrrrr", lines) + "\n" + note.replace("sustained", "cold")


TABLES = {"shapes": shapes_table, "few": few_table, "fused": fused_table, "blocks": blocks_table,
          "host": host_table, "build": build_table}


def main(arguments):
    if len(arguments) not in (1, 2):
        sys.exit(__doc__)
    with open(arguments[0], encoding="utf-8") as file:
        lists = latest(measurements([json.loads(line) for line in file if line.strip()]))
    page = open(arguments[1], encoding="utf-8").read() if len(arguments) == 2 else None
    for name, table in TABLES.items():
        if page is None:
            print(f"## {name}\n\n{table(lists)}")
        elif f"<!-- gpu {name}: begin -->" in page:
            put_between(arguments[1], f"gpu {name}", table(lists))


if __name__ == "__main__":
    main(sys.argv[1:])
