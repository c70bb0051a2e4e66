# --json of the jobs: what a machine reads.
. "$TAMIS_TESTS/cli/sample.bash"
sample > in.safetensors
try inspect in.safetensors --json --layers 'second*'
try prune in.safetensors --pattern 2:4 -o pruned.safetensors --json | sed 's/"seconds": [0-9.e-]*/"seconds": .../'
try check pruned.safetensors --json
try pack pruned.safetensors -o packed.safetensors --json
try unpack packed.safetensors -o unpacked.safetensors --json
