#!/usr/bin/env bash
# Environments that the Python package is tested in; nothing is installed outside of them.
#
#   venv.sh          build-venv: numpy, scipy, pytest, and what lint needs
#   venv.sh torch    build-venv-torch: these, PyTorch, and models that the tests sparsify
#
# What is there already is left alone. Fails, saying why, where it cannot be made.
set -u
cd "$(dirname "$0")/.." || exit 1

PACKAGES='numpy scipy pytest ml_dtypes safetensors ruff mypy'
TORCH='torch timm transformers'

folder=build-venv packages=$PACKAGES
if [ "${1:-}" = torch ]; then
    folder=build-venv-torch packages="$PACKAGES $TORCH"
fi
[ -f "$folder/complete" ] && [ "$(cat "$folder/complete")" = "$packages" ] && exit 0

if [ "${1:-}" = torch ]; then
    echo "making $folder: PyTorch from PyPI comes with NVIDIA's libraries, about 3 GB to download"
    echo "and 6 GB on the disk. rm -r $folder takes it away again."
fi
python3 -m venv "$folder" || {
    echo "an environment could not be made: on Debian the package python3-venv is needed" >&2
    exit 1
}
# shellcheck disable=SC2086 # a list of packages
"$folder/bin/python" -m pip install -q --disable-pip-version-check --retries 5 $packages || {
    echo "$folder could not be filled: are the packages of PyPI to be had here?" >&2
    exit 1
}
echo "$packages" > "$folder/complete"
