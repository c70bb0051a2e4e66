# What is wrong with the line is said in a sentence, and the code is 2.
try() {
    echo "\$ tamis $*"
    tamis "$@"
    echo "exit $?"
}
try
try prnue
try florble
try version --treads 2
try version --florble
try version --threads
try version --threads 0
try version --threads 2x
try version --threads=99999999999999999999
try version --isa sse
try version --isa none,avx2
try version --isa ''
try version --json=yes
try version surplus
try bench
try bench --shape 1,2
try bench --shape 1,2,0
try bench --shape 1,2,3,4
try bench --shape 4,4,4 --pattern 3:2
try bench --shape 4,4,4 --pattern florble
try bench --shape 4,4,4 --rounds -1
try bench --tokens 1,,2
try bench --whole
try bench --whole model
try bench a b
try bench --text a --text b --whole m
try prune in -p 2:4 --pattern 1:4 -o out
try pack in --format nm --format csr -o out
try prune in -p 2:4 -o --force
try prune in --pattern -o out
export TMS_THREADS=many
try version
unset TMS_THREADS
export TMS_ISA=sse
try version
