#!/usr/bin/env python3
"""No file above 500 lines, no function above 70, but for named exceptions. Relies on the layout
that clang-format gives: a function's body begins with a line ending in "{" whose statement begins in
column 0, and ends with "}" in column 0. Also finds marks of work left over."""
import re
import sys

from exceptions import ROOT, Exceptions

FILE_LINES = 500
FUNCTION_LINES = 70
SUFFIXES = (".c", ".h", ".def", ".cu", ".cuh", ".py", ".sh", ".cmake")
LEFT_OVER = re.compile(r"\b(TODO|FIXME|XXX)\b|^\s*#\s*if\s+0\b")
TRAILING_COMMENT = re.compile(r"(?<=\S)\s*/\*.*")
NAME = re.compile(r"(\w+)\s*\(")


def functions(lines):
    """(name, first line, length) of each function of a formatted C file."""
    start = None  # first line of the statement in column 0 that may become a function
    is_open = False
    for number, line in enumerate(lines, 1):
        line = TRAILING_COMMENT.sub("", line)
        if is_open:
            if line.startswith("}"):
                head = " ".join(lines[start - 1:number])
                name = NAME.search(head)
                if name:
                    yield name.group(1), start, number - start + 1
                start, is_open = None, False
            continue
        if not line or line[0] in "#/ *}":
            if line.rstrip().endswith("{") and start is not None and line.startswith(" "):
                is_open = True
            continue
        start = number
        is_function = "(" in line and not line.startswith(("enum", "typedef"))
        if line.rstrip().endswith("{"):
            is_open = is_function
            start = number if is_function else None
        elif line.rstrip().endswith(";"):
            start = None


def main():
    problems = []
    long_files, long_functions = Exceptions("file"), Exceptions("function")
    tops = ("include", "src", "cli", "examples", "tests", "fuzz", "bench", "scripts")
    for file in sorted(p for top in tops for p in (ROOT / top).rglob("*")):
        path = file.relative_to(ROOT).as_posix()
        if file.suffix not in SUFFIXES:
            continue
        lines = file.read_text().splitlines()
        if len(lines) > FILE_LINES and not long_files.excuse(path):
            problems.append(f"{path}: {len(lines)} lines, but {FILE_LINES} are the limit")
        for number, line in enumerate(lines, 1):
            if LEFT_OVER.search(line) and file.suffix != ".py":
                problems.append(f"{path}:{number}: a mark of work left over")
        if file.suffix not in (".c", ".h", ".cu", ".cuh"):
            continue
        for name, number, length in functions(lines):
            if length > FUNCTION_LINES and not long_functions.excuse(f"{path}:{name}"):
                problems.append(f"{path}:{number}: {name} has {length} lines, but "
                                f"{FUNCTION_LINES} are the limit")
    problems += long_files.unused() + long_functions.unused()
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


sys.exit(main())
