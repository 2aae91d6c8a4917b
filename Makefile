# Parallel Python (Rust)
#
#   make demo    set up what is missing, run docs/tutorial.ipynb and print it cell by cell
#   make lab     the same set-up, then JupyterLab with the tutorial open
#   make test    every test: of the crates, and of the real kernel
#   make build   .venv, the built files in build/bin, the kernel installed into .venv (plain `make`)
#   make lint    formatting and lints, Rust and Python
#   make format  put the formatting right
#   make install PREFIX=/opt/x   put the kernel below a folder, for all who can read it; make uninstall PREFIX=/opt/x
#   make matrix  the tests of engines on every MPI and every Python of this machine, through both doors
#   make bench   compare with ipyparallel on this machine
#   make clean   remove everything that make made, .venv included
#
# Nothing needs root, and nothing outside this folder is written but caches and Jupyter's own settings.
# A verb run again does only what changed. Settings:
#
#   PYTHON=/path/to/python3    what .venv is made from (3.11 or newer)
#   CARGO_TARGET_DIR=folder    where cargo builds
#   TESTS="tests/x.py -k y"    what `make test` gives to pytest
#   INSTALL="--python PY -n 8"  more options for `make install`
#   LAB="--no-browser"         more options for JupyterLab
#   MATRIX="--full --mpi MPICH --python 3.12"  what `make matrix` runs; "--whole": every test on every MPI
#   BENCH="--quick"; BENCH="--table sessions -n 4"    what `make bench` measures

SHELL := /bin/sh
.DEFAULT_GOAL := build
# The verbs are steps of one another, in order; cargo and pip use all cores by themselves.
.NOTPARALLEL:
.PHONY: demo lab test build lint lint-format lint-rust lint-plugin lint-python lint-types format bench clean help install uninstall matrix tools venv

PYTHON ?=
CARGO ?= cargo
CARGO_FLAGS ?=
CARGO_TARGET_DIR ?= target
TESTS ?= tests
# What cells do is the same however their Python was entered: embedded, or as an extension of its own executable.
OTHER_DOOR ?= tests/test_px.py tests/test_local.py tests/test_engine_cells.py tests/test_mpi4py.py tests/test_faults.py \
	tests/test_zygote.py
INSTALL ?=
LAB ?=
BENCH ?=
MATRIX ?=
export PYTHON CARGO CARGO_FLAGS
# One absolute folder for every cargo call, wherever it runs.
export CARGO_TARGET_DIR := $(abspath $(CARGO_TARGET_DIR))

bin := .venv/bin
# JupyterLab refuses to run as root unless it is told that this is meant.
as_root := $(if $(filter 0,$(shell id -u)),--allow-root)

demo: build
	@$(bin)/python tools/demo.py

lab: build
	$(bin)/jupyter lab docs/tutorial.ipynb $(as_root) $(LAB)

test: build
	$(CARGO) test --release $(CARGO_FLAGS)
	$(bin)/python -m pytest $(TESTS)
	@echo "once more, through the other door into Python"
	PARALLEL_PYTHON_DOOR=extension $(bin)/python -m pytest --quiet $(OTHER_DOOR)

build: venv
	@tools/build
	@tools/install-kernelspec

# Steps of their own, so that `make -k lint` shows everything there is to say.
lint: lint-format lint-rust lint-plugin lint-python lint-types

lint-format:
	$(CARGO) fmt --all --check

lint-rust: tools
	$(CARGO) clippy $(CARGO_FLAGS) --all-targets -- --deny warnings

lint-plugin: venv
	environment=$$(tools/mpi-env openmpi) && eval "$$environment" && $(CARGO) clippy $(CARGO_FLAGS) \
		--package parallel-python-mpi --target-dir $(CARGO_TARGET_DIR)/mpi-openmpi -- --deny warnings

lint-python: venv
	$(bin)/ruff check
	$(bin)/ruff format --check

lint-types: venv
	$(bin)/mypy --cache-dir build/mypy

format: venv
	$(CARGO) fmt --all
	$(bin)/ruff check --fix
	$(bin)/ruff format

matrix: build
	@$(bin)/python tools/matrix.py $(MATRIX)

bench: build build/peer
	$(bin)/python bench/run.py $(BENCH)

# ipyparallel stays out of .venv: there it would add a panel to JupyterLab and answer imports.
build/peer: tools/requirements-bench.txt
	$(bin)/python -m pip install --quiet --disable-pip-version-check --root-user-action ignore \
		--target $@ --upgrade --no-deps --requirement $<
	@touch $@

# Programs, command and kernelspec below PREFIX; docs/install.md. DESTDIR is for packages, as everywhere.
install: build
	@test -n "$(PREFIX)" || { echo "say where: make install PREFIX=/opt/parallel-python" >&2; exit 2; }
	build/bin/parallel-python install --prefix $(DESTDIR)$(abspath $(PREFIX)) $(INSTALL)

uninstall:
	@test -n "$(PREFIX)" || { echo "say where from: make uninstall PREFIX=/opt/parallel-python" >&2; exit 2; }
	build/bin/parallel-python uninstall --prefix $(DESTDIR)$(abspath $(PREFIX))

clean:
	rm -rf .venv build target kernelspec/bin

help:
	@sed -n '3,/^$$/{s/^# \{0,1\}//;p}' Makefile

venv: tools
	@tools/setup-venv

tools:
	@tools/check-tools
