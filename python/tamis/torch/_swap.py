"""Known MLP, attention and block classes with what stands behind a linear layer fused into it.

``Linear -> activation``, ``Linear -> residual add``, gate and up of SwiGLU, and separate q, k and v
become one kernel each. A module is swapped by giving it a subclass of its own class: names,
parameters, hooks and ``isinstance`` stay as they were. A module counts as known by its class or,
for the Llama family, by its parts and signature; all others are left alone (the compile pass of
``fuse.py`` still finds what is in them).
"""

from __future__ import annotations

import inspect
import itertools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ._linear import SparseLinear, join

Tensor = torch.Tensor


@dataclass(frozen=True)
class Fusion:
    """One thing that was fused, for the report."""

    name: str
    """Path of the module."""
    what: str
    """"fc1 + gelu", "q_proj + k_proj + v_proj" ..."""


def activation_name(module: nn.Module | Callable[..., Any]) -> str | None:
    """The library's name of an activation; None where it has none."""
    if isinstance(module, nn.GELU):
        return "gelu_tanh" if module.approximate == "tanh" else "gelu"
    kind = type(module).__name__
    names = {"ReLU": "relu", "SiLU": "silu", "SiLUActivation": "silu", "GELUActivation": "gelu"}
    names |= {"ReLUSquaredActivation": "relu2", "GELUTanh": "gelu_tanh", "Swish": "silu"}
    return names.get(kind)


def is_passive(module: nn.Module | None) -> bool:
    """Whether a module hands its input on unchanged: nothing, identity, or a dropout at rest."""
    if module is None or isinstance(module, nn.Identity):
        return True
    if isinstance(module, nn.Dropout) or type(module).__name__ == "DropPath":
        return not module.training or getattr(module, "p", getattr(module, "drop_prob", 0)) in (
            0,
            None,
        )
    return False


def add_linear(layer: nn.Module, x: Tensor, residual: Tensor | None) -> Tensor:
    """layer(x) + residual, in one kernel where the layer is sparse."""
    if residual is None:
        out: Tensor = layer(x)
        return out
    if isinstance(layer, SparseLinear):
        return layer.run(x, residual=residual)
    dense: Tensor = residual + layer(x)
    return dense


class Swapped:
    """Marks a swapped module; its class is made on demand, so pickle needs a way to it."""

    def __reduce__(self) -> Any:
        mixin, base = type(self).__bases__
        return _restore, (mixin, base), self.__dict__.copy()


def _has(module: Any, mixin: type | tuple[type, ...]) -> bool:
    """isinstance that leaves a module's type open: mixins do not name their base's attributes."""
    return isinstance(module, mixin)


_CLASSES: dict[tuple[type, type], type] = {}


def _swapped_class(mixin: type, base: type) -> type:
    key = (mixin, base)
    if key not in _CLASSES:
        name = f"Fused{base.__name__}"
        _CLASSES[key] = type(name, (mixin, base), {"__module__": __name__})
    return _CLASSES[key]


def _restore(mixin: type, base: type) -> nn.Module:
    kind: Any = _swapped_class(mixin, base)
    module: nn.Module = kind.__new__(kind)
    return module


# ---- timm: vision transformers


class FusedMlp(Swapped):
    """timm's Mlp: act inside fc1, a residual inside fc2."""

    fc1: nn.Module
    fc2: nn.Module

    def forward(self: Any, x: Tensor, residual: Tensor | None = None) -> Tensor:
        if isinstance(self.fc1, SparseLinear) and not self.fc1.training:
            x = self.fc1.run(x, activation=activation_name(self.act))
        else:
            x = self.act(self.fc1(x))
        x = self.norm(self.drop1(x))
        if is_passive(self.drop2):
            return add_linear(self.fc2, x, residual)
        x = self.drop2(self.fc2(x))
        return x if residual is None else residual + x


def _project(self: Any, x: Tensor, residual: Tensor | None) -> Tensor:
    if is_passive(self.proj_drop):
        return add_linear(self.proj, x, residual)
    x = self.proj_drop(self.proj(x))
    return x if residual is None else residual + x


class FusedTimmAttention(Swapped):
    """timm's Attention of vision transformers, with a residual inside proj."""

    def forward(
        self: Any,
        x: Tensor,
        attn_mask: Tensor | None = None,
        is_causal: bool = False,
        residual: Tensor | None = None,
    ) -> Tensor:
        b, t, _ = x.shape
        qkv = self.qkv(x).reshape(b, t, 3, self.num_heads, self.head_dim)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        drop = self.attn_drop.p if self.training else 0.0
        x = F.scaled_dot_product_attention(
            self.q_norm(q), self.k_norm(k), v, attn_mask, dropout_p=drop, is_causal=is_causal
        )
        x = x.transpose(1, 2).reshape(b, t, self.num_heads * self.head_dim)
        return _project(self, getattr(self, "norm", nn.Identity())(x), residual)


