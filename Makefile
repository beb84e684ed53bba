# medpost: `make help` prints what stands behind the double hashes.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
BIN := .venv/bin
JOBS ?= 3
export MEDPOST_HOME ?= $(CURDIR)/.medpost
CODE := producers streams sinks schemas infra console tests

.DEFAULT_GOAL := help
.PHONY: help run up down test check unit integration bench ledger ledger-short format clean

help: ## print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

run: .venv/run.stamp ## install all, start everything, send a sample hospital's day, show what the phones received
	@$(BIN)/medpost sample

up: .venv/run.stamp ## start the servers and one process of each role, and leave them running
	@$(BIN)/medpost up

down: .venv/run.stamp ## stop what `make up` started; nothing is lost
	@$(BIN)/medpost down

test: .venv/dev.stamp ## unit and integration tests, then the short ledger (kills things and counts)
	$(BIN)/pytest -n $(JOBS) --dist loadfile tests/unit tests/integration
	$(BIN)/pytest tests/ledger

check: .venv/dev.stamp ## format, lint, types, import law, unit tests
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/unit

unit: .venv/dev.stamp ## unit tests alone
	$(BIN)/pytest -q tests/unit

integration: .venv/dev.stamp ## tests against the real broker and store
	$(BIN)/pytest -n $(JOBS) --dist loadfile tests/integration

ledger-short: .venv/dev.stamp ## 20,000 messages while every process and the broker are killed
	$(BIN)/pytest -s tests/ledger

ledger: .venv/dev.stamp ## 100,000 messages while everything is killed, frozen, refused or taken away; SEED=1
	$(BIN)/python -m tests.ledger --long --seed $(or $(SEED),1)

bench: .venv/dev.stamp ## measure; all cases, or CASES="step.medpost intake"
	$(BIN)/python -m tests.bench.bench $(CASES)

format: .venv/dev.stamp ## format and mend what the linter can mend
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

clean: ## stop everything and remove what was built or stored here (asks nothing)
	@if [ -x $(BIN)/medpost ]; then $(BIN)/medpost down || true; fi
	rm -rf .venv .medpost .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache tests/bench/peers/*/.venv

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "medpost needs Python 3.11 or newer; PYTHON=/path/to/python3.11 make ..."; exit 3; }
	$(PYTHON) -m venv .venv

.venv/run.stamp: requirements/run.txt pyproject.toml | .venv/bin/python
	@echo "installing what medpost runs on (pinned, with hashes) ..."
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev.stamp: requirements/dev.txt .venv/run.stamp
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@
