# Every target installs what it needs, so any of them can run first on a machine with Rust and Python.
#
#   PYTHON=python3.12 make test      another interpreter
#   VENV=/somewhere make test        another virtual environment
#   CARGO_TARGET_DIR=/somewhere …    another build directory for Rust
#   ARGS="…" make demo               arguments for the demo, the benchmarks or pytest

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
VENV ?= .venv
ARGS ?=

# rustup's installer changes the PATH only for later shells.
export PATH := $(PATH):$(HOME)/.cargo/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

python := $(VENV)/bin/python
target_dir := $(abspath $(or $(CARGO_TARGET_DIR),target))
core := python/holter/_core.abi3.so
sources := $(shell find rust -name '*.rs') $(wildcard rust/*/Cargo.toml) Cargo.toml Cargo.lock

# A stamp is in the environment that it describes, and its name has a checksum of the requirements.
requirements := $(shell cksum <pyproject.toml | cut -d ' ' -f 1)
stamp_maturin := $(VENV)/.holter-maturin
stamp_demo := $(VENV)/.holter-demo-$(requirements)
stamp_dev := $(VENV)/.holter-dev-$(requirements)

# maturin fails if both a conda environment and a virtual environment are active.
maturin := env -u CONDA_PREFIX VIRTUAL_ENV='$(abspath $(VENV))' '$(abspath $(VENV))/bin/maturin'

print_step = @printf '\033[1m==> %s\033[0m\n' $(1)

# Cargo checks only the modification times of our files, and its build output does not name the checkout. If several checkouts
# share a target directory, an older file would count as built, so all sources are touched when the checkout changes.
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

# --- Targets ---

.PHONY: demo
demo: $(stamp_demo) ## train a small language model on real text with every probe, and show what was recorded
	$(call print_step,'training: about a minute on two cores')
	@$(python) -m holter.demo $(ARGS)

.PHONY: serve
serve: $(stamp_demo) ## open the dashboard on the runs in runs/
	@$(python) -m holter.cli serve runs $(ARGS)

.PHONY: test
test: test-rust loom test-python ## every test: Rust, loom, Python
	$(call print_step,'every test passed')

.PHONY: test-rust
test-rust: has-cargo ## the tests of the Rust crates; needs no Python
	$(claim_target_dir)
	$(call print_step,'tests of the core')
	@cargo test --package holter-journal --package holter

.PHONY: test-python
test-python: $(stamp_dev) ## the tests of the Python layers, in a release build
	$(call print_step,'tests of the Python layers')
	@$(python) -m pytest $(ARGS)

.PHONY: loom
loom: has-cargo ## model-check the journal with loom
	$(claim_target_dir)
	$(call print_step,'model checking of the journal')
	@# A separate directory, because the flag applies to every crate and would rebuild them all each time.
	@RUSTFLAGS="$${RUSTFLAGS:-} --cfg holter_loom" CARGO_TARGET_DIR='$(target_dir)/loom' \
		cargo test --package holter-journal --release --test loom

.PHONY: lint
lint: $(stamp_dev) ## formatting, clippy, ruff, mypy, stubs, layers, spelling, wording
	$(claim_target_dir)
	$(call print_step,'rustfmt and clippy')
	@cargo fmt --all --check
	@PYO3_PYTHON='$(abspath $(python))' cargo clippy --workspace --all-targets -- --deny warnings
	$(call print_step,'ruff')
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	$(call print_step,'mypy and stubtest')
	@$(python) -m mypy
	@MYPYPATH=python $(python) -m mypy.stubtest holter._core --mypy-config-file pyproject.toml \
		--allowlist .ci/stubtest-allowlist.txt
	$(call print_step,'layers and wording')
	@PYTHONPATH=python $(VENV)/bin/lint-imports --no-cache
	@$(VENV)/bin/codespell rust python tests benches docs .ci Makefile *.md *.toml
	@$(python) .ci/check_words.py
	@$(python) -m pytest --quiet tests/test_structure.py tests/test_exports.py

.PHONY: fmt
fmt: ## format every source, and apply ruff's fixes
	@[ -x $(VENV)/bin/ruff ] || $(MAKE) --no-print-directory $(stamp_dev)
	@cargo fmt --all
	@$(VENV)/bin/ruff check --fix-only --quiet .
	@$(VENV)/bin/ruff format .

.PHONY: bench
bench: $(stamp_dev) ## run the benchmarks; benches/README.md describes the method
	$(call print_step,'measuring: leave the machine idle')
	@$(python) benches/run.py $(ARGS)

.PHONY: faults
faults: $(stamp_dev) ## inject thousands of faults: most of an hour, or minutes with ARGS=--quick
	$(call print_step,'the fault suite')
	@$(python) -m tests.faults $(ARGS)

.PHONY: audit
audit: $(stamp_dev) ## licenses, sources and advisories of the dependencies, with cargo-deny and pip-audit
	$(call print_step,'crates')
	@if command -v cargo-deny >/dev/null; then \
		cargo deny check; \
	else \
		echo 'skipped: cargo-deny is not installed; install it with: cargo install --locked cargo-deny'; \
	fi
	$(call print_step,'Python packages')
	@if $(python) -m pip_audit --version >/dev/null 2>&1; then \
		$(python) -m pip_audit --local --skip-editable; \
	else \
		echo 'skipped: pip-audit is not installed; install it with: $(python) -m pip install pip-audit'; \
	fi

.PHONY: peers
peers: $(stamp_dev) wheel ## measure other recorders next to Holter, about an hour; benches/RESULTS.md describes the method
	$(call print_step,'measuring other recorders: leave the machine idle')
	@PYTHONPATH=benches $(python) -m peers --wheel "$$(ls -t dist/holter-*.whl | head -n 1)" $(ARGS)

.PHONY: wheel
wheel: $(stamp_maturin) has-cargo ## build the wheel into dist/
	$(claim_target_dir)
	$(call print_step,'building the wheel')
	@$(maturin) build --release --locked --out dist

.PHONY: clean
clean: ## remove build output and caches, but not the virtual environment
	@rm -rf target dist .mypy_cache .pytest_cache .ruff_cache .hypothesis $(core)
	@find python tests benches -name __pycache__ -type d -exec rm -rf {} +

# --- Setup ---

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
		echo "Python is missing: $(PYTHON) is not on the PATH. Install Python 3.10 or later, or select one: make PYTHON=python3.12 …"; \
		exit 1; \
	} >&2
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo "Python 3.10 or later is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Select another: make PYTHON=python3.12 …"; \
		exit 1; \
	} >&2
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv"; \
		exit 1; \
	} >&2
	$(call print_step,'making the virtual environment $(VENV)')
	@$(PYTHON) -m venv '$(VENV)'
	@$(python) -m pip install --quiet 'maturin>=1.9.4,<2'
	@touch $@

# `maturin develop` installs the extras, builds the extension, and points the environment at this checkout.
$(stamp_demo): extras := torch,arrow,serve
$(stamp_dev): extras := dev
$(stamp_demo) $(stamp_dev): $(sources) | $(stamp_maturin) has-cargo
	$(claim_target_dir)
	$(call print_step,'installing the requirements ($(extras)) and building the extension: minutes the first time')
	@$(maturin) develop --release --extras $(extras)
	@touch $@

# Several checkouts can share an environment, one at a time, so read which one it points at.
points_at := $(shell cat $(VENV)/lib/python3*/site-packages/holter.pth 2>/dev/null)
ifneq ($(points_at)|$(wildcard $(core)),$(CURDIR)/python|$(core))
.PHONY: $(stamp_demo) $(stamp_dev)
endif
