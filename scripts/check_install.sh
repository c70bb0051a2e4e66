#!/usr/bin/env bash
# `pip install .` from a clean clone of HEAD into an empty environment: the package is found, works,
# and carries the command. Without GPU kernels, whose code takes minutes to make and is the same.
set -eu
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

git clone --quiet . "$folder/clone"
python3 -m venv "$folder/venv"
if ! "$folder/venv/bin/python" -m pip download -q --no-deps -d "$folder" scikit-build-core; then
    echo "not checked: the packages of PyPI are not to be had here"
    exit 0
fi
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check \
    -C cmake.define.TAMIS_CUDA=OFF "$folder/clone"
cd "$folder"
venv/bin/python - <<'PYTHON'
import numpy as np
import tamis

w = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
assert tamis.check(tamis.apply(w, tamis.select(w, "2:4")), "2:4")
try:
    print(tamis.device_text("cuda"))
except tamis.DeviceError as error:
    print(error)
PYTHON
venv/bin/tamis version | head -2
code=0
venv/bin/python -m tamis nothing 2> /dev/null || code=$?
[ "$code" = 2 ] || { echo "the command's exit code 2 came out as $code"; exit 1; }
