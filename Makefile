# Everything a checkout can do. Each target does its own set-up: git, make, Python ≥ 3.11 and the
# public package registries are enough.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

export PATH := $(CURDIR)/.venv/bin:$(PATH)

VENV := .venv/.ready
BROWSER := .venv/.browser
BINARIES := .venv/.binaries
CACHE_DIR := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/landbridge

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(VENV) ## Make .venv from requirements.lock (done by itself where needed)

$(VENV): requirements.lock scripts/setup
	@scripts/setup
	@touch $@

$(BROWSER): $(VENV) scripts/setup-browser
	@scripts/setup-browser
	@touch $@

$(BINARIES): $(VENV)
	@echo "setup: Postgres 10 to 18, about 200 MB the first time"
	@.venv/bin/python -m localcloud fetch 10 11 12 13 14 15 16 18
	@touch $@

.venv/.go: $(VENV)
	@command -v go >/dev/null || scripts/setup go
	@touch $@

.PHONY: clusters
clusters: $(VENV) .venv/.go ## Build Kubernetes for the local clouds, once; it takes a while
	@.venv/bin/python -m localcloud build kubernetes

.PHONY: demo
demo: $(VENV) ## Move six databases between two local clouds; MODE=live: nobody waits; ROLLBACK=1: and back
	@MODE=$(MODE) ROLLBACK=$(ROLLBACK) scripts/demo

.PHONY: test
test: $(VENV) $(BINARIES) $(BROWSER) .venv/.go ## Run every check and test below
	@.venv/bin/python scripts/tests.py all

.PHONY: check
check: $(VENV) ## Linters, types, unit and contract tests: under a minute
	@.venv/bin/python scripts/tests.py check

.PHONY: unit integration molecule fault e2e
unit: $(VENV) ## Pure functions on values; ARGS= goes to pytest here and below
integration: $(VENV) $(BINARIES) $(BROWSER) ## Each module, and the local cloud, on real servers
molecule: $(VENV) ## Each scenario; ARGS='-s NAME' runs one
fault: $(VENV) $(BINARIES) .venv/.go ## Processes killed, links cut, disks full; `test` takes a sample of it
e2e: $(VENV) $(BROWSER) ## The demo and the stages, as a user runs them
unit integration molecule fault e2e:
	@.venv/bin/python scripts/tests.py $@ -- $(if $(filter fault,$@),--all-faults) $(ARGS)

.PHONY: format
format: $(VENV) ## Format the code and fix what linters can
	@ruff format
	@ruff check --fix

.PHONY: docs
docs: $(VENV) ## Write docs/reference from modules, roles and errors
	@.venv/bin/python scripts/docs.py

.PHONY: bench bench-clone bench-crossing
bench: bench-clone bench-crossing ## The two below; SCALE=0.02 tries them out
bench-clone: $(VENV) .venv/.go ## Compare pg_clone with pg_dump and pg_restore
	@.venv/bin/python -m bench.clone --scale $(or $(SCALE),1) $(ARGS)
bench-crossing: $(VENV) .venv/.go ## Cross there and back under load: stalls, longest waits, losses
	@.venv/bin/python -m bench.crossing $(if $(SCALE),--crossings 4) $(ARGS)

.PHONY: lock
lock: $(VENV) ## Pin the newest versions that pyproject.toml allows
	@scripts/lock

.PHONY: clean
clean: ## Undo all of the above; CACHE=1 removes the downloaded binaries, too
	@if [ -x .venv/bin/python ] && [ -d .localcloud ]; then \
	  .venv/bin/python -m localcloud down || true; fi
	@rm -rf .venv .localcloud .landbridge .pytest_cache .mypy_cache .ruff_cache .ansible build
	@rm -rf collections/ansible_collections/landbridge/migration/tests/output
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@$(if $(filter 1,$(CACHE)),rm -rf "$(CACHE_DIR)")
