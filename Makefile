# Two targets matter to a newcomer: `make drill` and `make test`. `make help` lists the rest.
# Settings: PYTHON=python3.12 (interpreter for the virtual environment), WORKERS=3 (tests side by side), ARGS="..." (passed on to the tool that a target runs).

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
BIN := $(CURDIR)/$(VENV)/bin
READY = @$(PYTHON) tests/tools/environment.py $(VENV)
RUN = PATH="$(BIN):$$PATH"
# Tests of different files run side by side, the longest files first (tests/tools/side_by_side.py).
WORKERS ?= 3
# Where Python may not keep what it has compiled, each of thousands of runs of ansible-playbook compiles Ansible anew.
unexport PYTHONDONTWRITEBYTECODE
PYTEST = $(RUN) $(BIN)/python -m pytest -v --durations=15 --numprocesses=$(WORKERS) --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup drill test lint unit integration contract molecule sanity benchmark docs schema build clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: ## virtual environment for drills, in .venv
	$(READY) drill

drill: ## back up, damage and restore a real database on an embedded stack (no root, no containers)
	$(READY) drill
	@trap : INT TERM; \
	$(RUN) ansible-playbook playbooks/drill.yml $(ARGS) && exit 0; status=$$?; \
	echo "The drill failed (exit status $$status): taking the embedded stack down."; \
	$(RUN) ansible-playbook playbooks/local_stack_down.yml $(ARGS); exit $$status

test: ## every test there is, in one run
	$(READY) drill test
	@$(PYTEST) $(ARGS)

lint: ## linters only
	$(READY) drill test
	@$(PYTEST) tests/quality/test_linters.py $(ARGS)

contract: ## do catalogue, documentation, defaults and code agree?
	$(READY) drill test
	@$(PYTEST) tests/contract $(ARGS)

unit: ## tests of the library
	$(READY) drill test
	@$(PYTEST) tests/unit $(ARGS)

integration: ## playbooks and modules against the embedded stack
	$(READY) drill test
	@$(PYTEST) tests/integration $(ARGS)

molecule: ## scenarios in containers; starts a Docker Engine where none runs
	$(READY) drill test
	@$(PYTEST) tests/molecule $(ARGS)

sanity: ## ansible-test sanity, on the oldest and the newest ansible-core
	$(READY) drill test
	@$(PYTEST) tests/quality/test_sanity.py $(ARGS)

benchmark: ## speed against the plain pipelines that the runbooks started from
	$(READY) drill test
	@set -e; for file in tests/benchmarks/benchmark_*.py; do \
	    echo "== $$file"; PYTHONPATH=collections:src:tests $(RUN) $(BIN)/python $$file $(ARGS); \
	done

docs: ## check the documentation of modules and roles
	$(READY) drill test
	@$(PYTEST) tests/quality/test_collection.py tests/contract/test_module_documentation.py $(ARGS)

schema: ## meta/profile.schema.json, made anew from roles, checks and shapes
	$(READY) drill
	@PYTHONPATH=collections:src:tests $(RUN) $(BIN)/python -m tools.profile_schema

build: ## the collection as a tarball, in build/
	$(READY) drill
	@$(RUN) ansible-galaxy collection build --force --output-path build .

clean: ## remove everything that the other targets made, except a running stack's data
	rm -rf $(VENV) .cache .ansible .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist tests/output
