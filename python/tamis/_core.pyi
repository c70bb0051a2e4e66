"""The extension: libtamis for Python. Private; what is promised stands in the package's modules."""

from collections.abc import Callable, Sequence
from typing import Any

PatternTuple = tuple[int, int, int, int, int, int, int]
Spec = tuple[int, int, int, int, int, int, int, int, int]
Problem = tuple[int, int, int, float, int, int, int, int, int, int, int]
Array = Any  # whatever has a buffer, or DLPack's exchange API
Tensor = Any

DTYPES: list[str]

class Error(Exception): ...
class InvalidError(Error, ValueError): ...
class OutOfMemoryError(Error, MemoryError): ...
class FileError(Error, OSError): ...
class FormatError(Error, ValueError): ...
class PatternError(Error, ValueError): ...
class NonFiniteError(Error, ValueError): ...
class UnsupportedError(Error, RuntimeError): ...
class DeviceError(Error, RuntimeError): ...
class CancelledError(Error, RuntimeError): ...

def version() -> tuple[str, str]: ...
def context(device: int, index: int, threads: int, /) -> int: ...
def context_tune(table: bytes, /) -> None: ...
def context_describe(context: int, /) -> dict[str, Any]: ...
def pattern_parse(text: str, /) -> PatternTuple: ...
def pattern_print(pattern: PatternTuple, /) -> str: ...
def pattern_fits(pattern: PatternTuple, n: int, k: int, /) -> None: ...
def mask_select(
    context: int,
    spec: Spec,
    components: Sequence[Array],
    pattern: PatternTuple,
    scores: Array | None,
    column_norms: Array | None,
    block_norm: int,
    out_mask: Array,
    /,
) -> None: ...
def mask_apply(context: int, mask: Array, spec: Spec, components: Sequence[Array], /) -> None: ...
def pattern_check(
    context: int, pattern: PatternTuple, spec: Spec, components: Sequence[Array], /
) -> tuple[int, int, int, int, int, str]: ...
def matrix_count(context: int, spec: Spec, components: Sequence[Array], /) -> dict[str, Any]: ...
def matrix_size(
    context: int,
    spec: Spec,
    components: Sequence[Array],
    format: int,
    keep: int,
    group: int,
    block_rows: int,
    block_columns: int,
    /,
) -> tuple[int, tuple[tuple[str, int, tuple[int, ...]], ...]]: ...
def matrix_encode(
    context: int,
    dense_spec: Spec,
    dense_components: Sequence[Array],
    spec: Spec,
    components: Sequence[Array],
    /,
) -> int: ...
def matrix_decode(context: int, spec: Spec, components: Sequence[Array], out: Array, /) -> None: ...
def matrix_validate(context: int, spec: Spec, components: Sequence[Array], /) -> None: ...
def layout_choose(
    context: int,
    problem: Problem,
    t_min: int,
    t_max: int,
    keep_dense: int,
    /,
) -> bytes: ...
def layout_parts(layout: bytes, /) -> tuple[tuple[int, str, str], ...]: ...
def image_bytes(context: int, layout: bytes, spec: Spec, components: Sequence[Array], /) -> int: ...
def image_build(
    context: int, layout: bytes, spec: Spec, components: Sequence[Array], out: Array, /
) -> bytes: ...
def kind_add(
    image: bytes,
    density: float,
    format: int,
    keep: int,
    group: int,
    block_rows: int,
    block_columns: int,
    w_type: int,
    /,
) -> int: ...
def torch_setup(
    get_num_threads: Callable[[], int],
    make_work: Callable[[Tensor, int], Tensor],
    widen: Callable[..., Tensor],
    /,
) -> None: ...
def torch_product(
    x: Tensor,
    image: Tensor,
    bias: Tensor | None,
    residual: Tensor | None,
    kind: int,
    out_features: int,
    activation: str,
    gate: bool,
    /,
) -> Tensor: ...
def host_product(
    context: int,
    x: Array,
    image: Array,
    bias: Array | None,
    residual: Array | None,
    kind: int,
    activation: str,
    gate: bool,
    out: Array,
    /,
) -> None: ...
def plan_describe(
    context: int,
    device: int,
    kind: int,
    x_type: int,
    activation: str,
    bias: bool,
    residual: bool,
    gate: bool,
    t: int,
    /,
) -> tuple[str | None, str]: ...
def kind_describe(kind: int, /) -> bytes: ...
def device_sizes(
    context: int, layout: bytes, spec: Spec, components: Sequence[Tensor], check: bool, /
) -> tuple[int, int]: ...
def device_build(
    context: int,
    layout: bytes,
    spec: Spec,
    components: Sequence[Tensor],
    out: Tensor,
    work: Tensor,
    check: bool,
    /,
) -> bytes: ...
def device_decode(
    context: int,
    described: bytes,
    image: Tensor,
    spec: Spec,
    components: Sequence[Tensor],
    /,
) -> None: ...
def predict(
    context: int,
    problem: Problem,
    epilogue: int,
    t: int,
    t_max: int,
    keep_dense: int,
    /,
) -> tuple[str, str, float]: ...
def job_run(
    verb: int,
    context: int,
    in_: str | None,
    out: str | None,
    force: bool,
    layers: Sequence[str],
    pattern: PatternTuple | None,
    method: str,
    block_norm: int,
    calibration: str | None,
    skip_unfit: bool,
    format: int,
    progress: Callable[[str, int, int], object] | None,
    /,
) -> tuple[bool, list[dict[str, Any]]]: ...
