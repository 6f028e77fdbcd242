# Everything happens in this folder: .venv, target, dist. `make` alone lists the targets.

PYTHON ?= python3
MODEL ?= demo
ARGS ?=
FUZZ_SECONDS ?= 60
FUZZ_SEED ?= 0

TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))

# What the extension is compiled from; the Python files are used in place.
SOURCES := Cargo.toml Cargo.lock rust-toolchain.toml .cargo/config.toml $(wildcard rust/*/Cargo.toml) \
	$(shell find rust/*/src -name '*.rs')

export VIRTUAL_ENV := $(CURDIR)/.venv
export PATH := $(VIRTUAL_ENV)/bin:$(PATH)
unexport CONDA_PREFIX

.PHONY: help
help: ## List the targets.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

.PHONY: run
run: .venv/.built ## Run the model inside the package: make run [MODEL=FILE] [ARGS="'Who are you?'"].
	farthing run $(MODEL) $(ARGS)

.PHONY: test
test: test-rust test-python ## Run all tests.

.PHONY: test-rust
test-rust: ## Run the tests of the Rust crates.
	cargo test --locked --workspace --exclude farthing-python

.PHONY: test-python
test-python: .venv/.built ## Run the tests of the Python package: make test-python [ARGS="-k stream"].
	pytest $(ARGS)

.PHONY: lint
lint: lint-rust lint-python ## Check formats, lints and types.

.PHONY: lint-rust
lint-rust: .venv/.tools
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- --deny warnings

.PHONY: lint-python
lint-python: .venv/.built
	ruff format --check
	ruff check
	mypy --strict python/farthing

.PHONY: format
format: .venv/.tools ## Format all code.
	cargo fmt --all
	ruff format
	ruff check --fix --select I

# Files of a source distribution all have the same old date, so cargo would take what it compiled before
# for up to date: the wheel has a target folder of its own.
.PHONY: build
build: .venv/.tools ## Build the source distribution, and from it the wheel, into dist/.
	rm -rf dist
	maturin sdist --out dist
	env -u CARGO_TARGET_DIR pip wheel --no-deps --wheel-dir dist dist/*.tar.gz

.PHONY: bench
bench: .venv/.built ## Measure tokens a second: make bench MODEL=FILE [ARGS="-p 512 -n 64"].
	farthing bench $(MODEL) $(ARGS)

.PHONY: intrinsics
intrinsics: .venv/.built ## Check that no SIMD intrinsic became a function call, which costs a factor of 20.
	@symbols=$$(nm --demangle $(TARGET)/release/lib_native.so) && \
		echo "$$symbols" | grep --quiet farthing_kernels && \
		! echo "$$symbols" | grep core_arch | grep --invert-match _xgetbv && \
		echo "All intrinsics are inlined."

.PHONY: emulate
emulate: ## Test the kernels for ARM: needs qemu-user, gcc-aarch64-linux-gnu and rustup's target.
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu max" \
		cargo test --package farthing-kernels --lib --target aarch64-unknown-linux-gnu

.PHONY: fuzz
fuzz: .venv/.tools ## Fuzz the GGUF reader: make fuzz [FUZZ_SECONDS=60] [FUZZ_SEED=0, a random one].
	command -v cargo-fuzz || cargo install --quiet --locked --root .venv cargo-fuzz
	cargo run --quiet --locked -p farthing-gguf --example fuzz_seeds -- rust/gguf/fuzz/corpus/open
	RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir rust/gguf/fuzz open -- \
		-seed=$(FUZZ_SEED) -max_total_time=$(FUZZ_SECONDS) -timeout=60 -max_len=16384 -malloc_limit_mb=4

.PHONY: clean
clean: ## Delete everything that was built.
	rm -rf .venv dist target rust/*/fuzz/target python/farthing/_native.*.so

# The tools, in a virtual environment of their own.
.venv/.tools: pyproject.toml
	$(PYTHON) -m venv .venv
	pip install --quiet --upgrade pip
	pip install --quiet --group dev
	touch $@

# The extension module, compiled for release and installed with the package's dependencies.
.venv/.built: .venv/.tools $(SOURCES)
	PIP_QUIET=1 maturin develop --release
	touch $@
