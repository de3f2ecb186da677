# make quickstart   trains, distils, evaluates, reports and exports on digits
# make test         runs the tests
# Each makes .venv the first time; PYTHON=... chooses the interpreter.

PYTHON ?= $(shell for p in python3 python3.12 python3.11 python3.10; do \
  $$p -c 'import sys, venv; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 13))' \
  2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
# Written last, so that an install that was interrupted is done again.
INSTALLED := .venv/installed

.PHONY: quickstart test clean

quickstart: $(INSTALLED)
	$(BIN)/python baselines/cifar/reproduce.py --study=configs/studies/quickstart.yaml

test: $(INSTALLED)
	$(BIN)/python -m pytest -q

$(INSTALLED): setup.py constraints.txt
	@test -n "$(PYTHON)" || { echo 'error: no Python 3.10, 3.11 or 3.12 found; name one: make PYTHON=/path/to/python3.11' >&2; exit 2; }
	@rm -f $@
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

clean:
	rm -rf .venv build dist *.egg-info
