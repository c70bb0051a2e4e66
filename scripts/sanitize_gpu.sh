#!/bin/bash
# Runs the reduced list of the GPU's tests (test_gpu -r) under compute-sanitizer's memcheck, synccheck
# and racecheck, a process a family of kernels, and says what each found. Exits with 1 where one
# reported anything, or did not come to its end.
#
#     sanitize_gpu.sh BUILD/test_gpu [options and groups of test_gpu]
#
# COMPUTE_SANITIZER names another one than the PATH's, TAMIS_SANITIZE_TOOLS some of the tools. The
# tests' own kernels (namespace ground) and cuBLASLt's are left alone: the first judge, both are slow
# under a tool.
set -u
test_gpu=$1
shift
sanitizer=${COMPUTE_SANITIZER:-compute-sanitizer}
if [ ! -x "$test_gpu" ]; then
    echo "skipped: $test_gpu is not there, since it is built only where nvcc is found"
    exit 0
fi
if ! command -v "$sanitizer" > /dev/null; then
    echo "skipped: there is no compute-sanitizer on this machine"
    exit 0
fi
"$test_gpu" -k none kernels > /dev/null
if [ $? = 77 ]; then
    echo "skipped: there is no GPU on this machine"
    exit 0
fi
families=("-k few kernels" "-k sm90 -x few kernels" "-k sm80 kernels" "-k _lt kernels" images plans)
[ $# -gt 0 ] && families=("$*")
others='regex=cublas|cutlass|nvjet|xmma|gemm'
log=$(mktemp)
trap 'rm -f "$log"' EXIT
failures=0

check() { # a tool, then options and groups of test_gpu
    local tool=$1 seconds=$SECONDS code
    shift
    timeout 300 "$sanitizer" --tool "$tool" --error-exitcode 9 --kernel-name-exclude kns=ground \
        --kernel-name-exclude "$others" "$test_gpu" -r "$@" > "$log" 2>&1
    code=$?
    if [ $code = 0 ]; then
        echo "ok      $tool $*: $(grep -a 'products compared' "$log") ($((SECONDS - seconds)) s)"
    else
        echo "FAILED  $tool $*: exit $code after $((SECONDS - seconds)) s"
        grep -aE '^=|FAILED|wrong|compared' "$log" | head -40
        failures=$((failures + 1))
    fi
}

for tool in ${TAMIS_SANITIZE_TOOLS:-memcheck synccheck racecheck}; do
    for family in "${families[@]}"; do
        # shellcheck disable=SC2086 # options in words
        check "$tool" $family
    done
done
[ $failures = 0 ]
