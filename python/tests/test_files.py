"""Jobs on checkpoints, the command, and that numpy alone is enough."""

import json
import struct
import subprocess
import sys

import numpy as np
import pytest

import tamis


def write_safetensors(path, tensors):
    """The format in a few lines, so that this test needs no other package."""
    header, parts, offset = {}, [], 0
    for name, array in tensors.items():
        data = array.astype(np.float32).tobytes()
        header[name] = {
            "dtype": "F32",
            "shape": list(array.shape),
            "data_offsets": [offset, offset + len(data)],
        }
        parts.append(data)
        offset += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))


@pytest.fixture
def checkpoint(tmp_path):
    random = np.random.default_rng(0)
    path = tmp_path / "model.safetensors"
    write_safetensors(
        path, {"a.weight": random.standard_normal((32, 64)), "b": random.standard_normal(32)}
    )
    return path


def test_prune_check_pack_unpack(checkpoint, tmp_path):
    out, packed, back = (tmp_path / f"{name}.safetensors" for name in ("out", "packed", "back"))
    rows = tamis.files.prune(checkpoint, out, "2:4").rows
    assert [row["name"] for row in rows] == ["a.weight"] and rows[0]["zeros"] == 32 * 32
    assert rows[0]["pattern"] == "2:4" and rows[0]["error"] > 0
    assert tamis.files.check(out, "2:4").holds and not tamis.files.check(checkpoint, "2:4").holds
    assert tamis.files.pack(out, packed).rows[0]["format"] == "nm"
    assert packed.stat().st_size < out.stat().st_size
    tamis.files.unpack(packed, back)
    assert back.read_bytes()[-8192:] == out.read_bytes()[-8192:]
    assert tamis.files.inspect(out).rows[0]["zeros"] == 32 * 32


def test_an_output_that_exists_is_kept(checkpoint, tmp_path):
    with pytest.raises(tamis.Error, match=r"model\.safetensors"):
        tamis.files.prune(checkpoint, checkpoint, "2:4")


def test_a_file_that_is_not_there_is_an_oserror(tmp_path):
    with pytest.raises(OSError, match=r"nowhere\.safetensors"):
        tamis.files.inspect(tmp_path / "nowhere.safetensors")


def test_progress_is_told_and_can_stop(checkpoint, tmp_path):
    steps = []
    tamis.files.prune(checkpoint, tmp_path / "o", "2:4", progress=lambda *step: steps.append(step))
    assert steps and steps[-1][1] <= steps[-1][2]
    with pytest.raises(tamis.CancelledError):
        tamis.files.prune(checkpoint, tmp_path / "p", "2:4", progress=lambda *_: True)
    assert not (tmp_path / "p").exists()


def test_an_exception_of_progress_comes_out(checkpoint, tmp_path):
    def fail(*_):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        tamis.files.prune(checkpoint, tmp_path / "o", "2:4", progress=fail)


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "tamis", *arguments], capture_output=True, text=True, timeout=60
    )


def test_the_command_keeps_its_exit_codes(checkpoint, tmp_path):
    assert run("version").stdout.startswith("tamis " + tamis.__version__)
    assert run("nothing").returncode == 2
    assert run("check", str(checkpoint), "--pattern", "2:4").returncode == 1
    out = str(tmp_path / "o")
    assert run("prune", str(checkpoint), "--pattern", "2:4", "-o", out).returncode == 0


def test_importing_tamis_does_not_import_torch():
    code = "import sys, tamis; assert 'torch' not in sys.modules and 'scipy' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_without_torch_its_names_say_so():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import tamis\n"
        "try: tamis.sparsify\n"
        "except ImportError as error: assert 'torch' in str(error); sys.exit(7)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 7
