# `make help` lists the targets. Everything is made in the checkout; only Debian packages are installed elsewhere.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
TOOLS := $(VENV)/.tools
PJSUA2 := .venv-pjsua
BENCH_PEERS := .bench-peers
RELEASE ?= trixie
IMAGE ?= sip-security-gateway
TESTS ?=
# Compiled modules are kept: the tests start hundreds of gateways, which would each compile seven hundred files.
unexport PYTHONDONTWRITEBYTECODE
FUZZ_SECONDS ?= 300
CALLS ?= 50000
MINUTES ?= 10
SOAK_MINUTES ?= 60

# pip installs exactly what the lock holds, whatever indexes a machine's pip knows of.
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -qq

.PHONY: help venv certs run ready test test-debian test-container check check-locks fuzz interleavings soak soak-refreshes lint format bench bench-more bench-packages lock packages image wheel changelog clean distclean screenshots

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

venv: $(INSTALLED) ## make .venv with what runs the gateway, and this project

# editable_mode=compat puts the checkout itself on the path; other modes hide twisted/plugins from Twisted.
$(INSTALLED): requirements.lock requirements-build.lock pyproject.toml deploy/make-venv gateway/native/relay.c
	@echo "Making $(VENV) from requirements.lock"
	@[ -x $(BIN)/python ] || deploy/make-venv $(VENV)
	@$(PIP) install --require-hashes -r requirements.lock -r requirements-build.lock
	@PYTHONWARNINGS=ignore $(PIP) install --no-deps --no-build-isolation --config-settings editable_mode=compat -e .
	@deploy/make-native $(BIN)/python
	@touch $@

$(TOOLS): $(INSTALLED) requirements-dev.lock
	@echo "Adding the tools of requirements-dev.lock to $(VENV)"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

certs: $(INSTALLED) ## make development certificates in certs/
	@$(BIN)/python -m gateway.demo.devcerts certs

# Some shells have a HOST of their own: only one that is given to make counts.
run: certs ## demonstrate: gateway, provider and phone on loopback, one call, then stay up (DEMO=options; HOST=an address of this machine lets phones of its network in)
	@exec $(BIN)/python -m gateway.demo $(if $(filter command,$(firstword $(origin HOST))),--host "$(HOST)") $(DEMO)

# Packages come over the network and lint needs one core: both at once. Neither makes what the other reads.
ready: $(TOOLS)
	@$(MAKE) --no-print-directory --jobs=2 packages lint

test: ready ## run everything: linters, then all tests, real SIP software included (TESTS=some for those alone)
ifdef TESTS
	$(BIN)/python -m pytest $(TESTS)
else
	$(BIN)/python -m tools.run_tests
endif

check: ready ## as test, and measure what the tests reach
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest tests --ignore tests/calls
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
# Measuring slows the gateway down, and real phones will not wait.
	$(BIN)/python -m pytest tests/calls

fuzz: $(TOOLS) ## fuzz parser, its quick way, SDP and digest, guided by coverage, and the hot path in C (FUZZ_SECONDS=300 each; findings stay in build/fuzz)
	@for target in parser quick sdp digest; do \
		mkdir -p build/fuzz/$$target; \
		$(BIN)/python -m tests.fuzz.run $$target build/fuzz/$$target -max_total_time=$(FUZZ_SECONDS); \
	done
	$(BIN)/python -m tests.fuzz.sanitized $(FUZZ_SECONDS)

interleavings: $(TOOLS) ## play 50,000 calls of chance, and compare each verdict with an oracle that reads the bytes (CALLS=50000)
	INTERLEAVINGS=$(CALLS) $(BIN)/python -m pytest -q tests/b2bua/test_interleavings.py -k bytes_bear_out --durations=1

soak-refreshes: packages ## let six calls of pjsua2 last through session refreshes that re-key, and look for gaps (MINUTES=10)
	SOAK_MINUTES=$(MINUTES) $(BIN)/python -m pytest -s tests/calls/test_refreshes.py -k nobody_hears

soak: packages ## kill the gateway every 20 s for an hour, under 20 calls a second (SOAK_MINUTES=60)
	SOAK_MINUTES=$(SOAK_MINUTES) $(BIN)/python -m pytest -s tests/faults/test_soak.py

screenshots: packages ## take pictures of every page of a gateway with a day of calls, into docs/screenshots
	$(BIN)/python -m tests.browser.screenshots docs/screenshots

