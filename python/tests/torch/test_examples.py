"""The examples run, for a moment."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

EXAMPLES = Path(__file__).parents[3] / "examples"
IMAGES = Path("/usr/share/datasets/fashion-mnist")


def run(name: str, *args: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(EXAMPLES / name), *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.skipif(not IMAGES.is_dir(), reason="dataset-fashion-mnist is not installed")
def test_fashion_mnist_draws_its_report_and_goes_on_where_it_was(tmp_path: Path) -> None:
    args = ["--out", str(tmp_path), "--seeds", "1", "--scale", "0.003", "--jobs", "1"]
    first = run("fashion_mnist.py", *args, "--models", "vision transformer")
    assert first.returncode == 0, first.stderr
    assert "unstructured 80%" in first.stdout and "80%" in first.stdout
    page = (tmp_path / "report.html").read_text()
    assert "<svg" in page and "block 16x16 50%" in page and "http" not in page
    rows = {path: path.stat().st_mtime_ns for path in (tmp_path / "rows").iterdir()}
    (tmp_path / "rows" / "vision-transformer-2-4-seed-0.json").unlink()
    again = run("fashion_mnist.py", *args, "--models", "vision transformer")
    assert again.returncode == 0, again.stderr
    kept = [path for path, at in rows.items() if path.stat().st_mtime_ns == at]
    assert len(kept) == len(rows) - 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: it would run for minutes")
def test_gpu_models_says_that_there_is_no_gpu(tmp_path: Path) -> None:
    result = run("gpu_models.py", "--out", str(tmp_path))
    assert result.returncode == 1 and "no CUDA GPU" in result.stderr
