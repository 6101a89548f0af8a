# `make demo` and `make test` do all set-up by themselves on Debian 12+ or Ubuntu with Python 3.11+.
# PYTHON=… chooses the interpreter; ARGS=… is handed to the tool behind a target.

SHELL := bash
export PYTHON
unexport PYTHONPATH PYTHONHOME
BIN := .venv/bin
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo test check testbed testbed-all testbed-image fuzz api-fuzz bench crash-test replica-test fleet-test
.PHONY: packages docs lock

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /make \1	/' | expand -t 18

setup: ## Make .venv with the locked packages and Bartizan
	@scripts/apt-packages test
	@scripts/venv

demo: ## The main job, live, on emulated TPMs; no network
	@scripts/apt-packages demo
	@scripts/venv
	@$(BIN)/bartizan demo $(ARGS)

testbed-image: setup
	@$(BIN)/python -m testbed.image

testbed: ## Real measured boots, attacked (QEMU, OVMF, swtpm): the short set that CI plays; ARGS="--out DIR NAME…"
	@scripts/apt-packages testbed
	@scripts/venv
	$(BIN)/python -m testbed.run --short $(ARGS)

testbed-all: ## Every scenario of the testbed; ARGS=--record keeps the run for the documentation
	@scripts/apt-packages testbed
	@scripts/venv
	$(BIN)/python -m testbed.run $(ARGS)

test: setup testbed-image ## All tests
	$(BIN)/pytest -n $(WORKERS) $(ARGS)

check: setup testbed-image ## What a change must pass: format, lint, types, layers, docs, tests with branch coverage
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python scripts/generate_docs.py --check
	$(BIN)/pytest -n $(WORKERS) --cov --cov-report=json:.coverage.json --cov-report= $(ARGS)
	$(BIN)/python scripts/check_coverage.py .coverage.json

fuzz: ## Fuzz each decoder: SECONDS=60 each, TARGET=name for one
	@scripts/apt-packages fuzz
	@scripts/venv requirements/fuzz.txt
	$(BIN)/python -m fuzz.run --seconds $(or $(SECONDS),60) $(TARGET) $(ARGS)

api-fuzz: setup ## 10,000 requests made from the API's OpenAPI document: REQUESTS=n
	BARTIZAN_API_REQUESTS=$(or $(REQUESTS),10000) $(BIN)/pytest -q -s tests/integration/test_api_generated.py $(ARGS)

bench: ## CPU time against a C floor (and Keylime, when BARTIZAN_KEYLIME_PYTHON names a Python that has it)
	@scripts/apt-packages bench
	@scripts/venv
	$(BIN)/python -m bench.run $(ARGS)
	$(BIN)/python -m bench.service
	$(BIN)/python -m bench.keylime_verifier
	$(BIN)/python -m bench.reappraise

crash-test: setup ## Kill the service 50 times under 200 nodes with emulated TPMs (ARGS="--nodes 20 --kills 5")
	$(BIN)/python -m bench.crash $(ARGS)

replica-test: setup ## Break three Verifiers on one PostgreSQL under load, nine ways (ARGS="--nodes 50 --json")
	$(BIN)/python -m bench.chaos $(ARGS)

fleet-test: setup ## A fleet of software attesters on one service (ARGS="--nodes 100000 --seconds 600 steady storm")
	$(BIN)/python -m bench.fleet $(ARGS)

packages: setup ## Into dist/: the wheel, the agent as one file, the agent as a Debian package
	$(BIN)/python scripts/build-packages $(ARGS)

docs: setup ## Write the generated pages of docs/reference anew
	$(BIN)/python scripts/generate_docs.py

lock: ## Compile requirements/*.txt from pyproject.toml
	@scripts/lock
