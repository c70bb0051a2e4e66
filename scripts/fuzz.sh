#!/usr/bin/env bash
# Runs each fuzz target of a build folder for some seconds, from its corpus; fails on a crash, a leak
# or a hang, and says where the input was left.
#
#   fuzz.sh BUILD SECONDS
set -eu

build=$1 seconds=$2
root=$(cd "$(dirname "$0")/.." && pwd)
count=0
for target in "$build"/fuzz_*; do
    if [ ! -f "$target" ] || [ ! -x "$target" ]; then continue; fi
    noun=${target##*/fuzz_}
    found=$build/found/$noun
    mkdir -p "$found/corpus"
    # New inputs go to the first folder; the corpus under fuzz/ is read.
    if "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
        -print_final_stats=1 -artifact_prefix="$found/" "$found/corpus" \
        "$root/fuzz/corpus/$noun" > "$found/log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$found/log")
        printf '%-14s %s inputs in %s s, none bad\n' "$noun" "$runs" "$seconds"
    else
        tail -n 40 "$found/log" >&2
        echo "$noun: a bad input, kept under $found: once it is mended, add it to fuzz/corpus/$noun" >&2
        exit 1
    fi
    count=$((count + 1))
done
[ "$count" -gt 0 ] || { echo "$build has no fuzz targets: build it with --preset fuzz" >&2; exit 1; }
