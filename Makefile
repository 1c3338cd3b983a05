# Everything a person or a pipeline runs. `make help` lists it.
# Only python3, venv and pip are used, so pip's own configuration holds.

# Which models: `embedded`, nothing to download; `laptop`, small real ones on a CPU; `gpu`, one card.
PROFILE ?= embedded
CONFIG  ?= $(CONFIG_$(PROFILE))
PORT    ?=
METRICS_PORT ?=
URL     ?=
FILE    ?=
TEXT    ?=
MIC     ?=
LOUDSPEAKER ?=
RECORD  ?=
OUT     ?=

CONFIG_embedded := serve_config.embedded.yaml
CONFIG_laptop   := serve_config.laptop.yaml
CONFIG_gpu      := serve_config.yaml

VENV := .venv
BIN  := $(VENV)/bin

VENV_embedded := $(VENV)
VENV_laptop   := .venv-models
VENV_gpu      := .venv-gpu
RUN_VENV      := $(VENV_$(PROFILE))

# Voices whose libraries conflict with the others' have an environment each.
VOICES      := voxtream chatterbox coqui
VOICE_VENVS := $(VOICES:%=.venv-%)
PEER_VENV   := .venv-bench
LOAD_VENV   := .venv-loadtest

CLIENTS_VENV := .venv-clients
CLIENTS_NODE := tests/clients_real/node/node_modules

# PYTHON=… chooses the interpreter; without it the first of these that is new enough is taken.
PYTHONS := $(or $(PYTHON),python3.12 python3.11 python3 python)

PIP := -m pip --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.SECONDARY:
.PHONY: help setup environments run talk ask k8s test check test-clients test-models soak env-gpu bench bench-gpu loadtest format clean

help:
	@echo 'make run           start the agent here          PORT=8000 PROFILE=embedded|laptop|gpu CONFIG=…'
	@echo 'make k8s           the Serve part of the overlays in k8s/, after a change of a serve_config'
	@echo 'make talk          talk with it                  FILE="a.wav b.mp3" | MIC=1 [LOUDSPEAKER=1] | TEXT="hello"  RECORD=1 URL=ws://…/ws'
	@echo 'make ask           the answer to a recording     FILE=a.mp3 | FILE=folder  OUT=answer.mp3 URL=http://…'
	@echo 'make test          the fast tests'
	@echo 'make test-clients  clients/, clients of others, and callers who come back, against running agents'
	@echo 'make test-models   the backends with their real libraries, on checkpoints that the tests make'
	@echo 'make soak          what takes hours: many cancelled turns and kills, inputs for every codec and endpoint'
	@echo 'make bench         against the floor and a peer  CALLS=1,8 ALIGNMENTS=8 SYSTEMS=control,parley SLOT_CALLS= JUDGED_CALLS='
	@echo 'make bench-gpu     the voice on this machine'"'"'s card       GPU_WEIGHTS=random|real'
	@echo 'make loadtest      whole conversations      URL= USERS=6 RATE=2 TIME=60s SHAPE=ramp KEY= WORKERS= UI=1'
	@echo 'make check         ruff, pyright, import contracts, hadolint'
	@echo 'make format        put the sources into shape'
	@echo 'make setup         make .venv (run, talk and the tests do it too); PYTHON=python3.12 chooses one'
	@echo 'make env-gpu       the environments of serve_config.yaml'
	@echo 'make clean         remove the environments and caches'

setup: $(VENV)/.core $(VENV)/.dev

# What `run` and `talk` need. The stamps are newer than the pins once these are installed.
$(VENV)/.core: requirements/core.txt requirements/ears.txt | $(BIN)/python
	@echo 'Installing packages (about a minute, this once) ...'
	@$(BIN)/python $(PIP) install -r requirements/core.txt
	@$(BIN)/python $(PIP) install --no-deps -r requirements/ears.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.core
	@echo 'Installing the tools of the tests ...'
	@$(BIN)/python $(PIP) install -r requirements/dev.txt
	@touch $@

# The real models on a CPU. Its pins are whole, and without what their packages ask for beyond
# them: builds for CUDA that break a CPU build of torch.
.venv-models/.core: requirements/core.txt requirements/ears.txt requirements/models.txt | .venv-models/bin/python
	@echo 'Installing the real models'"'"' libraries (2.5 GB, some minutes, this once) ...'
	@.venv-models/bin/python $(PIP) install -r requirements/core.txt
	@.venv-models/bin/python $(PIP) install --no-deps -r requirements/ears.txt -r requirements/models.txt
	@.venv-models/bin/python -c 'import torch' || { echo 'make: this build of torch wants CUDA: point PIP_EXTRA_INDEX_URL at the index of its CPU builds (docs/backends.md)' >&2; exit 1; }
	@touch $@