class FusedTimmBlock(Swapped):
    """timm's pre-norm Block: both residual adds inside the product before them."""

    def forward(self: Any, x: Tensor, *args: Any, **options: Any) -> Tensor:
        if _has(self.attn, FusedTimmAttention) and _is_straight(self, 1):
            x = self.attn(self.norm1(x), *args, **options, residual=x)
        else:
            x = x + self.drop_path1(self.ls1(self.attn(self.norm1(x), *args, **options)))
        return _mlp_part(self, x)


def _is_straight(block: Any, number: int) -> bool:
    """Whether nothing lies between a branch and its residual add."""
    return is_passive(getattr(block, f"ls{number}")) and is_passive(
        getattr(block, f"drop_path{number}")
    )


def _mlp_part(block: Any, x: Tensor) -> Tensor:
    if _has(block.mlp, FusedMlp) and _is_straight(block, 2):
        y: Tensor = block.mlp(block.norm2(x), residual=x)
        return y
    x = x + block.drop_path2(block.ls2(block.mlp(block.norm2(x))))
    return x


class FusedSamAttention(Swapped):
    """Attention of timm's SAM encoder; ``leave`` undoes the windows before proj, so that proj
    computes no padding and takes the residual."""

    def forward(
        self: Any,
        x: Tensor,
        residual: Tensor | None = None,
        leave: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        sam = sys.modules["timm.models.vision_transformer_sam"]
        b, h, w, _ = x.shape
        t = h * w
        qkv = self.qkv(x.reshape(b, t, -1)).view(b, t, 3, self.num_heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).reshape(3, b * self.num_heads, t, -1).unbind(0)
        q, k = self.q_norm(q), self.k_norm(k)
        bias = None
        if self.use_rel_pos:
            bias = sam.get_decomposed_rel_pos_bias(
                q, self.rel_pos_h, self.rel_pos_w, (h, w), (h, w)
            )
        elif self.rope is not None:
            rope = self.rope.get_embed()
            q = sam.apply_rot_embed_cat(q, rope).type_as(v)
            k = sam.apply_rot_embed_cat(k, rope).type_as(v)
        drop = self.attn_drop.p if self.training else 0.0
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=drop)
        x = x.view(b, self.num_heads, t, -1).transpose(1, 2).reshape(b, h, w, -1)
        if leave is not None:
            x = leave(x)
        return _project(self, x, residual)


class FusedSamBlock(Swapped):
    """Block of timm's SAM encoder."""

    def forward(self: Any, x: Tensor) -> Tensor:
        sam = sys.modules["timm.models.vision_transformer_sam"]
        b, h, w, _ = x.shape
        shortcut, size = x, self.window_size
        x = self.norm1(x)
        leave = None
        if size > 0:
            x, padded = sam.window_partition(x, size)

            def leave(y: Tensor) -> Tensor:
                whole: Tensor = sam.window_unpartition(y, size, (h, w), padded)
                return whole

        if _has(self.attn, FusedSamAttention) and _is_straight(self, 1):
            x = self.attn(x, shortcut, leave)
        else:
            x = self.drop_path1(self.ls1(self.attn(x)))
            x = shortcut + (x if leave is None else leave(x))
        x = _mlp_part(self, x.reshape(b, h * w, -1))
        return x.reshape(b, h, w, -1)


# ---- Hugging Face: decoders of the Llama family


class FusedGatedMlp(Swapped):
    """gate_proj and up_proj in one product with act(gate) * up behind it; a residual inside
    down_proj."""

    def forward(self: Any, x: Tensor, residual: Tensor | None = None) -> Tensor:
        if self.gate_up is not None and not self.training:
            x = self.gate_up(x)
        else:
            x = self.act_fn(self.gate_proj(x)) * self.up_proj(x)
        return add_linear(self.down_proj, x, residual)


