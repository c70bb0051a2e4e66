#!/usr/bin/env python3
"""Holds the walls between the rooms of src/: a quoted include goes only to a room that its own room
may see, and names it ("base/status.h"). Also: command, examples and Python see the public header
alone, OpenMP stays in base, and assembly in src/cuda/ptx."""
import re
import sys

from exceptions import ROOT, Exceptions

# A room sees itself, these, and what they see.
SEES = {
    "base": [],
    "cuda": ["base"],
    "pattern": ["base"],
    "format": ["pattern"],
    "spmm": ["format"],
    "prune": ["pattern"],
    "io": ["base"],
    "checkpoint": ["format", "prune", "io"],
    "model": ["spmm", "checkpoint"],
    "measure": ["spmm", "model"],
    "api": ["base", "cuda", "pattern", "format", "spmm", "prune", "io", "checkpoint", "model",
            "measure"],
}
GENERATED = {"commit.inc"}  # by the build
OPENMP_FILE = "src/base/threads.c"
ASM_FOLDER = "src/cuda/ptx/"

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')
OPENMP = re.compile(r'^\s*#\s*pragma\s+omp|^\s*#\s*include\s+<omp\.h>|\bomp_[a-z_]+\s*\(')
ASM = re.compile(r'\b(asm|__asm|__asm__)\b\s*(volatile|__volatile__|goto)?\s*\(')


def visible_rooms(room, folder):
    rooms, queue = set(), [room]
    if folder == "cuda":  # a room's device code
        queue.append("cuda")
    while queue:
        seen = queue.pop()
        if seen not in rooms:
            rooms.add(seen)
            queue += SEES[seen]
    return rooms


def check_room_include(path, name):
    parts = path.split("/")
    room, folder = parts[1], parts[2] if len(parts) > 3 else ""
    if room not in SEES:
        return f"src/{room} is no room: add it to SEES in scripts/check_layers.py"
    if name == "tamis.h" or name in GENERATED:
        return None
    target = name.split("/")[0]
    if target not in SEES:
        return f'"{name}" names no room'
    if not (ROOT / "src" / name).is_file():
        return f'"{name}" is no file of src'
    if target not in visible_rooms(room, folder):
        return f'{room} may not see {target} ("{name}")'
    return None


def check_user_include(path, name):
    """Command, examples and Python: the public header and files beside the includer."""
    if name == "tamis.h" or "/" not in name and (ROOT / path).parent.joinpath(name).is_file():
        return None
    return f'"{name}": {path.split("/")[0]} sees the public header alone'


def check_include(path, quote, name):
    top = path.split("/")[0]
    if top == "include":
        is_standard = quote == "<" and name.endswith(".h") and "/" not in name
        return None if is_standard else f"{name}: the public header includes C's headers alone"
    if quote == "<":
        return None
    if top == "src":
        return check_room_include(path, name)
    if top in ("cli", "examples", "python"):
        return check_user_include(path, name)
    return None  # tests, fuzz and bench see everything


def main():
    problems = []
    asm = Exceptions("asm")
    tops = ("include", "src", "cli", "examples", "python", "tests", "fuzz", "bench")
    files = sorted(p for top in tops for p in (ROOT / top).rglob("*")
                   if p.suffix in (".c", ".h", ".def", ".cu", ".cuh"))
    for file in files:
        path = file.relative_to(ROOT).as_posix()
        for number, line in enumerate(file.read_text().splitlines(), 1):
            include = INCLUDE.match(line)
            problem = check_include(path, *include.groups()) if include else None
            if OPENMP.search(line) and path != OPENMP_FILE:
                problem = f"OpenMP belongs in {OPENMP_FILE}"
            if ASM.search(line) and not path.startswith(ASM_FOLDER) and not asm.excuse(path):
                problem = f"assembly belongs in {ASM_FOLDER}, or is a named exception"
            if problem:
                problems.append(f"{path}:{number}: {problem}")
    problems += asm.unused()
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems or not files else 0


sys.exit(main())
