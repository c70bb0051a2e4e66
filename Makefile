# The thin front of CMake. `make help` lists the targets.
SHELL := /bin/bash
BUILD ?= build
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 20
JOBS ?= $(shell nproc)
export CTEST_OUTPUT_ON_FAILURE := 1
MAKEFLAGS += --no-print-directory

.NOTPARALLEL:
.PHONY: all build demo test test-torch test-gpu sanitize-gpu jitter-gpu bench bench-gpu fuzz lint install setup clean help

all: build

build:                  ## the library and the command (build/tamis)
	@scripts/setup.sh --check
	@cmake --preset release -B $(BUILD) > /dev/null
	@cmake --build $(BUILD) -j $(JOBS)

demo: setup             ## a real model pruned, packed, run and judged; draws report.html
	@cmake --preset release -B $(BUILD) > /dev/null
	@cmake --build $(BUILD) --target tamis -j $(JOBS)
	@scripts/demo.sh $(BUILD)/tamis

test: setup build       ## every test, then again with sanitizers
	@scripts/venv.sh || echo "going on without the environment of the Python package's tests"
	@cd $(BUILD) && ctest -j $(JOBS)
	@cmake --preset debug > /dev/null && cmake --build build-debug -j $(JOBS)
	@cd build-debug && ctest -j $(JOBS)

test-torch: setup build ## tamis.torch, in an environment of its own (PyTorch: about 6 GB)
	@scripts/setup.sh torch
	@scripts/venv.sh torch
	@scripts/test_python.sh $(BUILD) torch

test-gpu: build         ## kernels of an NVIDIA GPU against float64; says why where it skips
	@if [ -x $(BUILD)/test_gpu ]; then $(BUILD)/test_gpu $(GPU_TESTS); [ $$? = 0 -o $$? = 77 ]; \
	else echo "skipped: built without CUDA, since nvcc was not found"; fi

sanitize-gpu: build     ## ... a few of each, under compute-sanitizer's three tools
	@[ ! -x $(BUILD)/test_gpu ] || { \
	cmake --preset release -B $(BUILD)-racecheck -DTAMIS_PROOF=RACECHECK > /dev/null && \
	cmake --build $(BUILD)-racecheck --target test_gpu -j $(JOBS); }
	@scripts/sanitize_gpu.sh $(BUILD)/test_gpu $(BUILD)-racecheck/test_gpu $(GPU_TESTS)

jitter-gpu: build       ## ... all, with kernels whose threads sleep at random where they meet
	@[ ! -x $(BUILD)/test_gpu ] || { \
	cmake --preset release -B $(BUILD)-jitter -DTAMIS_PROOF=JITTER > /dev/null && \
	cmake --build $(BUILD)-jitter --target test_gpu -j $(JOBS); }
	@if [ -x $(BUILD)-jitter/test_gpu ]; then $(BUILD)-jitter/test_gpu $(GPU_TESTS); \
	[ $$? = 0 -o $$? = 77 ]; else echo "skipped: built without CUDA, since nvcc was not found"; fi

bench-gpu: build        ## ... beside cuBLASLt and cuSPARSELt, rows of JSON
	@if [ -x $(BUILD)/bench_gpu ]; then $(BUILD)/bench_gpu $(GPU_BENCH); \
	else echo "skipped: built without CUDA, since nvcc was not found"; fi

bench: build            ## kernels beside their rivals, rows of JSON
	@$(BUILD)/bench_spmm

fuzz:                   ## each fuzz target for FUZZ_SECONDS
	@scripts/setup.sh lint
	@cmake --preset fuzz > /dev/null && cmake --build build-fuzz -j $(JOBS)
	@scripts/fuzz.sh build-fuzz $(FUZZ_SECONDS)

lint: build             ## layers, names, sizes, format, clang's warnings
	@scripts/setup.sh lint
	@scripts/lint.sh $(BUILD)

install: build          ## to PREFIX (default /usr/local)
	@cmake --install $(BUILD) --prefix $(PREFIX)

setup:                  ## installs the packages that are missing, or says how
	@scripts/setup.sh

clean:
	@rm -rf build build-debug build-clang build-fuzz build-racecheck build-jitter

help:
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 16