class FusedLlamaAttention(Swapped):
    """Attention of the Llama family: q, k and v in one product, a residual inside o_proj."""

    def forward(
        self: Any,
        hidden_states: Tensor,
        position_embeddings: tuple[Tensor, Tensor] | None = None,
        attention_mask: Tensor | None = None,
        cache: Any = None,
        past_key_values: Any = None,
        residual: Tensor | None = None,
        **options: Any,
    ) -> tuple[Tensor, Tensor | None]:
        home = sys.modules[_home(self)]
        cache = past_key_values if cache is None else cache
        rows = hidden_states.shape[:-1]
        if self.qkv is not None and not self.training:
            q, k, v = self.qkv(hidden_states).split(self.qkv_sizes, -1)
        else:
            q, k, v = (part(hidden_states) for part in (self.q_proj, self.k_proj, self.v_proj))
        q, k, v = (part.view(*rows, -1, self.head_dim) for part in (q, k, v))
        if hasattr(self, "q_norm"):
            q, k = self.q_norm(q), self.k_norm(k)
        q, k, v = (part.transpose(1, 2) for part in (q, k, v))
        assert position_embeddings is not None
        q, k = home.apply_rotary_pos_emb(q, k, *position_embeddings)
        if cache is not None:
            k, v = cache.update(k, v, self.layer_idx, **self.cache_options(options))
        attend = home.ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, home.eager_attention_forward
        )
        window = getattr(self, "sliding_window", getattr(self.config, "sliding_window", None))
        if window is not None and "llama" not in _home(self):
            options["sliding_window"] = window
        drop = self.attention_dropout if self.training else 0.0
        y, weights = attend(
            self, q, k, v, attention_mask, dropout=drop, scaling=self.scaling, **options
        )
        return add_linear(self.o_proj, y.reshape(*rows, -1).contiguous(), residual), weights

    def cache_options(self: Any, options: dict[str, Any]) -> dict[str, Any]:
        # transformers hands the call's options on from the version that says "cache".
        base: Any = type(self).__bases__[1]
        named = inspect.signature(base.forward).parameters
        return {"kwargs": options} if "cache" in named else {}


class FusedLlamaLayer(Swapped):
    """Decoder layer of the Llama family: both residual adds inside the product before them."""

    def forward(self: Any, hidden_states: Tensor, *args: Any, **options: Any) -> Tensor:
        x = hidden_states
        options["hidden_states"] = self.input_layernorm(x)
        if _has(self.self_attn, FusedLlamaAttention):
            x, _ = self.self_attn(**_named(self, args), **options, residual=x)
        else:
            y, _ = self.self_attn(**_named(self, args), **options)
            x = x + y
        y = self.post_attention_layernorm(x)
        if _has(self.mlp, FusedGatedMlp):
            out: Tensor = self.mlp(y, residual=x)
            return out
        return x + self.mlp(y)  # type: ignore[no-any-return]


def _home(module: Any) -> str:
    return type(module).__bases__[1].__module__


_LAYER_ARGUMENTS = ("attention_mask", "position_ids", "cache", "use_cache", "position_embeddings")


def _named(module: Any, args: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(_LAYER_ARGUMENTS, args, strict=False))


# ---- which modules are known


def _child_names(module: nn.Module) -> set[str]:
    return {name for name, _ in module.named_children()}


def _is_timm(module: nn.Module, name: str, home: str = "timm.") -> bool:
    kind = type(module)
    return kind.__name__ == name and kind.__module__.startswith(home)


def _parameters(module: nn.Module) -> set[str]:
    return set(inspect.signature(type(module).forward).parameters) - {"self"}


def _knows_timm_attention(module: nn.Module) -> bool:
    return (
        _is_timm(module, "Attention")
        and {"qkv", "q_norm", "k_norm", "proj", "proj_drop"} <= _child_names(module)
        and getattr(module, "gate", None) is None
        and {"x"} <= _parameters(module) <= {"x", "attn_mask", "is_causal"}
        and "timm.models.vision_transformer_sam" != type(module).__module__
    )


_BLOCK_PARTS = {"norm1", "attn", "ls1", "drop_path1", "norm2", "mlp", "ls2", "drop_path2"}
_SAM = "timm.models.vision_transformer_sam"
_LLAMAS = ("llama", "mistral", "qwen2", "qwen3")


def _is_llama(module: nn.Module, suffix: str) -> bool:
    parts = type(module).__module__.split(".")
    return (
        parts[:2] == ["transformers", "models"]
        and parts[2] in _LLAMAS
        and type(module).__name__.endswith(suffix)
    )


def _knows_llama_attention(module: nn.Module) -> bool:
    names = _parameters(module)
    return (
        _is_llama(module, "Attention")
        and {"q_proj", "k_proj", "v_proj", "o_proj"} <= _child_names(module)
        and _child_names(module) <= {"q_proj", "k_proj", "v_proj", "o_proj", "q_norm", "k_norm"}
        and {"hidden_states", "position_embeddings", "attention_mask"} <= names
        and bool(names & {"cache", "past_key_values"})
    )


