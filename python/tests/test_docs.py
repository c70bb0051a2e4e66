"""What docs/python.md shows is run, and what it promises of kinds holds."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "python.md"


@pytest.mark.skipif(not PAGE.exists(), reason="the page is not beside the tests")
def test_the_example_of_the_page_runs():
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    assert blocks
    for block in blocks:
        exec(block, {})


def test_kinds_have_the_same_number_in_every_process():
    code = (
        "import numpy as np, tamis\n"
        "w = np.zeros((32, 64), np.float32); w[:, ::2] = 1\n"
        "print(tamis.Linear(tamis.encode(w, 'nm', keep=2, group=4))._kind)"
    )
    numbers = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
        for _ in range(2)
    ]
    assert numbers[0] == numbers[1] and int(numbers[0]) > 0
