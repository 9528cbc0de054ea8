# Every target sets up what it needs, so that a machine with Rust and Python alone can run any of them first.
#
#   PYTHON=python3.12 make test      another interpreter
#   VENV=/somewhere make test        another virtual environment
#   CARGO_TARGET_DIR=/somewhere …    another place for Rust's build output
#   ARGS="…" make demo               arguments for the demo, the benches or pytest

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
VENV ?= .venv
ARGS ?=

# rustup's installer changes the PATH of later shells only.
export PATH := $(PATH):$(HOME)/.cargo/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

python := $(VENV)/bin/python
target_dir := $(abspath $(or $(CARGO_TARGET_DIR),target))
core := python/holter/_core.abi3.so
sources := $(shell find rust -name '*.rs') $(wildcard rust/*/Cargo.toml) Cargo.toml Cargo.lock

# A stamp lives in the environment it speaks of, and names the requirements it was made from.
requirements := $(shell cksum <pyproject.toml | cut -d ' ' -f 1)
stamp_maturin := $(VENV)/.holter-maturin
stamp_demo := $(VENV)/.holter-demo-$(requirements)
stamp_dev := $(VENV)/.holter-dev-$(requirements)

# maturin refuses to choose between an active conda environment and a virtual one.
maturin := env -u CONDA_PREFIX VIRTUAL_ENV='$(abspath $(VENV))' '$(abspath $(VENV))/bin/maturin'

say = @printf '\033[1m==> %s\033[0m\n' $(1)

# Cargo judges a file of ours by its time alone and names no checkout in its build output. Where one target directory serves
# several checkouts, an older file of this one would pass for built, so every source is made new when the checkout changes.
define claim_target_dir
	@mkdir -p '$(target_dir)'
	@if [ "$$(cat '$(target_dir)/.holter-checkout' 2>/dev/null)" != '$(CURDIR)' ]; then \
		find rust -name '*.rs' -exec touch {} +; \
		printf '%s\n' '$(CURDIR)' >'$(target_dir)/.holter-checkout'; \
	fi
endef

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# --- What people ask for ---

.PHONY: demo
demo: $(stamp_demo) ## train a small language model on real text with every probe on, and show what was recorded
	$(call say,'training: about a minute on two cores')
	@$(python) -m holter.demo $(ARGS)

.PHONY: serve
serve: $(stamp_demo) ## open the dashboard on the runs in runs/
	@$(python) -m holter.cli serve runs $(ARGS)

.PHONY: test
test: test-rust loom test-python ## every test: Rust, loom, Python
	$(call say,'every test passed')

.PHONY: test-rust
test-rust: has-cargo ## the tests of the core, which needs no Python
	$(claim_target_dir)
	$(call say,'tests of the core')
	@cargo test --package holter

.PHONY: test-python
test-python: $(stamp_dev) ## the tests of the Python layers, in a release build
	$(call say,'tests of the Python layers')
	@$(python) -m pytest $(ARGS)

.PHONY: loom
loom: has-cargo ## the journal under every interleaving that loom can find
	$(claim_target_dir)
	$(call say,'model checking of the journal')
	@# A directory of its own: the flag reaches every crate and would rebuild them all, back and forth.
	@RUSTFLAGS="$${RUSTFLAGS:-} --cfg holter_loom" CARGO_TARGET_DIR='$(target_dir)/loom' \
		cargo test --package holter --release --test loom

.PHONY: lint
lint: $(stamp_dev) ## formatting, clippy, ruff, mypy, stubs, layers, spelling, wording
	$(claim_target_dir)
	$(call say,'rustfmt and clippy')
	@cargo fmt --all --check
	@PYO3_PYTHON='$(abspath $(python))' cargo clippy --workspace --all-targets -- --deny warnings
	$(call say,'ruff')
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	$(call say,'mypy and stubtest')
	@$(python) -m mypy
	@MYPYPATH=python $(python) -m mypy.stubtest holter._core --mypy-config-file pyproject.toml
	$(call say,'layers, spelling and wording')
	@PYTHONPATH=python $(VENV)/bin/lint-imports --no-cache
	@$(VENV)/bin/codespell $(shell git ls-files)
	@$(python) .ci/check_words.py
	@$(python) -m pytest --quiet tests/test_structure.py tests/test_exports.py

.PHONY: fmt
fmt: ## format every source, and mend what ruff can mend
	@[ -x $(VENV)/bin/ruff ] || $(MAKE) --no-print-directory $(stamp_dev)
	@cargo fmt --all
	@$(VENV)/bin/ruff check --fix-only --quiet .
	@$(VENV)/bin/ruff format .

.PHONY: bench
bench: $(stamp_dev) ## measure; benches/README.md tells the method
	$(call say,'measuring: leave the machine alone meanwhile')
	@$(python) benches/run.py $(ARGS)

.PHONY: faults
faults: $(stamp_dev) ## thousands of faults against the recorder: most of an hour, with ARGS=--quick minutes
	$(call say,'the fault suite')
	@$(python) -m tests.faults $(ARGS)

.PHONY: audit
audit: $(stamp_dev) ## what is known against the dependencies: licences, sources, advisories; says what it could not ask
	@$(python) .ci/audit.py

.PHONY: peers
peers: $(stamp_dev) wheel ## measure other recorders beside Holter, about an hour; benches/RESULTS.md tells the method
	$(call say,'measuring the field: leave the machine alone meanwhile')
	@PYTHONPATH=benches $(python) -m peers --wheel "$$(ls -t dist/holter-*.whl | head -n 1)" $(ARGS)

.PHONY: wheel
wheel: $(stamp_maturin) has-cargo ## build the wheel into dist/
	$(claim_target_dir)
	$(call say,'building the wheel')
	@$(maturin) build --release --locked --out dist

.PHONY: clean
clean: ## remove build output and caches; the virtual environment stays
	@rm -rf target dist .mypy_cache .pytest_cache .ruff_cache .hypothesis $(core)
	@find python tests benches -name __pycache__ -type d -exec rm -rf {} +

# --- How it is set up ---

.PHONY: has-cargo
has-cargo:
	@command -v cargo >/dev/null || { \
		echo "Rust is missing: cargo is not on the PATH. Install it with"; \
		echo "    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"; \
		echo "(https://rustup.rs), then run make again."; \
		exit 1; \
	} >&2

$(stamp_maturin):
	@command -v $(PYTHON) >/dev/null || { \
		echo "Python is missing: $(PYTHON) is not on the PATH. Install Python 3.10 or later, or name one: make PYTHON=python3.12 …"; \
		exit 1; \
	} >&2
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo "Python 3.10 or later is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12 …"; \
		exit 1; \
	} >&2
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv"; \
		exit 1; \
	} >&2
	$(call say,'making the virtual environment $(VENV)')
	@$(PYTHON) -m venv '$(VENV)'
	@$(python) -m pip install --quiet 'maturin>=1.9.4,<2'
	@touch $@

# `maturin develop` installs the extras, builds the extension and points the environment at this checkout.
$(stamp_demo): extras := torch,arrow,serve
$(stamp_dev): extras := dev
$(stamp_demo) $(stamp_dev): $(sources) | $(stamp_maturin) has-cargo
	$(claim_target_dir)
	$(call say,'installing the requirements ($(extras)) and building the extension: minutes the first time')
	@$(maturin) develop --release --extras $(extras)
	@touch $@

# An environment may serve several checkouts, one at a time: where it points is read, not remembered.
points_at := $(shell cat $(VENV)/lib/python3*/site-packages/holter.pth 2>/dev/null)
ifneq ($(points_at)|$(wildcard $(core)),$(CURDIR)/python|$(core))
.PHONY: $(stamp_demo) $(stamp_dev)
endif