def _knows_llama_layer(module: nn.Module) -> bool:
    parts = {"self_attn", "mlp", "input_layernorm", "post_attention_layernorm"}
    home = inspect.signature(type(module).forward)
    return (
        _is_llama(module, "DecoderLayer")
        and _child_names(module) == parts
        and home.return_annotation in (Tensor, "torch.Tensor")
    )


def _knows_timm_block(module: nn.Module) -> bool:
    return (
        _is_timm(module, "Block", "timm.models.vision_transformer")
        and _child_names(module) == _BLOCK_PARTS
        and _parameters(module) <= {"x", "attn_mask", "is_causal"}
    )


_KNOWN: list[tuple[type, Callable[[nn.Module], bool]]] = [
    (FusedMlp, lambda m: _is_timm(m, "Mlp") and _parameters(m) == {"x"}),
    (FusedSamAttention, lambda m: _is_timm(m, "Attention", _SAM)),
    (FusedSamBlock, lambda m: _is_timm(m, "Block", _SAM)),
    (FusedTimmAttention, _knows_timm_attention),
    (FusedTimmBlock, _knows_timm_block),
    (FusedGatedMlp, lambda m: _is_llama(m, "MLP") and _parameters(m) == {"x"}),
    (FusedLlamaAttention, _knows_llama_attention),
    (FusedLlamaLayer, _knows_llama_layer),
]


def swap_known(model: nn.Module) -> list[Fusion]:
    """Swaps every known module that holds a sparse linear layer; says what became fused."""
    done: list[Fusion] = []
    for name, module in list(model.named_modules()):
        if isinstance(module, Swapped):
            continue
        if isinstance(module, nn.Sequential):
            done += _swap_sequence(name, module)
            continue
        if not any(isinstance(part, SparseLinear) for part in module.modules()):
            continue
        mixin = next((mixin for mixin, knows in _KNOWN if knows(module)), None)
        if mixin is None:
            continue
        module.__class__ = _swapped_class(mixin, type(module))
    for name, module in model.named_modules():
        if isinstance(module, Swapped):
            done += _describe(name, module)
    return done


def _swap_sequence(name: str, sequence: nn.Sequential) -> list[Fusion]:
    """Linear -> activation side by side: the linear layer computes both, the other stands idle."""
    done = []
    parts = list(sequence.named_children())
    for (first, layer), (second, after) in itertools.pairwise(parts):
        act = activation_name(after)
        if isinstance(layer, SparseLinear) and layer.activation == "none" and act:
            layer.activation = act
            setattr(sequence, second, nn.Identity())
            done.append(Fusion(name, f"{first} + {act}"))
    return done


def _describe(name: str, module: Any) -> list[Fusion]:
    found: list[str] = []
    if _has(module, FusedMlp):
        act = activation_name(module.act)
        if isinstance(module.fc1, SparseLinear) and act is not None:
            found.append(f"fc1 + {act}")
    elif _has(module, FusedGatedMlp):
        module.gate_up = _join_gate(module)
        if module.gate_up is not None:
            found.append(f"gate_proj + up_proj + {activation_name(module.act_fn)}")
    elif _has(module, FusedLlamaAttention):
        parts = [module.q_proj, module.k_proj, module.v_proj]
        module.qkv = join(parts)
        module.qkv_sizes = [part.out_features for part in parts]
        if module.qkv is not None:
            found.append("q_proj + k_proj + v_proj")
    elif _has(module, (FusedTimmBlock, FusedSamBlock)):
        if (
            _has(module.attn, (FusedTimmAttention, FusedSamAttention))
            and _is_straight(module, 1)
            and isinstance(module.attn.proj, SparseLinear)
        ):
            found.append("attn.proj + residual")
        if (
            _has(module.mlp, FusedMlp)
            and _is_straight(module, 2)
            and isinstance(module.mlp.fc2, SparseLinear)
        ):
            found.append("mlp.fc2 + residual")
    elif _has(module, FusedLlamaLayer):
        attention, mlp = module.self_attn, module.mlp
        if _has(attention, FusedLlamaAttention) and isinstance(attention.o_proj, SparseLinear):
            found.append("self_attn.o_proj + residual")
        if _has(mlp, FusedGatedMlp) and isinstance(mlp.down_proj, SparseLinear):
            found.append("mlp.down_proj + residual")
    return [Fusion(name, what) for what in found]


def _join_gate(module: Any) -> nn.Module | None:
    act = activation_name(module.act_fn)
    if act is None:
        return None
    return join([module.gate_proj, module.up_proj], gate=act)
