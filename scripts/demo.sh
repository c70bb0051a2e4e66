#!/usr/bin/env bash
# The demo from nothing: fetches the model (or makes a stand-in), runs `tamis demo`, says where the
# report lies.
#
#   demo.sh TAMIS [OPTION of tamis demo ...]
set -eu

tamis=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$(dirname "$tamis")" && pwd)
out=$build/demo
cache=${XDG_CACHE_HOME:-${HOME:-.}/.cache}/tamis
wordnet=/usr/share/wordnet
extra=()

if ! model=$("$here/fetch_model.sh"); then
    model=$build/seed-model
    extra+=(--seed-model)
    echo "going on with an encoder of the same shape made from a seed: accuracy means nothing" >&2
    [ -d "$model" ] || python3 "$here/make_seed_model.py" "$model"
fi

echo "running the demo; a few minutes on two cores"
"$tamis" demo --model "$model" --wordnet "$wordnet" --output "$out" --force "${extra[@]}" "$@"

cat << END

The report:  $out/report.html
Rows:        $out/demo.json
To remove:   rm -r $out      (pruned and packed models, some 1 GB)
             rm -r $cache    (the fetched model, 91 MB)
END
