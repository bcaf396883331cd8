# Dealtrail: one command each. `make run` and `make test` need nothing but Python 3.11+ and make.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
TOOL := .tool
PYTHON ?= python3
DATA ?= ../shared/data
UV := $(shell command -v uv 2>/dev/null || echo $(TOOL)/bin/uv)
export UV_PYTHON_DOWNLOADS = never
# A machine's own certificates count too, as behind a company's proxy; uv named this differently before 0.10.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt),)
export UV_SYSTEM_CERTS = 1
export UV_NATIVE_TLS = 1
endif
export PYTHONUNBUFFERED = 1

.DEFAULT_GOAL := help
.PHONY: help setup run demo test browser check fix eval bench docs clean

help: ## list what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.ready ## the virtual environment with everything in it (fetches uv itself when it is missing)

$(VENV)/.ready: pyproject.toml uv.lock | $(UV)
	@echo "setting up (once) ..."
	@$(UV) sync --frozen --quiet --compile-bytecode --python $(PYTHON)
	@touch $@

$(TOOL)/bin/uv:
	@$(PYTHON) -m venv $(TOOL)
	@$(TOOL)/bin/pip install --quiet --disable-pip-version-check "uv>=0.5"

run: demo ## the main job on real input: sandbox mailboxes, sync, timeline, suggestions, one terminal

demo: setup ## the same
	@$(BIN)/dealtrail demo $(ARGS)

test: setup ## all tests but the browser's, on SQLite and on real Postgres and Redis
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not browser" $(ARGS)

browser: setup ## the tests that drive a real headless Chromium
	@$(BIN)/python -m pytest -m browser $(ARGS)

check: setup ## style, types, arrows
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

fix: setup ## let the formatter and the linter mend what they can
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

eval: setup ## figures on real mail: make eval DATA=folder PARTS="enron parsing" (skips what is absent)
	@$(BIN)/python -m bench.evaluate "$(DATA)" $(PARTS)

bench: setup ## performance as ratios and counts: make bench ARGS="cpu memory=200000"
	@$(BIN)/python -m bench $(ARGS)

docs: setup ## write docs/settings.md anew from settings.py
	@$(BIN)/python -m docs.settings_page

clean: ## take the virtual environment and what was generated away
	@rm -rf $(VENV) $(TOOL) out .ruff_cache .hypothesis .import_linter_cache
