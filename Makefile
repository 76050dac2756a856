# `make` alone prints what there is. Every target sets itself up; nothing is installed outside .venv.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.run-installed
DEV := $(VENV)/.dev-installed
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --require-hashes

# USER is the login name in every shell; only a name given to make itself counts.
ifneq ($(origin USER),command line)
override USER := alice
endif

SHOWS := show-kill show-term show-stop show-turn show-idle show-authz show-fork show-roundtrip show-retention

.PHONY: help setup run test test-browser check protos token bench bench-page clean fuzz simulate bugs lock $(SHOWS) \
	check-lint check-format check-types check-imports check-stubs

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(RUN) ## the virtual environment with what `make run` needs

run: $(RUN) ## a real etcd, Store, Live, the gateway and retention on this machine; Ctrl-C stops them all
	@exec $(BIN)/python -m cluster run

token: export TOKEN_USER := $(value USER)
token: $(RUN) ## a development token and nothing else: make -s token USER=alice
	@exec $(BIN)/python -m cluster token --user "$$TOKEN_USER"

# The order in sets of names is chance, unless it is fixed: seeded schedules are then the same each time.
# Most tests wait rather than compute, so two go on at once; those that fill the machine come after.
test: check ## every check, then every test against the real parts
	@PYTHONHASHSEED=0 $(BIN)/python -m pytest -m "not alone" -n 2 --dist loadfile
	@PYTHONHASHSEED=0 $(BIN)/python -m pytest -m alone

test-browser: $(DEV) ## the dashboard in a real Chromium, before real parts
	@command -v chromium >/dev/null || { \
		echo "There is no chromium here. On Debian and Ubuntu: apt-get install chromium fonts-liberation" >&2; exit 1; }
	@PYTHONHASHSEED=0 $(BIN)/python -m pytest tests/browser

check: $(DEV) ## lint, format, types, import law, stubs, protos
	@$(MAKE) -j5 --output-sync=target check-lint check-format check-types check-imports check-stubs

check-lint: $(DEV)
	@$(BIN)/ruff check --quiet

check-format: $(DEV)
	@$(BIN)/ruff format --check --quiet || { echo "run: $(BIN)/ruff format" >&2; exit 1; }

check-types: $(DEV)
	@$(BIN)/mypy --no-error-summary

check-imports: $(DEV)
	@mkdir -p build
	@$(BIN)/lint-imports --no-cache >build/imports.log 2>&1 || { cat build/imports.log >&2; exit 1; }

# buf works offline on the descriptor set that --check leaves behind.
check-stubs: $(DEV)
	@$(BIN)/python protos/generate.py --check
	@$(BIN)/buf lint build/protos.binpb
	@test ! -f protos/released.binpb || $(BIN)/buf breaking build/protos.binpb --against protos/released.binpb

protos: $(DEV) ## rewrite the generated stubs from protos/
	@$(BIN)/python protos/generate.py

bench: $(DEV) ## measure everything beside its floors, or some groups: make bench ONLY="appends loads"
	@$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY))

bench-page: $(DEV) ## write the last run into docs/performance.md
	@$(BIN)/python -m bench.page bench/results/latest.json

.PHONY: bench-peers
bench-peers: | $(BIN)/python ## the same load on what people use today, each in an environment of its own
	@sh bench/peers/install-postgres.sh
	@$(BIN)/python -m bench.peers

# Each takes SEED= and, where there is load for a time, DURATION= in seconds; each ends with one line of JSON.
show-kill: ## clients in 100 sessions while Lives are killed, one every 5 s
show-term: ## the same while Lives are asked to leave
show-stop: ## the same while Lives stand still for twice their time
show-turn: ## an agent's answer while its owner, and then its worker, is killed
show-idle: ## 5,000 streams on one Live, and what they cost those who work
show-retention: ## 10,000 sessions, most of them due, and the process that lets them go is killed halfway
show-authz: ## who may do what: every route, RPC and frame, by everybody
show-fork: ## a session of 10,000 messages, forked while it is written, and while a Store is killed
show-roundtrip: $(DEV) ## exports imported elsewhere, byte for byte, a PDF's pages, and 1,000 old records taken over
$(SHOWS): show-%: $(RUN)
	@exec $(BIN)/python -m show $* $(if $(DURATION),--duration "$(DURATION)") $(if $(SEED),--seed "$(SEED)")

faults: $(DEV) ## rounds on real processes that are harmed: ROUNDS=, the first one's SEED=, JOBS= at once
	@$(BIN)/python -m tests.faults --rounds $(or $(ROUNDS),10) $(if $(SEED),--seed "$(SEED)") \
		--jobs $(or $(JOBS),1)

fuzz: $(DEV) ## schemathesis on the gateway's own OpenAPI document, 200 examples per operation
	@SESSIOND_FUZZ_EXAMPLES=200 $(BIN)/python -m pytest tests/fuzz

simulate: $(DEV) ## the real Stores and Lives on virtual time: make simulate SCHEDULES=1000 SEED=0
	@exec $(BIN)/python -m tests.simulation $(if $(SCHEDULES),--schedules "$(SCHEDULES)") \
		$(if $(SECONDS),--seconds "$(SECONDS)") $(if $(SEED),--seed "$(SEED)")

bugs: $(DEV) ## each bug that the checker must name, put into the product: make bugs SCHEDULES=50
	@exec $(BIN)/python -m tests.simulation.bugs $(if $(SCHEDULES),--schedules "$(SCHEDULES)")

lock: $(DEV) ## compile both lock files anew from pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade \
		--extra server --extra cli --extra pdf pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--constraint requirements.lock --all-extras pyproject.toml -o requirements-dev.lock

clean: ## remove what can be made again: environment, caches, build; never the sessions
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps stand for "this lock file is installed"; a newer lock installs again.
$(RUN): requirements.lock | $(BIN)/python
	@echo "installing what sessiond runs on (once)" >&2
	@$(PIP) -r requirements.lock >&2
	@touch $@

$(DEV): requirements-dev.lock $(RUN)
	@echo "installing what the checks and tests need (once)" >&2
	@$(PIP) -r requirements-dev.lock >&2
	@touch $@

$(BIN)/python:
	@command -v "$(PYTHON)" >/dev/null || { \
		echo "There is no $(PYTHON) here. sessiond needs Python 3.11 or newer: install it, or name yours with PYTHON=..." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "sessiond needs Python 3.11 or newer, and $(PYTHON) is $$("$(PYTHON)" -V 2>&1). Name a newer one, for example: make PYTHON=python3.12 ..." >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@"$(PYTHON)" -m venv $(VENV)
