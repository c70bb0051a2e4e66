# The context's numbers come from the environment, and options are stronger.
tamis version | sed -n '1p'
tamis --version | head -1
tamis version --json --threads 1 | sed -n 's/"commit": ".*"/"commit": "..."/; s/"cpu": ".*"/"cpu": "..."/; p' | grep -vE 'isa|gpu|driver|cublaslt'
TMS_THREADS=3 tamis version | tail -1
TMS_THREADS=3 tamis version --threads 2 | tail -1
TMS_THREADS= tamis version --threads 1 | tail -1
TMS_ISA=none tamis version | grep isa
TMS_ISA=none tamis version --isa none --json | grep isa
tamis version --threads 1 > /dev/full
echo "exit $?"