lint: $(TOOLS) ## ruff, mypy, the layers of imports and their table, the measures of the house, written documents, the dashboards
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python tools/house.py
	$(BIN)/python tools/draw_layers.py --check
	$(BIN)/python tools/write_reasons.py --check
	$(BIN)/python -m tools.write_configuration --check
	$(BIN)/python -m tools.make_dashboards --check

format: $(TOOLS) ## let ruff format and mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: packages $(BENCH_PEERS)/.installed ## print the tables of docs/performance.md on media, signalling and growth, peers in the same run (30 minutes)
	@$(BIN)/python -m bench

bench-more: packages $(BENCH_PEERS)/.installed ## print the other tables: administration, the defence, parts measured alone (an hour; root)
	@$(BIN)/python -m bench more

# Programs to compare with have an environment of their own, so that the gateway's gets none of their dependencies.
$(BENCH_PEERS)/.installed: bench/peers.lock deploy/make-venv | bench-packages
	@[ -x $(BENCH_PEERS)/bin/python ] || deploy/make-venv $(BENCH_PEERS)
	@$(BENCH_PEERS)/bin/python -m pip --disable-pip-version-check --no-input -qq install --require-hashes -r bench/peers.lock
	@touch $@

bench-packages:
	@deploy/install-debian-packages @deploy/debian-packages-bench.txt

packages: $(TOOLS) ## install the Debian packages that the tests need, pjsua2 where a Python for it is at hand, and SIP libraries for browsers
	@deploy/install-debian-packages @deploy/debian-packages.txt
	@deploy/make-native $(BIN)/python
	@deploy/make-pjsua2 $(PJSUA2) requirements-pjsua2.lock
	@deploy/make-web-phones tests/calls/web

# One resolution serves every Python from 3.11 on and every processor: markers in the locks, hashes of all wheels.
LOCK := $(BIN)/uv pip compile --no-config --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock"

lock: $(TOOLS) ## pin all dependencies anew (LOCK_FLAGS=--upgrade takes the newest)
	$(LOCK) $(LOCK_FLAGS) --output-file requirements.lock pyproject.toml
	$(LOCK) $(LOCK_FLAGS) --extra test --extra dev --constraint requirements.lock \
		--output-file requirements-dev.lock pyproject.toml
	$(LOCK) $(LOCK_FLAGS) --group build --constraint requirements-dev.lock --output-file requirements-build.lock
	$(LOCK) $(LOCK_FLAGS) --group sbom --output-file requirements-sbom.lock
	$(LOCK) $(LOCK_FLAGS) --group pjsua2 --output-file requirements-pjsua2.lock
	$(LOCK) $(LOCK_FLAGS) --output-file bench/peers.lock bench/peers.in

check-locks: $(TOOLS) ## ask for each lock's wheels for Python 3.11 to 3.14 on x86-64 and aarch64
	@for python in 3.11 3.12 3.13 3.14; do for machine in x86_64 aarch64; do for lock in requirements requirements-dev; do \
		$(BIN)/uv pip install --no-config --quiet --dry-run --only-binary :all: --require-hashes --target build/check-locks \
			--python-version $$python --python-platform $$machine-manylinux_2_28 -r $$lock.lock; \
		echo "$$lock.lock: Python $$python, $$machine: every wheel is there"; \
	done; done; done

test-debian: ## as a new user: both commands in a bare Debian (RELEASE=bookworm or trixie; root, debootstrap, 30 minutes)
	tools/test-debian $(RELEASE)

test-container: packages ## build the image, and call, drain and restart it (root; podman, buildah; 5 minutes)
	@deploy/install-debian-packages @deploy/debian-packages-container.txt
	tools/test-container

image: ## build the container image and its bill of materials (docker, podman or buildah; ENGINE=)
	deploy/build-image $(IMAGE)

wheel: $(TOOLS) ## build a wheel for this Python and processor, with the hot path of media in C, into dist
	$(BIN)/python -m pip --disable-pip-version-check wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

changelog: $(TOOLS) ## show what the next release's CHANGELOG.md would say
	$(BIN)/towncrier build --draft

clean: ## remove what the tools wrote
	rm -rf .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build htmlcov *.egg-info
	find . -path ./$(VENV) -prune -o \( -name __pycache__ -o -name dropin.cache \) -print0 | xargs -0 -r rm -rf

distclean: clean ## and the environment, certificates and state
	rm -rf $(VENV) $(PJSUA2) $(BENCH_PEERS) state deploy/state
	git clean -q -d -x -f certs
