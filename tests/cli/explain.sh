# Which kernels could compute a product: for this CPU, and for a GPU that need not be here. Kernels and
# prices change; what is said of them does not.
. "$TAMIS_TESTS/cli/sample.bash"

tamis bench --explain --shape 64,384,1536 --pattern 2:4 --isa none | sed 's/^on .*;/on ...;/'
tamis bench --explain --shape 1,64,64 --isa none | grep -c 'chosen for'
tamis bench --explain --shape 1,64,64 --isa none --json --pattern 'block 8x8 50%' | sed 's/"machine.*//'
sample > model.safetensors
tamis bench --explain model.safetensors --layers first.weight --tokens 1,7 --isa none | grep -E '^first|chosen'
if tamis bench --explain --device h100 --shape 64,4096,4096 --keep-dense > gpu.txt 2>&1; then
    head -2 gpu.txt
    grep -c 'chosen for t [0-9]*\.\.64' gpu.txt
    grep -o '^spmm_dense_bf16_lt *plain dense bf16' gpu.txt
else # a library without CUDA has no kernels for it
    echo "2:4 bf16, t 64, k 4096, n 4096"
    echo "on H100; prices: H100"
    echo 1
    echo "spmm_dense_bf16_lt               plain dense bf16"
fi
try bench --explain --device b200 --shape 64,4096,4096
try bench --device h100 --shape 64,4096,4096
try bench --device cpu --dtype bf16 --shape 64,4096,4096
try bench --keep-dense --shape 64,4096,4096
try bench --dtype f64 --shape 64,4096,4096
try bench --explain --whole model.safetensors --text model.safetensors
