#!/usr/bin/env bash
# Runs the Python package's tests with the extension of a build.
#
#   test_python.sh BUILD [torch]
#
# In build-venv, or else with the python3 that is there; with torch: in build-venv-torch. Tests of
# tamis.torch run where torch can be imported. Exits with 77 where nothing can be run, saying why.
set -u
cd "$(dirname "$0")/.." || exit 1
build=$(realpath "$1") environment=build-venv${2:+-torch}

skip() { echo "skipped: $*"; exit 77; }

python=$environment/bin/python
[ -x "$python" ] || python=python3
[ -f "$build/python/tamis/_core.abi3.so" ] ||
    skip "the extension was not built, since CPython's headers were not found"
"$python" -c 'import numpy, scipy, pytest' 2> /dev/null ||
    skip "numpy, scipy or pytest are not there: scripts/venv.sh makes an environment"
# torch's compiler keeps what it made beside the build, and not in the user's folders
export PYTHONPATH=$build/python TORCHINDUCTOR_CACHE_DIR=$build/inductor PYTHONDONTWRITEBYTECODE=1
"$python" -m pytest -p no:cacheprovider python/tests
