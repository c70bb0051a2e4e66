# needs python3, which makes the model
# An encoder of one layer, from a seed: pruned, packed, run and timed; packed and dense weights give
# the same embeddings, and a calibrated job records its texts.
. "$TAMIS_TESTS/cli/sample.bash"
python3 "$TAMIS_TESTS/../scripts/make_seed_model.py" model --layers 1 > /dev/null || echo "no model"
printf 'the first text\n\na second one, which is longer\n' > texts.txt
try prune model --pattern 2:4 -o pruned
try prune model --pattern 2:4 --method wanda --calib texts.txt --layers '*.output.dense.weight' -o wanda > wanda.txt
sed -E 's/0\.[0-9]{4}$/0..../' wanda.txt
try check wanda
try pack pruned -o packed | tail -4
ls packed
try unpack packed -o unpacked
diff -r pruned unpacked && echo "the same files"
try embed pruned --text texts.txt -o pruned.safetensors
try embed packed --text texts.txt -o packed.safetensors
cmp pruned.safetensors packed.safetensors && echo "the same embeddings"
tamis embed packed --text texts.txt -o - | cut -c1-25
try embed packed --text texts.txt -o packed.safetensors
echo "bench"
fields='s/.*"op": "([a-z]*)".*"who": "([a-z]*)", "kernel": "([a-z ]*).*"rounds": ([0-9]*).*"label": "([a-z]*)", "texts.*/\1 \2 \3 \4 \5/p'
tamis bench --whole model packed --text texts.txt --rounds 1 --json | sed -nE "$fields"
tamis bench --whole packed --text texts.txt --rounds 1 --json | sed -nE "$fields"
: > nothing.txt
try bench --whole model --text nothing.txt
# Weights so large that fp32 overflows on the way: no vector, in no form.
mkdir large; cp model/*.json model/*.txt large
python3 - << 'END'
bytes = open("model/model.safetensors", "rb").read()
begin = 8 + int.from_bytes(bytes[:8], "little")
large = b"\xca\xf2\x49\x71" # 1e30
open("large/model.safetensors", "wb").write(bytes[:begin] + large * ((len(bytes) - begin) // 4))
END
try embed large --text texts.txt -o large.safetensors
try embed large --text texts.txt -o -
ls large.safetensors
