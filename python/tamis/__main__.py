"""``python -m tamis`` and ``tamis``: the command, which the package carries along."""

import os
import sys
from pathlib import Path
from typing import NoReturn


def main() -> NoReturn:
    """Becomes the command: its exit codes, signals and output are the command's own."""
    program = Path(__file__).parent / "bin" / "tamis"
    os.execv(program, [str(program), *sys.argv[1:]])


if __name__ == "__main__":
    main()