.venv-gpu/.core: requirements/core.txt requirements/ears.txt requirements/gpu.txt | .venv-gpu/bin/python
	@echo 'Installing the libraries for a GPU (10 GB, some minutes, this once) ...'
	@.venv-gpu/bin/python $(PIP) install -r requirements/core.txt
	@.venv-gpu/bin/python $(PIP) install --no-deps -r requirements/ears.txt -r requirements/gpu.txt
	@touch $@

.venv-%/.core: requirements/tts-%.txt | .venv-%/bin/python
	@echo 'Installing $* (some minutes, this once) ...'
	@.venv-$*/bin/python $(PIP) install --no-deps -r $<
	@touch $@

.venv-%/.dev: requirements/dev.txt .venv-%/.core
	@.venv-$*/bin/python $(PIP) install --no-deps -r $<
	@touch $@

# On a card, the libraries of CUDA too; elsewhere a voice's environment does without.
.venv-%/.cuda: requirements/cuda.txt .venv-%/.core
	@.venv-$*/bin/python $(PIP) install --no-deps -r $<
	@touch $@

env-gpu: .venv-gpu/.core .venv-voxtream/.cuda

# A virtual environment with the first Python that is new enough.
%/bin/python:
	@for python in $(PYTHONS); do \
	  if $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then \
	    $$python -m venv $* && exit 0; \
	    echo "make: $$python cannot make a virtual environment (on Debian: apt install python3-venv)" >&2; \
	    rm -rf $*; exit 1; \
	  fi; \
	done; \
	echo 'make: Python 3.11 or 3.12 is needed, and none was found among: $(PYTHONS) (PYTHON=/path/to/python3.12 names one)' >&2; \
	exit 1

run: $(or $(RUN_VENV),$(error PROFILE is embedded, laptop or gpu, not $(PROFILE)))/.core
	@exec $(RUN_VENV)/bin/python launch.py --config $(CONFIG) $(if $(PORT),--port $(PORT)) $(if $(METRICS_PORT),--metrics-port $(METRICS_PORT))

talk: $(VENV)/.core
	@exec $(BIN)/python -m clients.talk $(if $(URL),--url "$$URL") $(if $(MIC),--mic) $(if $(LOUDSPEAKER),--loudspeaker) $(if $(RECORD),--record) $(if $(TEXT),--say "$$TEXT") $(FILE)

ask: $(VENV)/.core
	@exec $(BIN)/python -m clients.ask_file $(if $(URL),--url "$$URL") $(if $(OUT),--out "$$OUT") $(FILE)

# What `make test` leaves to the other two, to be over in twelve minutes on two cores: those that
# start graphs for what clients, callers and operators do, and those of the models.
CLIENT_TESTS := tests/clients tests/clients_real tests/test_launch.py \
  $(addprefix tests/e2e/test_,autoscaling.py cluster.py dialects.py draining.py keys.py kills.py) \
  $(addprefix tests/e2e/test_,network.py resume.py service_kills.py voices.py)
MODEL_TESTS := tests/deployments/backends tests/models tests/e2e/test_cancelled_turns.py

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(addprefix --ignore ,$(CLIENT_TESTS) $(MODEL_TESTS))

test-clients: $(VENV)/.dev $(CLIENTS_VENV)/.clients $(CLIENTS_NODE)/.clients
	$(BIN)/python -m pytest $(CLIENT_TESTS)

# All that the four targets of the tests need. With `-j2` they take half as long to make.
environments: setup $(CLIENTS_VENV)/.clients $(CLIENTS_NODE)/.clients .venv-models/.dev $(VOICES:%=.venv-%/.dev)

# Clients of others, for a conversation with each. They are programs of their own.
$(CLIENTS_VENV)/.clients: requirements/clients-real.txt | $(CLIENTS_VENV)/bin/python
	@echo 'Installing clients of others (a minute, this once) ...'
	@$(CLIENTS_VENV)/bin/python $(PIP) install -r $<
	@touch $@

$(CLIENTS_NODE)/.clients: tests/clients_real/node/package-lock.json
	@npm ci --prefix tests/clients_real/node --no-audit --no-fund --ignore-scripts --loglevel error
	@touch $@

