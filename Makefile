# `make` alone lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOAD_SECONDS ?= 30

.DEFAULT_GOAL := help
.PHONY: help serve test test-fast test-all test-thorough bucket-test cluster cluster-test check format loadtest bench screenshots lock image-test clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

PIP = $(BIN)/pip install --quiet --disable-pip-version-check

$(VENV)/runtime: requirements.txt requirements-fast.txt | $(BIN)/python
	$(PIP) -r requirements.txt
	$(FAST)
	touch $@

# gunicorn's parser in C comes as source; where it cannot be compiled, the one in Python does.
FAST = @$(PIP) -r requirements-fast.txt 2>/dev/null \
	|| echo "No C compiler: gunicorn parses requests in Python, a little slower."

$(VENV)/dev: requirements.txt requirements-dev.txt | $(BIN)/python
	$(PIP) -r requirements.txt -r requirements-dev.txt
	$(FAST)
	touch $@ $(VENV)/runtime

serve: $(VENV)/runtime ## run the service on http://127.0.0.1:8000, with ./data as its store
	$(BIN)/gunicorn

# Most tests wait rather than compute, so there are more processes than processors.
TEST_PROCESSES ?= 4
PYTEST = $(BIN)/pytest --numprocesses=$(TEST_PROCESSES) --durations=10
FAST_TESTS = tests/test_names.py tests/protocols tests/upload tests/storage/local tests/web

test: $(VENV)/dev ## run at least one test of every behaviour, in less than 4 minutes
	$(PYTEST) -m "not thorough"

test-fast: $(VENV)/dev ## run the tests that need no server, in less than 20 seconds
	$(BIN)/pytest --numprocesses=2 -m "not thorough" $(FAST_TESTS)

test-thorough: $(VENV)/dev ## run the tests that `make test` leaves out
	$(PYTEST) -m thorough

test-all: $(VENV)/dev ## run all tests
	$(PYTEST)

bucket-test: $(VENV)/dev ## run the tests over HTTP against a bucket (SeaweedFS) instead of a directory
	$(PYTEST) tests/http --store s3

cluster: $(VENV)/dev ## run three replicas over SeaweedFS behind nginx, as processes here
	$(BIN)/python cluster/run.py

cluster-test: $(VENV)/dev ## kill replicas in mid-upload and mid-download, race for names
	$(BIN)/pytest tests/cluster

check: $(VENV)/dev ## lint, types and layering
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/dev ## put the code into its form
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

loadtest: $(VENV)/dev ## run locust for 30 s (LOAD_SECONDS) against a server it starts and stops
	$(BIN)/python loadtest/run.py --seconds $(LOAD_SECONDS)

bench: $(VENV)/dev ## measure against nginx and others, in short form (loadtest/peers.py --help)
	$(PIP) copyparty uploadserver
	-npm install --silent --no-audit --no-fund --prefix $(VENV)/node @tus/server @tus/file-store
	$(BIN)/python loadtest/peers.py --short

screenshots: $(VENV)/dev ## take the pictures of the page in docs/screenshots anew (needs Chromium)
	$(BIN)/python tests/browser/screenshots.py

# pip-compile would write the addresses it is configured with into the lock.
LOCK = $(BIN)/pip-compile --quiet --strip-extras --no-emit-index-url --no-emit-trusted-host \
	--no-emit-find-links --no-header --allow-unsafe --upgrade

lock: $(VENV)/dev ## make requirements*.txt anew from pyproject.toml
	$(LOCK) --output-file requirements.txt pyproject.toml
	$(LOCK) --extra fast --constraint requirements.txt --output-file requirements-fast.txt pyproject.toml
	$(LOCK) --extra dev --constraint requirements.txt --output-file requirements-dev.txt pyproject.toml

image-test: ## build the image and prove, with a real Docker, that an upload outlives its container
	tests/image/run

clean: ## remove what the targets made, but never ./data
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
