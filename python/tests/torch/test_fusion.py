"""Fused models compute what their pruned dense ones do, and the report says what was fused."""

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import tamis
from tamis.torch import _fuse


def both(model: nn.Module, layers: str) -> tuple[nn.Module, nn.Module, list[str]]:
    tamis.prune(model, "2:4", layers=layers)
    sparse = copy.deepcopy(model)
    report = tamis.sparsify(sparse, layers=layers, keep_dense=False)
    return model, sparse, [fusion.what for fusion in report.fused]


def close(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_a_timm_vision_transformer_is_fused_whole() -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    model = timm.create_model(
        "vit_tiny_patch16_224", img_size=32, depth=2, embed_dim=64, num_heads=4, num_classes=5
    ).eval()
    dense, sparse, fused = both(model, "blocks.*")
    assert sorted(set(fused)) == ["attn.proj + residual", "fc1 + gelu", "mlp.fc2 + residual"]
    assert len(fused) == 6
    x = torch.randn(3, 3, 32, 32)
    with torch.inference_mode():
        close(sparse(x), dense(x))
        again = pickle.loads(pickle.dumps(sparse))
        assert torch.equal(again(x), sparse(x))
        close(copy.deepcopy(sparse)(x), dense(x))
    # with gradients wanted the same layers run unfused
    dense.train(), sparse.train()
    close(sparse(x), dense(x))
    sparse(x).sum().backward()
    dense(x).sum().backward()
    close(sparse.patch_embed.proj.weight.grad, dense.patch_embed.proj.weight.grad)
    close(sparse.blocks[0].mlp.fc1.bias.grad, dense.blocks[0].mlp.fc1.bias.grad)


def test_layer_scale_and_drop_path_are_respected() -> None:
    timm = pytest.importorskip("timm")
    model = timm.create_model(
        "vit_tiny_patch16_224",
        img_size=32,
        depth=2,
        embed_dim=64,
        num_heads=4,
        init_values=0.3,
        drop_path_rate=0.2,
        num_classes=5,
    ).eval()
    dense, sparse, fused = both(model, "blocks.*")
    assert set(fused) == {"fc1 + gelu"}  # a scale lies before each residual
    x = torch.randn(3, 3, 32, 32)
    with torch.inference_mode():
        close(sparse(x), dense(x))


def test_sams_encoder_is_fused_windows_and_all() -> None:
    sam = pytest.importorskip("timm.models.vision_transformer_sam")
    torch.manual_seed(0)
    model = sam.VisionTransformerSAM(
        img_size=96,
        patch_size=16,
        embed_dim=64,
        depth=2,
        num_heads=4,
        window_size=4,
        global_attn_indexes=(1,),
        num_classes=0,
        use_rel_pos=True,
        neck_chans=32,
    ).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.1)
    dense, sparse, fused = both(model, "blocks.*")
    assert fused.count("attn.proj + residual") == fused.count("mlp.fc2 + residual") == 2
    x = torch.randn(2, 3, 96, 96)
    with torch.inference_mode():
        close(sparse.forward_features(x), dense.forward_features(x))


@pytest.mark.parametrize("family", ["Llama", "Mistral", "Qwen2", "Qwen3"])
def test_decoders_of_the_llama_family_are_fused_and_generate(family: str) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(
        hidden_size=64,
        intermediate_size=176,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=100,
        head_dim=16,
        pad_token_id=0,
    )
    model = getattr(transformers, f"{family}ForCausalLM")(config).eval()
    dense, sparse, fused = both(model, "model.layers.*")
    assert sorted(set(fused)) == [
        "gate_proj + up_proj + silu",
        "mlp.down_proj + residual",
        "q_proj + k_proj + v_proj",
        "self_attn.o_proj + residual",
    ]
    ids = torch.randint(1, 100, (2, 9))
    options = {"max_new_tokens": 4, "do_sample": False, "attention_mask": torch.ones_like(ids)}
    with torch.inference_mode():
        close(sparse(ids).logits, dense(ids).logits)
        assert torch.equal(sparse.generate(ids, **options), dense.generate(ids, **options))
    names = sparse.state_dict().keys()
    assert {
        f"model.layers.0.self_attn.q_proj.weight.{part}" for part in ("values", "index")
    } < names
    assert not any("image" in name or "joined" in name for name in names)


def test_joined_layers_see_new_weights() -> None:
    parts = [nn.Linear(32, 16, bias=False) for _ in range(2)]
    model = nn.Sequential(*parts)
    tamis.prune(model, "2:4")
    tamis.sparsify(model, keep_dense=False)
    gate = tamis.torch._linear.join(list(model), gate="silu")
    x = torch.randn(5, 32)
    with torch.inference_mode():
        close(gate(x), F.silu(model[0](x)) * model[1](x))
    with torch.no_grad():
        model[1].weight.values.mul_(2.0)
    with torch.inference_mode():
        close(gate(x), F.silu(model[0](x)) * model[1](x))


def test_a_sequence_takes_its_activations_in() -> None:
    model = nn.Sequential(
        nn.Linear(32, 64), nn.GELU(approximate="tanh"), nn.Linear(64, 8), nn.SiLU()
    )
    dense, sparse, fused = both(model, "*")
    assert fused == ["0 + gelu_tanh", "2 + silu"]
    x = torch.randn(4, 32)
    with torch.inference_mode():
        close(sparse(x), dense(x))


class Unknown(nn.Module):
    """No class that the swap knows: the compile pass must find what is in it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.up, self.down = nn.Linear(32, 64), nn.Linear(64, 32)
        self.side = nn.Linear(32, 32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x + F.dropout(self.down(F.gelu(self.up(x))), 0.1, self.training)
        return y + self.side(y) * 2 + self.side(y).relu() + self.side(y)[:1]


def test_the_compile_pass_fuses_in_unknown_models() -> None:
    dense, sparse, fused = both(Unknown().eval(), "*")
    assert fused == []
    installed = _fuse.install_compile_pass()
    installed.fused.clear()
    x = torch.randn(4, 32)
    torch._dynamo.reset()
    # without caches: a graph that an earlier run compiled would be taken as it is
    with torch.inference_mode(), torch._inductor.config.patch(force_disable_caches=True):
        close(torch.compile(sparse, fullgraph=True)(x), dense(x))
    # up + gelu, down + residual, side + relu and its sum; not what is scaled or broadcast
    assert sorted(installed.fused) == ["gelu", "relu", "residual", "residual"]


def test_installing_the_pass_twice_is_once_and_keeps_anothers() -> None:
    from torch._inductor import config

    assert _fuse.install_compile_pass() is _fuse.install_compile_pass()
    mine = config.pre_grad_custom_pass
    seen = []
    try:
        config.pre_grad_custom_pass = lambda graph: seen.append(graph)
        chained = _fuse.install_compile_pass()
        chained(torch.fx.Graph())
        assert len(seen) == 1
    finally:
        config.pre_grad_custom_pass = mine


def test_gate_and_up_are_one_product_where_no_kernel_has_the_gate_inside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tamis.torch._linear, "_can_fuse_gate", lambda *_: False)
    model = nn.Sequential(nn.Linear(32, 16), nn.Linear(32, 16))
    tamis.sparsify(model, "2:4", keep_dense=False)
    gate = tamis.torch._linear.join(list(model), gate="gelu")
    x = torch.randn(5, 32)
    with torch.inference_mode():
        close(gate(x), F.gelu(model[0](x)) * model[1](x))
