#!/usr/bin/env bash
# What the machine checks beside tests: layers, a quiet library, exported names, the header alone,
# sizes, format, clang's warnings and clang-tidy. Every check runs; the first line that begins with
# "FAILED" says which rule to mend.
#
#   lint.sh BUILD     BUILD holds a release build
set -u

cd "$(dirname "$0")/.." || exit 1
build=$1
jobs=$(nproc)
failures=0

check() { # what it holds, then the function that prints what breaks it
    local what=$1 output seconds=$SECONDS
    shift
    if output=$("$@" 2>&1); then
        printf 'ok      %s (%d s)\n' "$what" $((SECONDS - seconds))
    else
        printf 'FAILED  %s\n%s\n' "$what" "$output"
        failures=$((failures + 1))
    fi
}

sources() { # suffix, folders
    local suffix=$1
    shift
    find "$@" -name "*.$suffix" 2> /dev/null
}

# Names of what the library must not call: it never prints, stops the process or reads the
# environment.
library_is_quiet() {
    local loud
    loud=$(nm -u "$build/libtamis.a" | awk '{ print $2 }' | sort -u | grep -xE \
        '(__)?v?f?printf(_chk)?|puts|fputs|putchar|perror|stdout|stderr|abort|_?exit|_Exit|quick_exit|(secure_)?getenv|setenv|__assert_fail')
    [ -z "$loud" ] || { echo "libtamis.a calls: $loud"; return 1; }
}

header_stands_alone() {
    local warnings='-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -fsyntax-only' bad=0
    # shellcheck disable=SC2086 # a list of options
    for compiler in "gcc -x c -std=c17" "g++ -x c++ -std=c++11" \
        "clang -x c -std=c17" "clang++ -x c++ -std=c++11"; do
        echo '#include "tamis.h"' | $compiler $warnings -Iinclude - || bad=1
    done
    return $bad
}

format_is_kept() {
    { sources '[ch]' include src cli examples python tests fuzz bench; sources 'cu*' src bench; } |
        xargs clang-format --dry-run -Werror
}

clang_is_content() {
    cmake --preset clang > /dev/null || return 1
    cmake --build build-clang -j "$jobs" > build-clang/log && return
    grep -E 'error|warning' -A 4 build-clang/log
    return 1
}

tidy_is_content() {
    sources c src cli examples python |
        xargs -P "$jobs" -n 4 clang-tidy --quiet -p build-clang 2> /dev/null
}

# ruff over all of the package; mypy over all of it where torch's types are there, else over what
# needs no torch.
python_is_tidy() {
    scripts/venv.sh || { echo "neither ruff nor mypy is to be had: not checked"; return 0; }
    build-venv/bin/ruff check --quiet --no-cache python || return 1
    if [ -f build-venv-torch/complete ]; then
        build-venv-torch/bin/mypy --no-error-summary --cache-dir build-venv/mypy
        return
    fi
    build-venv/bin/mypy --no-error-summary --follow-imports=silent \
        --cache-dir build-venv/mypy python/tamis/*.py
}

scripts_parse() {
    for script in scripts/*.sh .ci/run; do bash -n "$script" || return 1; done
}

check 'rooms see only rooms below them'              python3 scripts/check_layers.py
check 'files and functions are short, nothing left'  python3 scripts/check_lengths.py
check 'the library is quiet'                         library_is_quiet
check 'exported names are those of docs/abi.txt'     python3 scripts/check_abi.py "$build/libtamis.so"
check 'tamis.h stands alone in C17 and C++11'        header_stands_alone
check 'clang-format changes nothing'                 format_is_kept
check 'ruff and mypy find nothing'                   python_is_tidy
check 'scripts parse'                                scripts_parse
check 'clang has no warnings'                        clang_is_content
check 'clang-tidy finds nothing'                     tidy_is_content
[ "$failures" = 0 ] || { echo "$failures checks failed"; exit 1; }
