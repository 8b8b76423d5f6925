# Verbs are the same by hand and in CI. Each sets up what it needs; running one twice is harmless.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
LIGHT := .venv-light
GRID ?= recipes/grids/published.yaml
ABLATION ?= recipes/ablation/demo.yaml

.PHONY: help install demo reproduce test bench bench-full bench-recipe lint types light check clean

help:  ## say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## / - /'

install: $(VENV)/.installed  ## virtual environment with the pinned packages

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Lookbook needs Python 3.11 or newer; name one: make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train,gpu,measures,evaluate,track,dev]'
	touch $@

demo: install  ## the whole path on the built-in catalogue: train, caption, score, report
	$(BIN)/python -m finetune run recipes/demo.yaml

reproduce: install  ## all published runs, what is finished skipped, and the published figures beside ours; GRID=...
	$(BIN)/python -m finetune reproduce $(GRID)

test: install  ## all tests, a file on each of up to four cores
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

bench: install  ## time, memory and values beside those of the official scorers, 10,000 captions
	$(BIN)/python -m metrics bench --stanza finetune/assets/demo-stanza

bench-full: install  ## the same on 101,225 captions, a whole catalogue
	$(BIN)/python -m metrics bench --stanza finetune/assets/demo-stanza --full

bench-recipe: install  ## the published recipe against ours, each correction by itself; ABLATION=...
	$(BIN)/python -m finetune bench-recipe $(ABLATION)

lint: install  ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install  ## mypy, strict
	$(BIN)/mypy

light:  ## the base install alone: scoring works without torch
	test -x $(LIGHT)/bin/python || $(PYTHON) -m venv $(LIGHT)
	rm -rf build
	$(LIGHT)/bin/python -m pip install --quiet --constraint constraints.txt . pytest hypothesis selenium
	$(LIGHT)/bin/python -c 'import importlib.util as u; assert not u.find_spec("torch"), "torch is installed"'
	cd tests && ../$(LIGHT)/bin/python -m pytest metrics light_install.py

check: export LOOKBOOK_KILLS = 10
check: lint types light test demo  ## everything

clean:  ## remove what make made, but not runs/
	rm -rf $(VENV) $(LIGHT) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