# What takes long: each codec with 100 000 inputs, every endpoint with thousands of requests, and
# replicas that are killed again and again.
soak: $(VENV)/.dev .venv-models/.dev .venv-voxtream/.dev
	$(BIN)/python -m pytest --hypothesis-profile soak -o timeout=0 \
	  tests/serve_app/dialects/test_contract.py tests/serve_app/rest \
	  tests/serve_app/audio/test_speech_file.py tests/clients_real/test_openapi.py
	$(BIN)/python -m pytest -m soak -s \
	  $(addprefix tests/e2e/test_,draining.py kills.py many_calls.py network.py service_kills.py)
	.venv-models/bin/python -m pytest -m soak -s tests/models/core

# The embedded models, then each real library in the environment that has it, on checkpoints of
# random weights: whether they work, not what they say.
CONTRACT := tests/deployments/backends/test_contract

test-models: $(VENV)/.dev .venv-models/.dev $(VOICES:%=.venv-%/.dev)
	$(BIN)/python -m pytest tests/deployments/backends tests/e2e/test_cancelled_turns.py
	.venv-models/bin/python -m pytest tests/models/core
	.venv-models/bin/python -m pytest $(CONTRACT)_*.py \
	  --backend stt:faster-whisper --backend stt:openai-whisper --backend stt:nemotron \
	  --backend llm:vllm --backend tts:pocket-tts
	$(foreach voice,$(VOICES),.venv-$(voice)/bin/python -m pytest \
	  $(CONTRACT)_tts.py tests/models/$(voice) --backend tts:$(voice) &&) true

# All of it takes about two hours. Write `SLOT_CALLS=` for no rows with a limited voice.
bench: $(VENV)/.core $(PEER_VENV)/.bench
	@$(BIN)/python -m bench --peer $(PEER_VENV)/bin/python $(if $(CALLS),--calls $(CALLS)) $(if $(ALIGNMENTS),--alignments $(ALIGNMENTS)) $(if $(SYSTEMS),--systems $(SYSTEMS)) $(if $(filter-out undefined,$(origin SLOT_CALLS)),--slot-calls "$(SLOT_CALLS)") $(if $(filter-out undefined,$(origin JUDGED_CALLS)),--judged-calls "$(JUDGED_CALLS)")

# Random weights of full size are enough for speed; `real` fetches the published ones.
GPU_WEIGHTS ?= random
bench-gpu: .venv-voxtream/.cuda .venv-voxtream/.dev
	@.venv-voxtream/bin/python -m bench.gpu $(if $(filter random,$(GPU_WEIGHTS)),--random)

# Against a server that it starts and stops, or the one at URL. UI=1: locust's page, until Ctrl-C.
LOADTEST := $(if $(URL),--url "$$URL",--graph-python $(BIN)/python) $(if $(USERS),--users $(USERS)) \
  $(if $(RATE),--rate $(RATE)) $(if $(TIME),--time $(TIME)) $(if $(SHAPE),--shape $(SHAPE)) \
  $(if $(WORKERS),--workers $(WORKERS)) $(if $(UI),--ui) $(if $(TIMED),--timed) $(if $(SLO),--slo $(SLO))

loadtest: export PARLEY_API_KEY := $(or $(KEY),$(PARLEY_API_KEY))
loadtest: $(if $(URL),,$(VENV)/.core) $(LOAD_VENV)/.loadtest
	@exec $(LOAD_VENV)/bin/python -m loadtest $(LOADTEST)

$(LOAD_VENV)/.loadtest: requirements/loadtest.txt | $(LOAD_VENV)/bin/python
	@echo 'Installing locust ...'
	@$(LOAD_VENV)/bin/python $(PIP) install -r requirements/loadtest.txt
	@touch $@

# The peer in an environment of its own: its pins are not ours.
$(PEER_VENV)/.bench: requirements/bench.txt $(VENV)/.core
	@echo 'Installing the peer ...'
	@$(BIN)/python -m venv $(PEER_VENV)
	@$(PEER_VENV)/bin/python $(PIP) install -r requirements/bench.txt
	@touch $@

check: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports --no-logo
	$(BIN)/hadolint Dockerfile Dockerfile.cpu

# What `kubectl apply -k` takes needs no Python: this is committed.
k8s: $(VENV)/.core
	@$(BIN)/python k8s/serve_part.py

format: $(VENV)/.dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV) .venv-models .venv-gpu $(VOICE_VENVS) $(PEER_VENV) $(LOAD_VENV) $(CLIENTS_VENV) $(CLIENTS_NODE) .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
