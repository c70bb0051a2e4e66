"""The examples run, for a moment, and the docs have what their rows say."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples"
FASHION_ROWS = ROOT / "bench" / "results" / "2026-11-26-epyc-fashion.jsonl"
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
    for path in (tmp_path / "rows").iterdir():
        row = json.loads(path.read_text())
        if "sparsity" in row:
            assert row["holds"], row
            share = 0.8 if "80%" in row["pattern"] else 0.5
            assert row["sparsity"] == pytest.approx(share, abs=1e-3)
    rows = {path: path.stat().st_mtime_ns for path in (tmp_path / "rows").iterdir()}
    (tmp_path / "rows" / "vision-transformer-2-4-seed-0.json").unlink()
    again = run("fashion_mnist.py", *args, "--models", "vision transformer")
    assert again.returncode == 0, again.stderr
    kept = [path for path, at in rows.items() if path.stat().st_mtime_ns == at]
    assert len(kept) == len(rows) - 1


def load_example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(not IMAGES.is_dir(), reason="dataset-fashion-mnist is not installed")
def test_fashion_mnist_prunes_at_once_when_asked(tmp_path: Path) -> None:
    args = ["--out", str(tmp_path), "--seeds", "1", "--scale", "0.003", "--jobs", "1"]
    wrong = run("fashion_mnist.py", *args, "--growing", "2")
    assert wrong.returncode == 2 and "--growing is 2, but must be 0 to 1" in wrong.stderr
    done = run("fashion_mnist.py", *args, "--models", "convolutional net", "--growing", "0")
    assert done.returncode == 0, done.stderr
    assert "zeros set at once" in (tmp_path / "report.html").read_text().replace("\n", " ")
    rows = [json.loads(path.read_text()) for path in (tmp_path / "rows").iterdir()]
    assert sum(row.get("holds", False) for row in rows) == 4


@pytest.mark.skipif(not FASHION_ROWS.exists(), reason="the results are not beside the tests")
def test_table_of_fashion_mnist_is_of_its_rows_and_all_patterns_recover() -> None:
    example = load_example("fashion_mnist")
    table = example.summary([json.loads(line) for line in FASHION_ROWS.read_text().splitlines()])
    page = (ROOT / "docs" / "pytorch.md").read_text()
    page = page.split("<!-- fashion: begin -->")[1].split("<!-- fashion: end -->")[0]
    drawn = [line for line in page.splitlines() if line.startswith("|")][2:]
    assert drawn == ["| " + " | ".join(example.cells(row)) + " |" for row in table]
    pruned = [row for row in table if "sparsity" in row]
    assert len(pruned) == 8 and all(row["seeds"] == 5 and row["holds"] for row in pruned)
    missed = [row for row in pruned if row["change"][0] < -0.3]
    assert not missed, missed


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: it would run for minutes")
def test_gpu_models_says_that_there_is_no_gpu(tmp_path: Path) -> None:
    result = run("gpu_models.py", "--out", str(tmp_path))
    assert result.returncode == 1 and "no CUDA GPU" in result.stderr
