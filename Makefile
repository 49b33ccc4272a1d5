# `make help` lists what there is. Everything runs in .venv, which is set up on first use from requirements.txt; with another
# interpreter (`make test PYTHON=python3.13`) in an environment of its own beside it.

PYTHON ?= python3
VENV := .venv$(if $(filter-out python3,$(PYTHON)),-$(lastword $(subst /, ,$(PYTHON))))
BIN := $(abspath $(VENV))/bin
# As an absolute path, and never the environment's own, which may be activated: that one is made anew.
BASE_PYTHON := $(or $(shell PATH='$(subst $(BIN):,,$(PATH))' tools/interpreter.sh $(PYTHON)),$(PYTHON))
STAMP := $(VENV)/.ready
TESTS ?= tests
# What shows in a minute that the platform needs no family; `make platform` runs all of it.
PLATFORM := tests/platform tests/base tests/contract $(addprefix tests/,service/test_enqueue.py service/test_jobs.py engine/test_life_cycle.py workers/test_outcomes.py)

export PATH := $(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
export PIP_NO_INPUT := 1

.DEFAULT_GOAL := help
.PHONY: help demo up board test golden check platform test-system bench scale soak soak-short chaos chaos-short gen setup absent

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(STAMP) ## Run sample jobs on a stack of their own, show what came out, and end.
	@exec qjobs demo

up: $(STAMP) ## Run the whole stack here until Ctrl-C.
	@exec qjobs up --end-with-parent

board: $(STAMP) ## Build the board's pages, where they have changed; `make up` does it too.
	@exec qjobs board

test: $(STAMP) ## Run the tests.
	@pytest -q -n auto --dist loadfile -m "not chaos and not system" $(TESTS)

golden: $(STAMP) ## Write the golden files of all calls anew (tests/golden); look at the difference before you commit it.
	@GOLDEN=write pytest -q -n 0 tests/golden

check: $(STAMP) ## Check style, types, layers, contract, generated code, Envoy's configuration, and that the platform needs no family.
	@ruff check .
	@ruff format --check .
	@python tools/generate.py --check
	@python tools/board_types.py --check
	@buf lint
	@buf format --diff --exit-code proto
	@buf format --diff --exit-code tests/plugin/proto
	@tools/breaking.sh
	@lint-imports --no-cache
	@mypy
	@JWT_SECRET=for-this-check-alone qjobs envoy --validate
	@tools/platform_alone.sh $(PLATFORM)

platform: $(STAMP) ## Run all of the platform's tests in a copy without families.
	@tools/platform_alone.sh

test-system: $(STAMP) ## Run the tests that need Debian packages, installing what they need.
	@BASE_PYTHON="$(BASE_PYTHON)" tools/test-system.sh

soak: $(STAMP) ## Load a stack with everything for 20 minutes, and fail if anything is left of it (SOAK="--help").
	@PYTHONPATH=tests/plugin python -m tests.soak $(SOAK)

soak-short: $(STAMP) ## The same for a minute.
	@PYTHONPATH=tests/plugin python -m tests.soak --minutes 0.7 --warm-up 0.5

chaos: $(STAMP) ## Break processes, connections and the store for ten minutes, and judge what was promised (CHAOS="--help").
	@PYTHONPATH=tests/plugin python -m tests.chaos $(CHAOS)

chaos-short: $(STAMP) ## The same for a minute.
	@pytest -q -n 0 -m chaos tests/chaos

bench: $(STAMP) ## Measure, beside Bull and BullMQ where Node is present.
	@PYTHONPATH=tests/plugin python -m bench

scale: $(STAMP) ## Measure whether cost stays bounded as queues and jobs grow (minutes, 7 GB of memory); fails where it does not.
	@PYTHONPATH=tests/plugin python -m bench.scale

gen: $(STAMP) ## Generate the code for the contract, the board's types, and the reference of the command line.
	@python tools/generate.py
	@python tools/board_types.py
	@python tools/cli_reference.py

setup: $(STAMP) ## Set up the virtual environment alone.

# The stamp comes last, so that an interrupted set-up is done again; without an interpreter the environment is of no use.
$(STAMP): requirements.txt pyproject.toml $(if $(wildcard $(BIN)/python),,absent)
	@$(BASE_PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, and $(PYTHON) is " + sys.version.split()[0] + ". Name another one: make PYTHON=python3.12")'
	@echo "Setting up $(VENV) (once; about half a minute)"
	@rm -rf $(VENV)
	@$(BASE_PYTHON) -m venv --without-pip $(VENV)
	@$(BASE_PYTHON) -m pip --python $(BIN)/python install -qq --no-compile -r requirements.txt
	@$(BASE_PYTHON) -m pip --python $(BIN)/python install -qq --no-deps --no-build-isolation --editable .
	@touch $@
