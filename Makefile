# Everything there is to do here; `make help` lists it.

# The first Python that is new enough; `make PYTHON=/path/to/python venv` takes another one.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& command -v $$python && break; done)

BIN := .venv/bin
READY := .venv/.ready

# The daemons are 500 modules, and the tests start thousands of processes: each would compile them anew
# where the environment forbids writing bytecode.
unexport PYTHONDONTWRITEBYTECODE
BYTECODE = $(BIN)/python -m compileall -q -j 0 $(addprefix $(CURDIR)/src/aiovirt/,rpc admin daemons testing \
	pytest_plugin.py pytest_fixtures.py __init__.py)

.DEFAULT_GOAL := help
.PHONY: help venv run stop test conformance check bench soak fuzz clean

help:  ## list what can be done
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

run: $(READY)  ## start the daemons under ./run and show what to try
	@$(BYTECODE)
	@$(BIN)/python -m aiovirt.daemons.playground start

stop:  ## end what `make run` started
	@test ! -x $(BIN)/python || $(BIN)/python -m aiovirt.daemons.playground stop

venv: $(READY)  ## set up .venv with all that is needed here

$(READY): pyproject.toml
	@test -n '$(PYTHON)' || { echo 'Python 3.11 or newer is needed; there is none in PATH.'; exit 1; }
	@'$(PYTHON)' -c 'import ensurepip, venv' || { \
		echo 'This Python cannot make a venv; on Debian, apt-get install python3-venv.'; exit 1; }
	test -x $(BIN)/python || '$(PYTHON)' -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@$(BYTECODE)
	@touch $(READY)

test: $(READY)  ## run every test that can run here; ARGS="-k word" for some of them, JOBS=0 in a row
	@$(BYTECODE)
	$(BIN)/python -m pytest -n $(or $(JOBS),auto) --maxprocesses 8 --dist loadfile $(ARGS)

conformance: $(READY)  ## judge libvirt's daemons and ours; LIBVIRT=/opt/libvirt for another libvirt
	@AIOVIRT_LIBVIRT='$(LIBVIRT)' $(BIN)/python -m pytest tests/conformance $(ARGS)

check: $(READY)  ## style, types, and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)  ## measure against libvirt's daemons; PHASES="16x5 idle" for some of it
	@$(BYTECODE)
	@$(BIN)/python -m tests.bench $(PHASES) $(ARGS)

soak: $(READY)  ## a minute of clients that misbehave, a hundred kills; SECONDS=600 for ten minutes
	AIOVIRT_SOAK_SECONDS=$(or $(SECONDS),60) AIOVIRT_KILLS=$(or $(KILLS),100) \
		$(BIN)/python -m pytest tests/soak tests/virtd/test_daemon_killed.py $(ARGS)

fuzz: $(READY)  ## millions of broken inputs for all that reads bytes; RUNS=100000 for fewer
	@nice -n 10 $(BIN)/python -m tests.fuzz --runs $(or $(RUNS),10000000) --jobs $(or $(JOBS),0) \
		$(TARGETS) $(ARGS)

clean: stop  ## end the daemons and remove what was made here, except .venv
	rm -rf run build dist src/*.egg-info *.egg-info .coverage
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name .venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
