# make quickstart  trains, distills, evaluates, reports and exports on digits
# make test        runs the tests, except the few that are long by nature
# make test-all    runs all tests; the long ones are on several processes, kills,
#                  the networks of Keras, the tour, TPU programs, benchmarks
# make lint        checks the format and style of the code (ruff) and its types
#                  (basedpyright)
# make format      formats the code and fixes its style where ruff can
# make benchmark   measures speed and rewrites the tables of docs/performance.md
# make audit       looks for known vulnerabilities of the pinned dependencies
# make chaos       kills training, studies and other jobs at random moments, and
#                  compares their results with undisturbed runs
# make docs        builds the documentation into site/, to be read from disk
# make fuzz        tries 2,000 random mistakes in the input of users
# make wheel       builds the packages to publish into dist/, and checks them
# make tour        executes the notebooks of docs/ and saves their output
# make clean       removes .venv and caches; the runs stay
#
# All but clean make .venv the first time. PYTHON=... chooses the interpreter, by
# default the first Python 3.10 to 3.12 on the PATH. STUDY=... chooses another study
# for the quickstart.

PYTHON ?=
STUDY ?= quickstart

PYTHONS := $(or $(PYTHON),python3 python3.12 python3.11 python3.10)
VENV := .venv
# Written last, so that an interrupted install is done again.
INSTALLED := $(VENV)/installed
TEST_INSTALLED := $(VENV)/test_installed
UNFINISHED := $(VENV)/unfinished
DOCS_INSTALLED := $(VENV)/docs_installed
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check

.PHONY: quickstart test test-all lint format benchmark audit chaos fuzz docs wheel \
  tour clean

quickstart: $(INSTALLED)
	$(VENV)/bin/python baselines/cifar/reproduce.py \
	  --study=configs/studies/$(STUDY).yaml --parallel=2

# In two processes, since tests spend much of their time on starting commands.
PYTEST := $(VENV)/bin/python -m pytest -q -n 2 --dist=loadscope \
  --no-loadscope-reorder

test: $(TEST_INSTALLED)
	$(PYTEST) -m 'not slow'

test-all: $(TEST_INSTALLED)
	$(PYTEST)

lint: $(TEST_INSTALLED)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/basedpyright

format: $(TEST_INSTALLED)
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

benchmark: $(TEST_INSTALLED)
	$(VENV)/bin/python benchmarks/run.py

# pip-audit has an environment of its own, so that it changes nothing in .venv.
audit: $(INSTALLED)
	$(VENV)/bin/python -m venv $(VENV)/audit
	$(VENV)/audit/bin/python -m pip install --quiet pip-audit
	$(VENV)/audit/bin/pip-audit --no-deps --disable-pip -r constraints.txt

chaos: $(TEST_INSTALLED)
	$(VENV)/bin/python benchmarks/chaos.py

docs: $(DOCS_INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build
	@echo 'Documentation: site/index.html'

# The tools that only a release needs also have an environment of their own.
wheel: $(INSTALLED)
	$(VENV)/bin/python -m venv $(VENV)/release
	$(VENV)/release/bin/python -m pip install --quiet build twine
	rm -rf build dist
	$(VENV)/release/bin/python -m build
	$(VENV)/release/bin/twine check --strict dist/*

fuzz: $(TEST_INSTALLED)
	FUZZ_CASES=364 $(VENV)/bin/python -m pytest -q tests/fuzz_test.py

tour: $(TEST_INSTALLED)
	$(VENV)/bin/python tests/helpers/notebooks.py docs/tour.ipynb
	$(VENV)/bin/python tests/helpers/notebooks.py docs/pictures.ipynb

# An interrupted pip may leave an environment that looks complete to the next pip,
# so such an environment is made anew. pip itself is brought to the tested version
# first: the pip that comes with Python 3.10 fails to build a dependency.
$(INSTALLED): setup.py pyproject.toml constraints.txt
	@rm -f $@; if test -e $(UNFINISHED); then rm -rf $(VENV); fi
	@for python in $(PYTHONS); do \
	  if $$python -c 'import ensurepip, sys, venv; \
	      sys.exit(not (3, 10) <= sys.version_info < (3, 13))' \
	      >/dev/null 2>&1; then \
	    mkdir -p $(VENV) && touch $(UNFINISHED) || exit 1; \
	    echo "Installing into $(VENV): 3.4 GB, a few minutes, once"; \
	    exec $$python -m venv $(VENV); \
	  fi; \
	done; \
	echo 'error: found no Python 3.10, 3.11 or 3.12 that has venv; name one:' \
	  'make PYTHON=/path/to/python3.11' >&2; exit 1
	$(PIP) install --quiet -c constraints.txt pip setuptools
	$(PIP) install -c constraints.txt -e .
	@rm $(UNFINISHED) && touch $@

# The tests need more packages: mostly JAX and libtpu, from the extra `aot`. Ray
# takes another 0.25 GB.
$(TEST_INSTALLED): $(INSTALLED)
	$(PIP) install -c constraints.txt -e '.[test,aot,ray]'
	@touch $@

$(DOCS_INSTALLED): $(INSTALLED)
	@$(VENV)/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'error: the documentation needs Python 3.11 or 3.12' >&2; exit 1; }
	$(PIP) install --quiet -c constraints.txt -e '.[docs]'
	@touch $@

clean:
	rm -rf $(VENV) site .hypothesis .pytest_cache .ruff_cache build dist *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +
