# Rows of a checkpoint's layers: dense, and sparse where there are zeros. Times and rivals differ from
# machine to machine and are left out.
. "$TAMIS_TESTS/cli/sample.bash"
sample > in.safetensors
tamis prune in.safetensors --pattern 2:4 --layers 'first*' -o pruned.safetensors > /dev/null
tamis bench pruned.safetensors --tokens 1,5 --rounds 1 --threads 1 --isa none --json |
    grep '"op": "spmm", "who": "tamis"' |
    sed -E 's/"kernel": "[^"]*", //; s/"epilogue".*"label"/..."label"/'
echo "exit ${PIPESTATUS[0]}"
tamis bench pruned.safetensors --tokens 3 --rounds 1 --threads 1 --isa none | grep -c 'first.weight *3,8,4 *tamis'
