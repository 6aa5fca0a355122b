# What a person runs is what CI runs. `make help` lists what there is.
.DEFAULT_GOAL := help
.PHONY: help venv demo lint test chaos bench
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
# Most tests wait for a server or a process: six at a time keep two cores busy.
PARALLEL ?= -n 6 --dist loadfile --no-loadscope-reorder
# More options for pytest and the benchmark: make test ARGS="tests/unit -x"
ARGS ?=

help: ## list the targets
	@sed -n 's/^\([a-z]*\):[^#]*## /  make \1 # /p' Makefile | awk -F ' # ' '{ printf "%-14s %s\n", $$1, $$2 }'

venv: .venv/.complete ## make .venv, with jabot and everything that develops it
	@echo "ready: .venv/bin/jabot"

.venv/.complete: pyproject.toml
	@scripts/check-python "$(PYTHON)"
	@echo "making .venv ..."
	@.venv/bin/python -c "" 2>/dev/null || "$(PYTHON)" -m venv --clear .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@.venv/bin/python -m pip install --quiet --editable . --group dev
	@touch $@

demo: .venv/.complete ## see a worker work: server, worker and chat on this machine
	@.venv/bin/python -m jabot demo

lint: .venv/.complete ## check style and types
	@.venv/bin/ruff check --quiet .
	@.venv/bin/ruff format --check --quiet .
	@.venv/bin/python -m mypy --no-error-summary
	@echo "lint: nothing to mend"

# The tests start hundreds of programs: none of them should compile jabot anew.
test: export PYTHONDONTWRITEBYTECODE =
test: lint ## lint, then test, on real servers (installs them when it may)
	@scripts/install-test-servers
	@.venv/bin/python -m pytest $(PARALLEL) $(ARGS)

# What a campaign of faults is like: SEED (by chance when left out), MINUTES, STORE=sqlite|postgres.
SEED ?=
MINUTES ?= 5
STORE ?= sqlite

chaos: .venv/.complete ## kill, freeze, cut off and mislead a queue for MINUTES (as root)
	@scripts/install-test-servers ejabberd postgresql iproute2 faketime
	@PYTHONPATH=tests:tests/faults .venv/bin/python -m campaign $(addprefix --seed=,$(SEED)) \
		--minutes=$(MINUTES) --store=$(STORE) $(ARGS)

bench: .venv/.complete ## measure jabot beside its peers, and write docs/benchmarks.md
	@scripts/install-test-servers ejabberd redis-server postgresql strace
	@.venv/bin/python bench/run.py $(ARGS)
