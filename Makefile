# Two verbs for a fresh machine: `make up` runs the node, `make test` passes the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORES := $(shell getconf _NPROCESSORS_ONLN)
WORKERS ?= $(shell echo $$(($(CORES) * 2)))  # more than can work at once, for many wait
# Where this is set, every process of the tests compiles everything anew: it doubles their time.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq --no-input

.PHONY: up setup setup-dev writer test check fix bench browser slow docs faults lock help pebble pebble-check pebble-setup clean

up: setup  ## Run the node on 127.0.0.1:8080 with the model that ships; ARGS="--port 8081" and the like.
	@$(BIN)/intermodel up $(ARGS)

setup: $(VENV)/.node  ## Make .venv and install what a node runs on.
setup-dev: $(VENV)/.dev  ## The same, and what tests and checks need.

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Intermodel needs Python 3.11 or later; $(PYTHON) is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "Could not make a virtual environment. On Debian: apt-get install python3-venv"; rm -rf $(VENV); exit 1; }

# hatchling builds the editable package; taking it from the lock keeps the build isolated from unpinned code.
$(VENV)/.node: pyproject.toml requirements/node.lock | $(VENV)/bin/python
	@echo "Installing the node into $(VENV) (about a minute) ..."
	@$(PIP) install --require-hashes -r requirements/node.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.node requirements/dev.lock
	@echo "Installing what the tests need ..."
	@$(PIP) install --require-hashes -r requirements/dev.lock
	@touch $@

writer: setup $(VENV)/.writer  ## Add what `intermodel write` and the page Writer need.

$(VENV)/.writer: requirements/writer.lock
	@echo "Installing what the writer needs ..."
	@$(PIP) install --require-hashes -r requirements/writer.lock
	@touch $@

test: setup-dev  ## The everyday suite, three and a half minutes on two cores.
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile -p no:schemathesis --ignore tests/browser -m "not slow and not browser"

slow: setup-dev  ## The suite's slow tests: faults, soaks, rebuilds; and every property with all of its examples.
	@$(BIN)/pytest -n $(CORES) --dist loadfile -m "(slow or hypothesis) and not browser" --hypothesis-profile full

browser: setup-dev  ## The pages in a real Chromium.
	@$(BIN)/pytest -m "browser"

check: setup-dev  ## Style, types and the floors of the house.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m scripts.reference --check

fix: setup-dev  ## Mend what ruff can mend.
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

faults: setup-dev  ## Write docs/faults.md from what the faults of an upstream come to now.
	@$(BIN)/python -m tests.faults.table

docs: setup-dev  ## Write docs/settings.md and docs/cli.md from the code.
	@$(BIN)/python -m scripts.reference

bench: setup-dev  ## Figures for docs/benchmarks.md: calls, engines, ledger, catalogue (half an hour or more).
	@$(BIN)/python -m bench

lock:  ## Rewrite the lock files from pyproject.toml (needs uv).
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra postgres --group build pyproject.toml -o requirements/node.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra postgres --extra writer --group build pyproject.toml -o requirements/writer.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra postgres --extra writer --group dev pyproject.toml -o requirements/dev.lock

pebble: pebble-setup  ## Rebuild the model that ships (about 65 minutes on one core).
	@.venv-train/bin/python -m recipes.pebble build --run build/pebble

pebble-check: pebble-setup  ## Re-run one segment of its training and compare every step (about a minute).
	@.venv-train/bin/python -m recipes.pebble check --run build/pebble

pebble-setup: .venv-train/.done
# torch stays out of the hashed lock: its builds differ between machines. The recipe checks the version it gets.
.venv-train/.done: recipes/pebble/requirements.txt requirements/node.lock
	@echo "Installing the node and torch into .venv-train (some minutes) ..."
	@$(PYTHON) -m venv .venv-train
	@.venv-train/bin/python -m pip --disable-pip-version-check -qq install --require-hashes -r requirements/node.lock
	@.venv-train/bin/python -m pip --disable-pip-version-check -qq install --no-deps --no-build-isolation --editable .
	@.venv-train/bin/python -m pip --disable-pip-version-check -qq install -r recipes/pebble/requirements.txt
	@touch $@

help:  ## List these verbs.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

clean:
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
