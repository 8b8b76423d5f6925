# Verbs are the same by hand and in CI. Each sets up what it needs; running one twice is harmless.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
LIGHT := .venv-light
COMPAT := .venv-compat
# Tests often wait for servers, Java and locks: one process more than there are cores.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(4, 1 + os.cpu_count()))')
GRID ?= recipes/grids/published.yaml
ABLATION ?= recipes/ablation/demo.yaml
# What a change is checked with while it is written; `make test` runs everything.
QUICK := not java and not browser and not processes and not real_data and not slow

.PHONY: help install spice demo demo-recommend notebooks reproduce test quick fuzz compat bench bench-full bench-recipe bench-recommend lint format types light check clean

help:  ## list the verbs
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## / - /'

install: $(VENV)/.installed  ## virtual environment with the pinned packages

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Lookbook needs Python 3.11 or newer; name one: make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train,gpu,measures,evaluate,view,recommend,umap,track,dev]'
	touch $@

spice: install  ## the jars of SPICE (387 MB); without network the demo continues without them
	@$(BIN)/lookbook install-spice || echo "SPICE is not installed: the reports leave it out and name the reason. Try again: make spice"

demo: spice  ## the whole path on the built-in catalogue: train, caption, score, report
	$(BIN)/lookbook run recipes/demo.yaml

demo-recommend: install  ## features of the built-in catalogue, recommenders and a ranker on its purchases, composed retrieval, on one page
	$(BIN)/lookbook report-features recipes/demo.yaml --resolution 128
	$(BIN)/lookbook purchases data/demo-catalogue --items runs/demo/items.parquet --out runs/demo/purchases
	$(BIN)/lookbook recommend recipes/recommend/demo.yaml
	$(BIN)/lookbook similar runs/demo/features/photo --all --k 5 --out runs/demo/neighbours.parquet
	$(BIN)/lookbook rank recipes/recommend/rank-demo.yaml
	$(BIN)/lookbook compose-train recipes/composed/demo.yaml 'dataset.categories=[dress]' output=runs/demo-composed
	$(BIN)/lookbook compose runs/demo-composed --image B000200007 --text "is red and has long sleeves" --html runs/demo-composed/query.html
	$(BIN)/lookbook join-pages runs/demo/features/features.html runs/demo/recommend/recommend.html runs/demo/rank/rank.html \
	  runs/demo-composed/composed-retrieval.html runs/demo-composed/query.html --title "What captions and photos are good for" --out runs/demo-recommend.html

notebooks: install  ## run the notebooks
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -p no:xdist --nbmake --nbmake-timeout=1200 notebooks

reproduce: install  ## all published runs, skipping finished ones, and the published figures next to ours; GRID=...
	$(BIN)/lookbook reproduce $(GRID)

test: install  ## all tests, in up to four processes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

quick: install  ## the tests that take little time
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "$(QUICK)"

fuzz: install  ## every reader of a file on damaged and hostile ones, some ten minutes; the end names what each target found
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --hypothesis-profile fuzz --tb short tests/fuzz

bench: install  ## time, memory and values compared with those of the official scorers, 10,000 captions
	$(BIN)/lookbook bench-scores --stanza finetune/assets/demo-stanza

bench-full: install  ## the same on 101,225 captions, a whole catalogue
	$(BIN)/lookbook bench-scores --stanza finetune/assets/demo-stanza --full

bench-recipe: install  ## the published recipe against ours, and each correction alone; ABLATION=...
	$(BIN)/lookbook bench-recipe $(ABLATION)

bench-recommend: install  ## search among a million items beside the bare products; embed; recommenders on 31.8 million purchases
	$(BIN)/lookbook bench-recommend

lint: install  ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: install  ## ruff, and change what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: install  ## mypy, strict
	$(BIN)/mypy

light:  ## the wheel with the base install alone: scoring works without torch
	test -x $(LIGHT)/bin/python || $(PYTHON) -m venv $(LIGHT)
	rm -rf build $(LIGHT)/wheel
	$(LIGHT)/bin/python -m pip wheel --quiet --no-deps --wheel-dir $(LIGHT)/wheel .
	$(LIGHT)/bin/python -m pip install --quiet --constraint constraints.txt $(LIGHT)/wheel/*.whl pytest pyyaml hypothesis selenium
	$(LIGHT)/bin/python -m pip install --quiet --no-deps --force-reinstall $(LIGHT)/wheel/*.whl
	cd tests && ../$(LIGHT)/bin/python -m pytest metrics light_install.py -m "not torch"

compat: install  ## merged models in transformers 4.57 write the same captions
	test -d $(COMPAT)/transformers || $(BIN)/python -m pip install --quiet --no-deps --target $(COMPAT) \
		transformers==4.57.6 huggingface_hub==0.36.0 tokenizers==0.22.1
	OMP_NUM_THREADS=1 $(BIN)/python tests/compat/compare.py $(COMPAT)

check: export LOOKBOOK_KILLS = 10
check: lint types light test demo demo-recommend notebooks  ## everything

clean:  ## remove what make made, but not runs/
	rm -rf $(VENV) $(LIGHT) $(COMPAT) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
