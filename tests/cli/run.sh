#!/usr/bin/env bash
# run.sh SCRIPT TAMIS: runs a transcript's script in a new folder, with `tamis` on the path and
# nothing of the user's environment that would show, and compares what it printed.
set -u
script=$1
if grep -q '^# needs python3' "$script" && ! command -v python3 > /dev/null; then
    echo "skipped: needs python3"
    exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
PATH=$(dirname "$2"):$PATH
export PATH TAMIS_TESTS=$(cd "$(dirname "$script")/.." && pwd) LC_ALL=C
unset TMS_ISA TMS_THREADS TMS_CUBLASLT
export TMS_TUNING= XDG_CACHE_HOME=
cd "$folder" || exit 1
mkdir work
(cd work && bash "$script" > ../printed 2>&1)
if [ -n "${TAMIS_UPDATE:-}" ]; then
    cp printed "${script%.sh}.stdout.exact"
fi
diff -u "${script%.sh}.stdout.exact" printed
