# Bad input: a sentence, a code, and no output file.
. "$TAMIS_TESTS/cli/sample.bash"
sample > in.safetensors
try inspect
try inspect missing.safetensors
try prune in.safetensors -o out.safetensors
try prune in.safetensors --pattern 2:4
try prune in.safetensors --pattern 2:4 --method florble -o out.safetensors
try prune in.safetensors --pattern 2:4 --method wanda -o out.safetensors
try prune in.safetensors --pattern 2:4 --layers 'third*' -o out.safetensors
try prune in.safetensors --pattern 1:3 -o out.safetensors
try prune in.safetensors --pattern 1:8 --skip-unfit -o fits.safetensors
try prune in.safetensors --pattern 2:4 -o in.safetensors
try prune in.safetensors --pattern 2:4 -o in.safetensors --force
ln -s in.safetensors link.safetensors
try prune in.safetensors --pattern 2:4 -o link.safetensors --force
try prune in.safetensors --pattern 2:4 -o fits.safetensors
try prune in.safetensors --pattern 2:4 -o no/such/folder.safetensors
try pack in.safetensors --format florble -o out.safetensors
try pack in.safetensors --format nm -o out.safetensors
sample nan > nan.safetensors
try prune nan.safetensors --pattern 2:4 -o out.safetensors
head -c 100 in.safetensors > cut.safetensors
try inspect cut.safetensors
printf 'tiny' > tiny.safetensors
try inspect tiny.safetensors
header '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}12345678' > twice.safetensors
try inspect twice.safetensors
mkdir empty
try inspect empty
try embed empty --text in.safetensors -o e.safetensors
try embed in.safetensors --text missing.txt -o e.safetensors
try embed in.safetensors -o e.safetensors
try eval empty --wordnet empty
try demo
try demo --model empty
try demo --model empty -o empty
try bench in.safetensors --layers nothing
try bench --whole empty --text in.safetensors
try demo --model empty -o new
try prune in.safetensors --pattern dense -o out.safetensors
try check in.safetensors --pattern dense
{ header '{"whole":{"dtype":"I8","shape":[4,4],"data_offsets":[0,16]}}'; printf 1234567812345678; } > whole.safetensors
try prune whole.safetensors --pattern 2:4 -o out.safetensors
try bench whole.safetensors
header '{"none":{"dtype":"F32","shape":[0,4],"data_offsets":[0,0]}}' > none.safetensors
try bench none.safetensors
for out in no/such.safetensors empty in.safetensors; do
    try embed empty --text in.safetensors -o $out
done
try embed empty --text in.safetensors -o empty --force
mkdir model; cp in.safetensors model/model.safetensors; ln -s . model/up
try prune model --pattern 2:4 -o out
for line in 'check in.safetensors --pattern 2:4' 'inspect in.safetensors --json' 'prune --help' '--help' \
    'bench --shape 1,4,4 --rounds 1 --json'; do
    echo "\$ tamis $line > /dev/full"
    tamis $line > /dev/full
    echo "exit $?"
done
ls -F
