#!/bin/bash
# Runs a reduced list of the GPU's tests under compute-sanitizer: memcheck, synccheck, racecheck.
#
#     sanitize_gpu.sh BUILD/test_gpu [options and groups of test_gpu]
#
# The tests' own kernels (namespace ground) are left alone: they are slow under a tool, and judge.
# racecheck gets the kernels without mbarriers. Accesses that these order it calls races: the ring's in
# a build without clusters too, and those to factors that one warp writes and a full and an empty
# barrier of the same CTA hand over.
set -u
test_gpu=$1
shift
if [ ! -x "$test_gpu" ]; then
    echo "skipped: $test_gpu is not there, since it is built only where nvcc is found"
    exit 0
fi
if ! command -v compute-sanitizer > /dev/null; then
    echo "skipped: there is no compute-sanitizer on this machine"
    exit 0
fi
failures=0
for tool in memcheck synccheck racecheck; do
    echo "== $tool"
    only=()
    [ "$tool" = racecheck ] && only=(-k sm80)
    compute-sanitizer --tool "$tool" --error-exitcode 9 --kernel-regex-exclude kns=ground \
        "$test_gpu" -r "$@" "${only[@]}"
    code=$?
    [ $code = 77 ] && exit 0
    [ $code = 0 ] || failures=$((failures + 1))
done
echo "$failures of 3 tools found something"
[ $failures = 0 ]
