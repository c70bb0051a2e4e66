#!/usr/bin/env python3
"""Compares what include/tamis.h declares, what libtamis.so exports and what docs/abi.txt lists, in
which functions of the header's experimental half stand apart.

    check_abi.py LIBTAMIS.SO     compares
    check_abi.py --write         writes docs/abi.txt from the header
"""
import re
import subprocess
import sys

from exceptions import ROOT

HEADER = ROOT / "include/tamis.h"
LIST = ROOT / "docs/abi.txt"
SECTIONS = ("stable", "experimental")


def declared():
    """Name to section, from the header."""
    text = HEADER.read_text()
    border = text.index("==== Experimental")
    names = {}
    for match in re.finditer(r"^TMS_API\b[^;{]*?\b(\w+)\s*\(", text, re.M):
        names[match.group(1)] = SECTIONS[match.start() > border]
    return names


def listed():
    names, section = {}, None
    for line in LIST.read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            names[line] = section
    return names


def exported(library):
    output = subprocess.run(["nm", "-D", "--defined-only", library], check=True,
                            capture_output=True, text=True).stdout
    return {line.split()[-1] for line in output.splitlines()}


def write(names):
    lines = ["# The functions that libtamis.so exports. Made by scripts/check_abi.py --write."]
    for section in SECTIONS:
        lines += ["", f"[{section}]"] + sorted(n for n in names if names[n] == section)
    LIST.write_text("\n".join(lines) + "\n")


def main():
    header = declared()
    if sys.argv[1] == "--write":
        write(header)
        return 0
    abi, library = listed(), exported(sys.argv[1])
    problems = [f"{n}: exported, but not in docs/abi.txt" for n in sorted(library - set(abi))]
    problems += [f"{n}: in docs/abi.txt, but not exported" for n in sorted(set(abi) - library)]
    problems += [f"{n}: {header.get(n, 'not')} in tamis.h, {abi.get(n, 'not')} in docs/abi.txt"
                 for n in sorted(set(header) | set(abi)) if header.get(n) != abi.get(n)]
    problems += [f"{n}: exported names begin with tms_" for n in sorted(library)
                 if not n.startswith("tms_")]
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


sys.exit(main())
