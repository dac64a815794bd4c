# make demo   the whole way on a film that is drawn here: film → dataset → trained model → gallery
# make test   lint, types and every test
# make soak   what is too long for every test run: hours of film, thousands of steps, fifty people at once
# make bench  what it costs beside other ways, into docs/results/benchmarks.md; nothing else should run then
# FILMS="a.mkv b.mkv" make demo   the same on your own films, into demo-own-films/

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# The pinned torch comes as a CPU build where one is at hand; unpinned it may bring gigabytes of CUDA.
INSTALL := $(PIP) install --quiet --constraint constraints.txt

.PHONY: demo test soak lint bench docs clean

demo: $(VENV)/.demo
	$(BIN)/cartoon-pipeline run demo $${FILMS:+--films "$$FILMS" --set out=demo-own-films}

test: lint
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

soak: $(VENV)/.dev
	$(BIN)/python -m pytest tests/soak -m soak -rP

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.dev
	$(BIN)/python -m tests.benchmarks.page

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

$(VENV)/.demo $(VENV)/.dev $(VENV)/.docs: $(VENV)/.%: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing into $(VENV) (some minutes the first time)"
	$(INSTALL) torch
	$(INSTALL) --editable ".[$*]"
	@touch $@

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "framekit needs Python 3.11 or later; set PYTHON=…")'
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) demo build dist *.egg-info site
	find . -name __pycache__ -prune -exec rm -rf {} +
