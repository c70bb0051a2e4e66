# ctrl-C in the middle: code 130, the words for it, and no partial output.
. "$TAMIS_TESTS/cli/sample.bash"
tensors=
for i in $(seq 0 31); do
    tensors="$tensors\"t$i\":{\"dtype\":\"F32\",\"shape\":[1024,1024],\"data_offsets\":[$((i << 22)),$(((i + 1) << 22))]},"
done
tensors="{${tensors%,}}"
header "$tensors" > big.safetensors
truncate -s $((8 + ${#tensors} + (32 << 22))) big.safetensors

# The job has made its temporary file: it is in the middle.
tamis prune big.safetensors --pattern 'unstructured 50%' -o out.safetensors --threads 1 > /dev/null 2> words.txt &
pid=$!
while [ "$(ls -A | wc -l)" -lt 3 ] && kill -0 $pid 2> /dev/null; do :; done
kill -INT $pid
wait $pid
echo "exit $?"
cat words.txt
ls -A

tamis bench --shape 64,512,512 --rounds 4000 --threads 1 > rows.txt 2> words.txt &
pid=$!
sleep 1
kill -INT $pid
wait $pid
echo "exit $?"
cat words.txt rows.txt

# The input is cut short in the middle: no signal, but a sentence.
tamis prune big.safetensors --pattern 'unstructured 50%' -o out.safetensors --threads 1 > /dev/null 2> words.txt &
pid=$!
while [ -z "$(ls -A | grep '^\.tamis')" ] && kill -0 $pid 2> /dev/null; do :; done
truncate -s 4096 big.safetensors
wait $pid
echo "exit $?"
cat words.txt
