# `make help` lists the targets. Everything is made in the checkout; only Debian packages are installed elsewhere.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
BENCH_PEERS := .bench-peers
IMAGE ?= sip-security-gateway
TESTS ?= tests
FUZZ_SECONDS ?= 300

# pip installs exactly what the lock holds, whatever indexes a machine's pip knows of.
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -qq

.PHONY: help venv certs run test check fuzz lint format bench bench-packages lock packages image changelog clean distclean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

venv: $(INSTALLED) ## make .venv with the locked dependencies and this project

$(INSTALLED): requirements-dev.lock pyproject.toml deploy/make-venv
	@echo "Making $(VENV) from requirements-dev.lock"
	@[ -x $(BIN)/python ] || deploy/make-venv $(VENV)
	@$(PIP) install --require-hashes -r requirements-dev.lock
# editable_mode=compat puts the checkout itself on the path; other modes hide twisted/plugins from Twisted.
	@PYTHONWARNINGS=ignore $(PIP) install --no-deps --no-build-isolation --config-settings editable_mode=compat -e .
	@touch $@

certs: $(INSTALLED) ## make development certificates in certs/
	@$(BIN)/python -m gateway.devcerts certs

run: certs ## demonstrate: gateway, provider and phone on loopback, one call, then stay up (DEMO=options)
	@exec $(BIN)/python -m gateway.demo $(DEMO)

test: packages lint ## run everything: linters, then all tests, real SIP software included
	$(BIN)/python -m pytest $(TESTS)

check: packages lint ## as test, and measure what the tests reach
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest tests --ignore tests/calls
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
# Measuring slows the gateway down, and real phones will not wait.
	$(BIN)/python -m pytest tests/calls

fuzz: $(INSTALLED) ## fuzz parser, SDP and digest, guided by coverage (FUZZ_SECONDS=300 each; findings stay in build/fuzz)
	@for target in parser sdp digest; do \
		mkdir -p build/fuzz/$$target; \
		$(BIN)/python -m tests.fuzz.run $$target build/fuzz/$$target -max_total_time=$(FUZZ_SECONDS); \
	done

lint: $(INSTALLED) ## ruff, mypy and the layers of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(INSTALLED) ## let ruff format and mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: packages $(BENCH_PEERS)/.installed ## print the benchmark tables, peers in the same run
	@for file in bench/[a-z]*.py; do $(BIN)/python -m bench.$$(basename $$file .py); done

# Programs to compare with have an environment of their own, so that the gateway's gets none of their dependencies.
$(BENCH_PEERS)/.installed: bench/peers.lock deploy/make-venv | bench-packages
	@[ -x $(BENCH_PEERS)/bin/python ] || deploy/make-venv $(BENCH_PEERS)
	@$(BENCH_PEERS)/bin/python -m pip --disable-pip-version-check --no-input -qq install --require-hashes -r bench/peers.lock
	@touch $@

bench-packages:
	@deploy/install-debian-packages @deploy/debian-packages-bench.txt

packages: $(INSTALLED) ## install the Debian packages that the tests need
	@deploy/install-debian-packages @deploy/debian-packages.txt

# The indexes and link directories of the machine that makes the lock must not get into it.
LOCK := env -u PIP_FIND_LINKS -u PIP_INDEX_URL -u PIP_EXTRA_INDEX_URL PIP_CONFIG_FILE=/dev/null CUSTOM_COMPILE_COMMAND="make lock" \
	$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url --no-emit-trusted-host \
	--no-emit-find-links

lock: $(INSTALLED) ## pin all dependencies anew (LOCK_FLAGS=--upgrade takes the newest)
	$(LOCK) $(LOCK_FLAGS) --output-file requirements.lock pyproject.toml
	$(LOCK) $(LOCK_FLAGS) --extra scale-out --extra test --extra dev --constraint requirements.lock \
		--output-file requirements-dev.lock pyproject.toml
	$(LOCK) $(LOCK_FLAGS) --output-file bench/peers.lock bench/peers.in

image: ## build the container image
	docker build --file deploy/Dockerfile --tag $(IMAGE) .

changelog: $(INSTALLED) ## show what the next release's CHANGELOG.md would say
	$(BIN)/towncrier build --draft

clean: ## remove what the tools wrote
	rm -rf .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build htmlcov *.egg-info
	find . -path ./$(VENV) -prune -o \( -name __pycache__ -o -name dropin.cache \) -print0 | xargs -0 -r rm -rf

distclean: clean ## and the environment, certificates and state
	rm -rf $(VENV) $(BENCH_PEERS) state deploy/state
	git clean -q -d -x -f certs
