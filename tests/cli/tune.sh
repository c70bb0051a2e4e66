# The tuner, and whose table the command reads. Times differ from run to run: only words are kept.
. "$TAMIS_TESTS/cli/sample.bash"

tamis tune --threads 1 --output table.txt | sed 's/measured on .*; the/measured on ...; the/'
head -1 table.txt
grep -c '^price ' table.txt
printf 'device Another machine\nprocessors 12\nprice a scale 2\n' >> table.txt
tamis tune --threads 1 --shape 4,64,64 --output table.txt | grep -c 'table.txt'
tail -3 table.txt
grep '^time' table.txt | sed 's/us .*/us .../'
TMS_TUNING=table.txt tamis version | head -1
TMS_TUNING=missing.txt try version
printf 'tamis-tuning 1\nnonsense\n' > broken.txt
TMS_TUNING=broken.txt try version
try tune --output broken.txt --threads 1
cat broken.txt
XDG_CACHE_HOME= HOME= try tune
unset TMS_TUNING
export XDG_CACHE_HOME=$PWD/cache
tamis tune --threads 1 --json | grep -c '"op": "spmm"'
ls cache/tamis
printf 'tamis-tuning 1\nnonsense\n' > cache/tamis/tuning.txt
try version 2>&1 | sed "s|$PWD|.|"
try tune --device gpu
try tune --device cuda:x
try tune --device cpu --device cuda
