"""Tuning tables: each is named in a process of its own, before anything is computed."""

import os
import subprocess
import sys

import numpy as np
import pytest

import tamis
from tamis import _core

NAME_THE_KERNEL = """
import sys, numpy as np, tamis
tamis.use_tuning(sys.argv[1] or None)
matrix = tamis.encode(np.eye(64, dtype=np.float32), "nm", keep=2, group=4)
print(tamis.Linear(matrix).kernel(64))
"""


def kernel_by(path, **environment):
    run = subprocess.run(
        [sys.executable, "-c", NAME_THE_KERNEL, str(path)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    return run.stdout.strip() or run.stderr.strip().splitlines()[-1]


def usual_kernel():
    matrix = tamis.encode(np.eye(64, dtype=np.float32), "nm", keep=2, group=4)
    return tamis.Linear(matrix).kernel(64)


def table_against(kernel):
    cpu = _core.context_describe(_core.context(0, 0, 0))["cpu"]
    return f"tamis-tuning 1\ndevice {cpu}\nprocessors 0\nprice {kernel} scale 1000\n"


def test_kernels_are_chosen_by_a_named_table(tmp_path):
    table = tmp_path / "table.txt"
    table.write_text(table_against(usual_kernel()))
    assert kernel_by(table).startswith("spmm_") and kernel_by(table) != usual_kernel()


def test_no_path_is_the_file_that_tamis_tune_writes(tmp_path):
    (tmp_path / "tamis").mkdir()
    (tmp_path / "tamis" / "tuning.txt").write_text(table_against(usual_kernel()))
    assert kernel_by("", XDG_CACHE_HOME=str(tmp_path)) != usual_kernel()


def test_a_malformed_table_is_refused_with_its_line(tmp_path):
    table = tmp_path / "table.txt"
    table.write_text("tamis-tuning 1\nprice\n")
    said = kernel_by(table)
    assert "FormatError" in said and "line 2" in said


def test_a_table_named_after_the_first_product_is_refused(tmp_path):
    usual_kernel()
    table = tmp_path / "table.txt"
    table.write_text("tamis-tuning 1\n")
    with pytest.raises(tamis.InvalidError, match="computed already"):
        tamis.use_tuning(table)
