# The way through on a small file: inspect, prune, check, pack, unpack.
. "$TAMIS_TESTS/cli/sample.bash"
sample > in.safetensors
try inspect in.safetensors
try prune in.safetensors --pattern 2:4 -o pruned.safetensors
try check pruned.safetensors
try check pruned.safetensors --pattern 1:4
try check in.safetensors --pattern 2:4
try check in.safetensors
try pack pruned.safetensors -o packed.safetensors
try inspect packed.safetensors
try check packed.safetensors
try unpack packed.safetensors -o unpacked.safetensors
cmp pruned.safetensors unpacked.safetensors && echo "the same bytes"
try prune in.safetensors --pattern 'unstructured 50% per row' --layers 'first*' -o half.safetensors
try prune in.safetensors --pattern 'block 2x2 50%' --block-norm L2 -o blocks.safetensors
try pack pruned.safetensors --format csr -o csr.safetensors
ls
