# Everything a person or a pipeline runs. `make help` lists it.
# Only python3, venv and pip are used, so pip's own configuration holds.

VENV   := .venv
BIN    := $(VENV)/bin
CONFIG ?= serve_config.embedded.yaml
PORT   ?=
URL    ?=
FILE   ?=
TEXT   ?=
MIC    ?=

PEER_VENV := .venv-bench

# PYTHON=… chooses the interpreter; without it the first of these that is new enough is taken.
PYTHONS := $(or $(PYTHON),python3.12 python3.11 python3 python)

.DEFAULT_GOAL := help
.PHONY: help setup run talk test check test-clients test-models bench format clean

help:
	@echo 'make run           start the agent here          PORT=8000 CONFIG=serve_config.embedded.yaml'
	@echo 'make talk          talk with it                  FILE="a.wav b.mp3" | MIC=1 | TEXT="hello" | URL=ws://…/ws'
	@echo 'make test          the fast tests'
	@echo 'make test-clients  the tests of clients/'
	@echo 'make test-models   the backends with their real models'
	@echo 'make bench         against the floor and a peer  CALLS=1,8 ALIGNMENTS=8 SYSTEMS=control,parley SLOT_CALLS= JUDGED_CALLS='
	@echo 'make check         ruff, pyright, import contracts'
	@echo 'make format        put the sources into shape'
	@echo 'make setup         make .venv (run, talk and the tests do it too); PYTHON=python3.12 chooses one'
	@echo 'make clean         remove .venv and caches'

setup: $(VENV)/.core $(VENV)/.dev

# What `run` and `talk` need. The stamps are newer than the pins once these are installed.
$(VENV)/.core: requirements/core.txt requirements/models.txt | $(BIN)/python
	@echo 'Installing packages (about a minute, this once) ...'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/core.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements/models.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.core
	@echo 'Installing the tools of the tests ...'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/dev.txt
	@touch $@

$(BIN)/python:
	@for python in $(PYTHONS); do \
	  if $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then \
	    $$python -m venv $(VENV) && exit 0; \
	    echo "make: $$python cannot make a virtual environment (on Debian: apt install python3-venv)" >&2; \
	    rm -rf $(VENV); exit 1; \
	  fi; \
	done; \
	echo 'make: Python 3.11 or 3.12 is needed, and none was found among: $(PYTHONS) (PYTHON=/path/to/python3.12 names one)' >&2; \
	exit 1

run: $(VENV)/.core
	@exec $(BIN)/python launch.py --config $(CONFIG) $(if $(PORT),--port $(PORT))

talk: $(VENV)/.core
	@exec $(BIN)/python -m clients.talk $(if $(URL),--url "$$URL") $(if $(MIC),--mic) $(if $(TEXT),--say "$$TEXT") $(FILE)

test: $(VENV)/.dev
	$(BIN)/python -m pytest --ignore tests/clients --ignore tests/deployments/backends

test-clients: $(VENV)/.dev
	$(BIN)/python -m pytest tests/clients

test-models: $(VENV)/.dev
	$(BIN)/python -m pytest tests/deployments/backends

# All of it takes about two hours. Write `SLOT_CALLS=` for no rows with a limited voice.
bench: $(VENV)/.core $(PEER_VENV)/.bench
	@$(BIN)/python -m bench --peer $(PEER_VENV)/bin/python $(if $(CALLS),--calls $(CALLS)) $(if $(ALIGNMENTS),--alignments $(ALIGNMENTS)) $(if $(SYSTEMS),--systems $(SYSTEMS)) $(if $(filter-out undefined,$(origin SLOT_CALLS)),--slot-calls "$(SLOT_CALLS)") $(if $(filter-out undefined,$(origin JUDGED_CALLS)),--judged-calls "$(JUDGED_CALLS)")

# The peer in an environment of its own: its pins are not ours.
$(PEER_VENV)/.bench: requirements/bench.txt $(VENV)/.core
	@echo 'Installing the peer ...'
	@$(BIN)/python -m venv $(PEER_VENV)
	@$(PEER_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/bench.txt
	@touch $@

check: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports --no-logo

format: $(VENV)/.dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV) $(PEER_VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
