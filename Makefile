# What a person runs is what CI runs.
.PHONY: venv demo test lint

PYTHON ?= python3

venv: .venv/.complete

.venv/.complete: pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv/bin/python -m pip install --quiet --editable . --group dev
	touch $@

demo: venv
	.venv/bin/jabot demo

lint: venv
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

test: lint
	.venv/bin/python -m pytest
