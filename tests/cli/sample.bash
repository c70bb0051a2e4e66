# Small safetensors files, made of printf alone.

# f32 NUMBER: its four bytes, for whole numbers from -255 to 255 and "-0", "nan", "inf".
f32() {
    local n=$1 sign=0 exponent=0 mantissa
    case $n in
    nan) printf '\000\000\300\177'; return ;;
    inf) printf '\000\000\200\177'; return ;;
    -0) printf '\000\000\000\200'; return ;;
    0) printf '\000\000\000\000'; return ;;
    -*) sign=128 n=${n#-} ;;
    esac
    while [ $((n >> (exponent + 1))) -gt 0 ]; do exponent=$((exponent + 1)); done
    mantissa=$(((n << (23 - exponent)) & 0x7fffff))
    local biased=$((exponent + 127)) b0 b1 b2 b3
    b0=$((mantissa & 255)) b1=$(((mantissa >> 8) & 255))
    b2=$(((mantissa >> 16) | ((biased & 1) << 7))) b3=$((sign | (biased >> 1)))
    printf "\\$(printf %o $b0)\\$(printf %o $b1)\\$(printf %o $b2)\\$(printf %o $b3)"
}

# header JSON: its length in eight bytes, and itself.
header() {
    local length=${#1} bytes= i
    for i in 1 2 3 4 5 6 7 8; do
        bytes="$bytes\\$(printf %o $((length & 255)))"
        length=$((length >> 8))
    done
    printf "$bytes%s" "$1"
}

# sample FILE: "first.weight" [4, 8] of 1, -2, 3 ... and "second.weight" [2, 4], "bias" [2].
sample() {
    {
        header '{"first.weight":{"dtype":"F32","shape":[4,8],"data_offsets":[0,128]},"second.weight":{"dtype":"F32","shape":[2,4],"data_offsets":[128,160]},"bias":{"dtype":"F32","shape":[2],"data_offsets":[160,168]},"__metadata__":{"made":"by hand"}}'
        for i in $(seq 1 32); do f32 $(((i % 2 * 2 - 1) * i)); done
        for i in 1 -0 7 8 0 0 ${1:-3} -4; do f32 $i; done
        f32 5
        f32 6
    }
}

# try ARGUMENTS: a command as typed, what it prints, its code.
try() {
    echo "\$ tamis $*"
    tamis "$@"
    echo "exit $?"
}
