# Every target sets up what it needs: a fresh machine needs Python 3.11 or newer, make, and nothing else.
# `make help` lists the targets.

PYTHON ?= python3
BIN := .venv/bin
UV := .tools/bin/uv
PACKAGES := libs/common services/intake services/activation services/aggregator services/notifier cli
SOURCES := $(foreach package,$(PACKAGES),$(package)/src)
MANIFESTS := pyproject.toml $(foreach package,$(PACKAGES),$(package)/pyproject.toml)
LOCAL_PACKAGES := tiendo-common tiendo-intake tiendo-activation tiendo-aggregator tiendo-notifier tiendo
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	$(foreach package,$(LOCAL_PACKAGES),--no-emit-package $(package))
# What a developer's shell has set up for itself is none of our business. Where it forbids Python to keep bytecode,
# as images of Python do, each start of a service or of the command would compile 700 modules: 2 to 3 s.
unexport PYTHONPATH VIRTUAL_ENV PYTHONHOME CONDA_PREFIX PYTHONDONTWRITEBYTECODE
# Trust whom the system trusts, as pip does: behind a company's proxy that is another list than uv's own.
export UV_SYSTEM_CERTS ?= 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run up kafka kafka-jars test test-long chaos chaos-mutants check contracts bench lock clean

help: ## Say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/for-running ## Live through the Kon Tum campaign of 2023 and print its report
	@$(BIN)/tiendo replay kon-tum-2023 --stay

up: .venv/for-running ## Start all services on this machine, on the wall clock
	@$(BIN)/tiendo up

kafka: .venv/for-running ## Run one Apache Kafka node on this machine (needs Java and Maven)
	@$(BIN)/tiendo broker

kafka-jars: .venv/for-running ## Write deploy/kafka/jars.sha256 anew from its pom.xml
	@$(BIN)/python -m tiendo.broker.jars

test: check ## Check and test everything (a quarter of an hour on two cores)
	@tests/parts.sh
	$(BIN)/pytest -m "not long" -n 3 --dist loadfile --no-loadscope-reorder

test-long: .venv/for-developing ## The tests that take minutes each: every campaign, every fault
	@tests/parts.sh
	$(BIN)/pytest -m long

SEEDS ?= 3
SECONDS ?= 90
FIRST_SEED ?= 1
LOG ?= postgres
chaos: .venv/for-developing ## Load, faults, proof: SEEDS=3 SECONDS=90 FIRST_SEED=1 LOG=postgres|kafka
	$(BIN)/python -m tests.chaos --seeds $(SEEDS) --seconds $(SECONDS) --first-seed $(FIRST_SEED) --log $(LOG)

chaos-mutants: .venv/for-developing ## Show that the chaos suite finds broken builds
	$(BIN)/pytest -m long tests/chaos/test_mutants.py

check: .venv/for-developing ## Lint, types, import rules, contracts
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .
	$(BIN)/mypy --no-error-summary $(SOURCES) tests benchmarks deploy/images/*.py deploy/secrets/*.py
	$(BIN)/lint-imports > .lint-imports.log || { cat .lint-imports.log; exit 1; }
	$(BIN)/python -m tiendo_common.events.contracts --check

contracts: .venv/for-developing ## Write libs/common/contracts anew from the event classes
	$(BIN)/python -m tiendo_common.events.contracts

bench: .venv/for-developing ## Measure: one JSON object a line; ONLY=name for one of them
	@$(BIN)/python -m benchmarks $(ONLY)

lock: $(UV) ## Write requirements/*.lock anew from the manifests
	$(COMPILE) cli/pyproject.toml --group pyproject.toml:build -o requirements/run.lock
	$(COMPILE) cli/pyproject.toml --group pyproject.toml:build --group pyproject.toml:dev \
		-c requirements/run.lock -o requirements/dev.lock
	$(COMPILE) services/notifier/pyproject.toml --extra apprise -c requirements/dev.lock -o requirements/apprise.lock

clean: ## Remove what the other targets made, but for data folders
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .lint-imports.log

$(UV): requirements/tools.lock
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON). Set PYTHON=/path/to/python3.11."; exit 1; }
	@$(PYTHON) -c '' 2>/dev/null || { echo "$(PYTHON) does not start. Set PYTHON=/path/to/python3.11."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Tiendo needs Python 3.11 or newer; $(PYTHON) is older. Set PYTHON=/path/to/python3.11."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make virtual environments. On Debian: apt install python3-venv."; exit 1; }
	@echo "Setting up: the installer"
	@$(PYTHON) -m venv .tools
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/tools.lock
	@touch $@

# Not .venv/bin/python: that is a link to an interpreter that need not be ours to touch.
.venv/pyvenv.cfg: $(UV)
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv
	@touch $@

.venv/for-running: .venv/pyvenv.cfg requirements/run.lock $(MANIFESTS)
	@echo "Setting up: packages"
	@$(UV) pip sync --quiet --python .venv --require-hashes requirements/run.lock
	@$(UV) pip install --quiet --python .venv --no-deps --no-build-isolation $(addprefix -e ,$(PACKAGES))
	@touch $@

# A superset of what running needs, so it satisfies both.
.venv/for-developing: .venv/pyvenv.cfg requirements/dev.lock $(MANIFESTS)
	@echo "Setting up: packages and developers' tools"
	@$(UV) pip sync --quiet --python .venv --require-hashes requirements/dev.lock
	@$(UV) pip install --quiet --python .venv --no-deps --no-build-isolation $(addprefix -e ,$(PACKAGES))
	@touch .venv/for-running $@
