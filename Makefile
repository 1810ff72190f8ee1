# Everything a newcomer or CI needs, in one word each.
# Each target installs what it needs (scripts/ensure-tools.sh).

export CARGO_TERM_COLOR ?= auto
CARGO ?= cargo
FUZZ_SECONDS ?= 300
RINGFENCE := target/release/ringfence

.DEFAULT_GOAL := help
.PHONY: help build demo test lint bench fuzz

help: ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build the release binary, target/release/ringfence
	@scripts/ensure-tools.sh rust
	$(CARGO) build --release --locked --package ringfence

demo: build ## run the verbs on the shipped examples and say what one learns
	@RINGFENCE=$(RINGFENCE) scripts/demo.sh

test: ## format, lints and all tests
	@scripts/ensure-tools.sh rust busybox
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) test --workspace --locked

lint: ## format, lints, licences and sources of the dependencies
	@scripts/ensure-tools.sh rust cargo-deny
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) deny --all-features check bans licenses sources

bench: ## the figures of docs/benchmarks.md
	@scripts/ensure-tools.sh rust
	scripts/bench.sh

fuzz: ## fuzz the parser, the engine against the oracle, and what reads packets and names (FUZZ_SECONDS each)
	@scripts/ensure-tools.sh rust cargo-fuzz
	scripts/fuzz.sh $(FUZZ_SECONDS)
