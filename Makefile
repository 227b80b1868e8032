# Two commands do everything on a fresh clone: `make quickstart` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help quickstart test wheel hydra-next check bench base soak requirements clean
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

# pip compiles what it copies, but no editable install; where Python may write no bytecode, each start would cost twice.
$(VENV)/.installed: requirements/run.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("ftspec needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Give another one: make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -m compileall -q ftspec
	@touch $@

$(VENV)/.developed: $(VENV)/.installed requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

quickstart: $(VENV)/.installed ## install, train six small models, show what they scored
	$(BIN)/ftspec run quickstart

test: $(VENV)/.developed ## everything CI runs: lint, types, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

wheel: $(VENV)/.developed ## build the wheel, install it in a clean environment elsewhere, start a project with it
	requirements/try-wheel $(BIN)/python

hydra-next: $(VENV)/.developed ## the composing tests on the newest pre-release of Hydra
	requirements/try-hydra-next $(BIN)/python

check: $(VENV)/.developed ## format, lint, types and the fast tests
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/mypy
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder -m "not slow"

bench: $(VENV)/.developed ## the figures of docs/figures.md, measured on this machine
	missed=0; for bench in bench/p*.py; do $(BIN)/python $$bench || missed=1; done; exit $$missed

base: $(VENV)/.installed ## rebuild the pretrained base and compare it with the shipped one (20 CPU-minutes)
	$(BIN)/python -m ftspec.engine.pretrain --out build/base --check ftspec/engine/bases/ftspec-tiny-1

soak: $(VENV)/.developed ## 10,000 generated specs, YAML and data files: a coded error with a place, or a valid plan
	$(BIN)/python -m pytest tests/soak --soak 10000 -q -s

requirements: $(VENV)/.developed ## write the pinned, hashed requirements anew from pyproject.toml
	requirements/compile

clean: ## remove what make made; runs/ stays
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
