#!/usr/bin/env bash
# Packages of the distribution that tamis is built, shown and checked with.
#
#   setup.sh          installs what is missing for build, tests and demo; as a user who may not, says
#                     the one command that does
#   setup.sh lint     likewise, with what make lint and make fuzz need
#   setup.sh torch    likewise, with what make test-torch needs
#   setup.sh --check  only says what the build lacks
#
# What is there already, from wherever, is left alone: each package has a test.
set -u

# package, then the command that succeeds when it is not needed any more
BUILD='
libc6-dev        includes stdio.h
gcc              command -v cc
make             command -v make
cmake            command -v cmake
pkg-config       command -v pkg-config
libjansson-dev   pkg-config --exists jansson
libutf8proc-dev  pkg-config --exists libutf8proc
libxxhash-dev    pkg-config --exists libxxhash
libcmocka-dev    pkg-config --exists cmocka
'
# Without these tests and demo run, but say what they leave out: the rival library, the download of
# the model, the Python package, the texts, the images of examples/fashion_mnist.py.
DEMO='
libopenblas0-pthread  has_library libopenblas.so.0
python3               command -v python3
python3-pip           python3 -m pip --version
python3-dev           has_python_headers
python3-venv          has_python_venv
wordnet-base          test -f /usr/share/wordnet/data.noun
dataset-fashion-mnist test -d /usr/share/datasets/fashion-mnist
'
LINT='
g++                   command -v g++
binutils              command -v nm
clang                 command -v clang
clang-format          command -v clang-format
clang-tidy            command -v clang-tidy
libclang-rt-dev       has_clang_runtime
libomp-dev            has_clang_openmp
'
# torch.compile writes C++ for CPUs.
TORCH='
g++                   command -v g++
'

includes() { echo "#include <$1>" | cc -E - ; }
has_library() { /sbin/ldconfig -p | grep -q "$1"; }
has_python_headers() {
    python3 -c 'import os, sysconfig as s; os.stat(s.get_path("include") + "/Python.h")'
}
has_python_venv() { python3 -c 'import ensurepip, venv'; }
has_clang_runtime() { test -f "$(clang -print-file-name=libclang_rt.fuzzer-x86_64.a)"; }
has_clang_openmp() { echo 'int main(void) { return 0; }' | clang -fopenmp -x c - -o /dev/null; }

missing() {
    while read -r package test; do
        [ -z "$package" ] || eval "$test" > /dev/null 2>&1 || echo "$package"
    done <<< "$1" | paste -sd ' '
}

privileged() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}
may_install() {
    command -v apt-get > /dev/null && { [ "$(id -u)" = 0 ] || sudo -n true 2> /dev/null; }
}
# stdin is closed to the package manager: nothing may ask a question.
install() {
    DEBIAN_FRONTEND=noninteractive privileged apt-get -qq -y -o Dpkg::Use-Pty=0 \
        install --no-install-recommends "$@" > /dev/null < /dev/null
}
say_command() {
    echo "$1 needs packages that are not installed. This command installs them:" >&2
    echo "  sudo apt-get install --no-install-recommends $2" >&2
}

needed=$BUILD wanted=$DEMO purpose='tamis'
case "${1:-}" in
    --check) wanted= ;;
    lint) needed=$BUILD$LINT purpose='make lint or make fuzz' ;;
    torch) needed=$BUILD$TORCH purpose='make test-torch' ;;
    '') ;;
    *) echo "usage: setup.sh [--check | lint | torch]" >&2; exit 2 ;;
esac

needed_now=$(missing "$needed") wanted_now=$(missing "$wanted")
[ -n "$needed_now$wanted_now" ] || exit 0
if [ "${1:-}" = --check ] || ! may_install; then
    [ -z "$needed_now$wanted_now" ] || say_command "$purpose" "$needed_now $wanted_now"
    [ -z "$needed_now" ] # what is only wanted stops nothing
    exit
fi

echo "installing: $needed_now $wanted_now"
privileged apt-get -qq update < /dev/null || echo "the package lists could not be renewed" >&2
# shellcheck disable=SC2086 # lists of packages
[ -z "$needed_now" ] || install $needed_now || { say_command "$purpose" "$needed_now"; exit 1; }
for package in $wanted_now; do
    install "$package" || echo "$package could not be installed: going on without it" >&2
done
