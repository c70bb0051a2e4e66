#!/bin/bash
# Runs the reduced list of the GPU's tests (test_gpu -r) under compute-sanitizer's memcheck, synccheck
# and racecheck, a process a family of kernels, and says what each found. Exits with 1 where one
# reported anything, or did not come to its end.
#
#     sanitize_gpu.sh BUILD/test_gpu RACECHECK-BUILD/test_gpu [options and groups of test_gpu]
#
# COMPUTE_SANITIZER names another one than the PATH's, TAMIS_SANITIZE_TOOLS some of the tools. The
# tests' own kernels (namespace ground) and cuBLASLt's are left alone: the first judge, both are slow
# under a tool. The second build (TAMIS_PROOF=RACECHECK) is what racecheck gets; docs/hopper-24.md
# ("Proven") says why.
set -u
test_gpu=$1 racecheck_gpu=$2
shift 2
sanitizer=${COMPUTE_SANITIZER:-compute-sanitizer}
if [ ! -x "$test_gpu" ] || [ ! -x "$racecheck_gpu" ]; then
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
families=(images "-k _lt kernels")
for type in bf16 f16 e4m3 i8; do
    families+=("-d $type -k few_64x kernels" "-d $type -k few_128x kernels"
        "-d $type -k sm90 -x few kernels")
    [ $type = e4m3 ] || families+=("-d $type -k sm80 kernels")
done
plans=(plans) # the same kernels, which racecheck need not see again
[ $# -gt 0 ] && families=("$*") plans=()
others='regex=cublas|cutlass|nvjet|xmma|gemm'
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# A read of shared memory that has returned, and the copy that overwrites it, are ordered by a barrier;
# newer versions ask for a fence between the proxies besides.
racecheck_options=()
"$sanitizer" --help 2> /dev/null | grep -q racecheck-fence-proxy-async &&
    racecheck_options=(--racecheck-fence-proxy-async no)

# memcheck: a thread that has not used the GPU yet is told so by the driver, and tries again; calls that
# fail are looked at by the tests.
memcheck_options=(--report-api-errors no)

# What the tool counts by itself are instructions that set barriers up, of which one does it for 32.
synccheck_options=(--num-cuda-barriers 64)

check() { # a tool, then options and groups of test_gpu: one line, and what was reported
    local tool=$1 seconds=$SECONDS log options=() program=$test_gpu step=7 code
    shift
    log=$(mktemp -p "$logs")
    [ "$tool" = memcheck ] && options=("${memcheck_options[@]}")
    [ "$tool" = synccheck ] && options=("${synccheck_options[@]}")
    [ "$tool" = racecheck ] &&
        program=$racecheck_gpu step=85 options=("${racecheck_options[@]}")
    timeout 600 "$sanitizer" --tool "$tool" "${options[@]}" --error-exitcode 9 \
        --kernel-name-exclude kns=ground --kernel-name-exclude "$others" \
        "$program" -r -s $step "$@" > "$log" 2>&1
    code=$?
    if [ $code = 0 ]; then
        echo "ok      $tool $*: $(grep -a 'products compared' "$log") ($((SECONDS - seconds)) s)"
        return 0
    fi
    echo "FAILED  $tool $*: exit $code after $((SECONDS - seconds)) s"
    grep -aE '^=|FAILED|wrong|compared' "$log" | head -40
    return 1
}

# As many at once as there are cores: a tool's own work is on the host.
failures=0 running=0
next() { # the end of one of those that run
    wait -n || failures=$((failures + 1))
    running=$((running - 1))
}
for tool in ${TAMIS_SANITIZE_TOOLS:-memcheck synccheck racecheck}; do
    asked=("${families[@]}")
    [ "$tool" = racecheck ] || asked+=("${plans[@]}")
    for family in "${asked[@]}"; do
        [ $running -lt "$(nproc)" ] || next
        # shellcheck disable=SC2086 # options in words
        check "$tool" $family &
        running=$((running + 1))
    done
done
while [ $running -gt 0 ]; do
    next
done
[ $failures = 0 ]
