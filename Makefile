# `make` alone lists what can be done here. Every target that needs the environment in .venv
# builds it first, and only when it is missing or pyproject.toml or constraints.txt changed.

PYTHON ?= python3
JOBS   ?= auto
ARGS   ?=

VENV  := .venv
PY    := $(VENV)/bin/python
READY := $(VENV)/.ready

MAKEFLAGS += --no-print-directory --no-builtin-rules
.SUFFIXES:
.DEFAULT_GOAL := help
.PHONY: help setup run test test-exhaustive bench check format experiments experiments-quick clean

help: ## show this list
	@echo 'make TARGET [ARGS="..."] [PYTHON=python3.12]    PYTHON is what a new .venv is made with'
	@echo
	@awk -F ':.*## ' 'BEGIN { n = 0 } /^[a-z-]+:.*## / { name[n] = $$1; text[n++] = $$2; \
	    if (length($$1) > width) width = length($$1) } \
	    END { for (i = 0; i < n; i++) printf "  %-*s  %s\n", width, name[i], text[i] }' Makefile
	@echo
	@echo 'Examples:'
	@echo '  make run                                        networks, data and rule as they come'
	@echo '  make run ARGS="rule=z+ seed=3"                  the same with two choices of your own'
	@echo "  make run ARGS=\"-m rule=z+,w2 'seed=range(0,3)'\"  a sweep; quote what the shell would read"
	@echo '  make test ARGS="-k name"                        only the tests with this in their name'

setup: $(READY) ## build or renew the environment in .venv (the others do it by themselves)

run: $(READY) ## run dtd-run with the options in ARGS; results go below outputs/
	@$(VENV)/bin/dtd-run $(ARGS)

# One process for each core (JOBS), so one thread in each process. worksteal keeps the tests of a
# file together as long as there is enough to do. glibc is told to keep the memory of large arrays,
# which takes time to be asked for anew.
PYTEST := OMP_NUM_THREADS=1 MALLOC_MMAP_THRESHOLD_=33554432 MALLOC_TRIM_THRESHOLD_=4294967296 \
    $(PY) -m pytest -n $(JOBS) --maxprocesses 8 --dist worksteal

test: $(READY) ## run the tests on all cores; ARGS goes to pytest
	@$(PYTEST) $(ARGS)

test-exhaustive: $(READY) ## run the long scans that make test leaves out
	@$(PYTEST) -m exhaustive $(ARGS)

bench: $(READY) ## measure speed and memory beside other tools, for docs/speed.md
	@$(PY) -m pytest -o addopts='' -o python_files='bench_*.py' -q --benchmark-columns=median benchmarks $(ARGS)

check: $(READY) ## ruff's rules, its format, and types; changes nothing
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

format: $(READY) ## rewrite the code in ruff's format, and fix what it can
	@$(PY) -m ruff check --fix-only .
	@$(PY) -m ruff format .

experiments: $(READY) ## rerun all experiments and rewrite the tables of experiments/README.md
	@$(PY) experiments/rerun.py $(ARGS)

experiments-quick: $(READY) ## the same at small size, without touching that file
	@$(PY) experiments/rerun.py --quick $(ARGS)

clean: ## remove .venv, caches and builds; results in outputs/ stay
	@rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo 'Removed the environment, caches and builds.'

# $(READY) is written last and removed first: without it an environment is not whole, and is
# built anew from nothing.
$(READY): pyproject.toml constraints.txt
	@found=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || echo missing); \
	case "$$found" in 3.11 | 3.12 | 3.13) ;; *) \
	    echo "dtd-run needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is $$found;" \
	        "name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; \
	    exit 1 ;; \
	esac
	@install="$(PY) -m pip install --disable-pip-version-check -c constraints.txt -e .[dev]"; \
	if [ -e $@ ]; then \
	    echo 'Bringing $(VENV) up to date'; rm $@; $$install -qq; \
	else \
	    echo 'Setting up $(VENV): PyTorch and more, a minute or several, only this once'; \
	    $(PYTHON) -m venv --clear $(VENV) && $$install; \
	fi
	@touch $@
