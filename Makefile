# On a fresh machine with Python 3.11+, git and make. Each target sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-slow lint install docs notebook dist clean

demo: $(VENV)/.installed   ## drawn faces -> dataset -> trained model -> per-sex table
	$(BIN)/hf-cushing demo

test: $(VENV)/.installed   ## the whole test suite
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile

test-slow: $(VENV)/.installed   ## the checks that take minutes each, and a thousand tables for each formula
	HYPOTHESIS_PROFILE=thousand $(BIN)/python -m pytest -m "slow or hypothesis"

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

install: $(VENV)/.installed

docs: $(VENV)/.docs   ## the pages of docs/ with the API reference, into site/; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

notebook: $(VENV)/.installed   ## examples/first_hour.ipynb from its script, with its outputs
	$(BIN)/python -m jupytext --to ipynb --set-kernel python3 --execute examples/first_hour.py

dist: $(VENV)/.installed   ## wheel and source archive into dist/, checked, and the wheel tried in a new environment
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/python -m twine check --strict dist/*
	WHEEL=$$(ls dist/*.whl) FROM_INDEX=1 $(BIN)/python -m pytest -m slow tests/test_dist.py

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hf-cushing needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	@echo "Downloading and installing 6 to 7 GB into $(VENV), silently: 5 minutes or more"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

$(VENV)/.docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) dist site data/demo runs/demo
