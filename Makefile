# On a fresh machine with Python 3.11+, git and make. Each target sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-slow lint install clean

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

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hf-cushing needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

clean:
	rm -rf $(VENV) dist data/demo runs/demo
