# Everything runs from .venv, which `make setup` makes; no environment needs to be active, and nothing needs root.
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/sh
.DEFAULT_GOAL := help

# The first Python that is new enough; `make PYTHON=/path/to/python3 setup` takes another.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
READY := .venv/.ready
COVERED_FULLY := worker/domain/*,worker/service/*,worker/amqp/settlement.py
FAILED := --last-failed --last-failed-no-failures none
# GNU make 3.81, as on macOS, does not know it.
SYNC := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

# A person's own paths would let packages in that are not pinned.
unexport PYTHONPATH PYTHONHOME
# Where it is set, every program that the tests start would compile all of itself again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## list the targets
	@awk -F ': .*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(READY) ## the environment in .venv, the servers' programs in .cache; does nothing the second time
	@$(BIN)/python -m devtools.setup

.PHONY: run
run: setup ## the worker in the foreground, with a broker and a migrated SQLite file; Ctrl-C ends it all
	@exec $(BIN)/python -m devtools.run

.PHONY: demo
demo: setup ## 20 seconds with fifty devices and a worker that is killed, then the books; SEED=3 for others
	@exec $(BIN)/python -m devtools.demo $(if $(SEED),--seed $(SEED)) $(if $(PICTURE),--picture $(PICTURE))

.PHONY: check
check: check-static check-quick ## format, lint, types, import contracts, deployment files, quick tests; needs no server

.PHONY: check-static
check-static: $(READY)
	@$(MAKE) --no-print-directory --keep-going -j4 $(SYNC) \
		check-format check-lint check-types check-imports check-compose check-image

.PHONY: schemas
schemas: $(READY) ## write what is published of the contract: asyncapi.yaml, JSON Schemas, the tables of docs/protocol.md
	@$(BIN)/python -m devtools.contract

.PHONY: docs
docs: tools ## the contract as a page to read, in one file that needs no network: docs/site/index.html
	@$(BIN)/python -m devtools.contract.page

.PHONY: test
test: setup tools check-static ## all of that and the suite but its slow tests, on real servers, with coverage
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 3 --dist worksteal -m "not slow"
	@$(MAKE) --no-print-directory covered

.PHONY: test-again
test-again: setup ## the tests that failed in it, one after another, and its coverage
	$(BIN)/coverage run -m pytest $(FAILED) -m "not slow"
	@$(MAKE) --no-print-directory covered

.PHONY: covered
covered:
	@$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=90
	$(BIN)/coverage report --fail-under=100 --include='$(COVERED_FULLY)'

.PHONY: test-more
test-more: setup tools browser ## the slow tests: a cluster of three brokers, longer faults, a little soak
	$(BIN)/python -m pytest -n 2 --dist worksteal -m slow

.PHONY: test-more-again
test-more-again: setup ## those of them that failed, one after another
	$(BIN)/python -m pytest $(FAILED) -m slow

.PHONY: faults
faults: setup ## every fault on every database, about an hour; ends in tables
	$(BIN)/python -m tests.faults.run

.PHONY: soak
soak: setup ## 15 minutes of mixed load with a random fault every few seconds
	$(BIN)/python -m tests.faults.soak

.PHONY: fuzz
fuzz: setup ## hostile messages by a new seed for a minute; FOR=600 seconds for longer, SEED=7 repeats one
	@mkdir -p var
	@$(BIN)/python -m tests.faults.fuzz --folder var $(if $(FOR),--seconds $(FOR)) $(if $(SEED),--seed $(SEED))

.PHONY: bench bench-quick bench-large
bench: setup ## what it costs beside its peers, under 10 minutes; writes docs/performance.md
	@$(BIN)/python -m benchmarks
bench-quick: setup ## the ratios against their floors, under 90 s
	@$(BIN)/python -m benchmarks --quick
bench-large: setup ## a million rows in the database, a million messages waiting
	@$(BIN)/python -m benchmarks --large

.PHONY: format
format: $(READY) ## put the code in form, and mend what can be mended
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format

.PHONY: lock
lock: $(READY) ## pin what pyproject.toml asks for; LOCK=--upgrade takes the newest versions
	$(COMPILE) -o requirements/runtime.txt
	$(COMPILE) --group dev -c requirements/runtime.txt -o requirements/dev.txt
	$(PIN) requirements/node.in -o requirements/node.txt
	@for peer in benchmarks/peers/*/requirements.in; do \
		$(PIN) $$peer -c requirements/runtime.txt -o $${peer%.in}.txt || exit 1; done
PIN = $(BIN)/uv pip compile --quiet --universal -p 3.11 --generate-hashes --no-header --no-emit-index-url $(LOCK)
COMPILE = $(PIN) pyproject.toml

# Apart from setup, so that `make run` does not wait for them.
.PHONY: tools browser
tools: $(READY)
	@$(BIN)/python -m devtools.setup --tools
browser: $(READY)
	@$(BIN)/python -m devtools.setup --browser

.PHONY: clean
clean: ## remove the environment, fetched programs, caches and reports; var/ and its data stay
	rm -rf .venv .cache .coverage .coverage.* htmlcov dist docs/site
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml requirements/dev.txt
	@test -n "$(PYTHON)" || { \
		echo "No Python 3.11 or newer was found. Install one, or name it: make PYTHON=/path/to/python3 setup" >&2; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: install python3-venv" >&2; exit 1; }
	@echo "installing the pinned requirements into .venv" >&2
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: check-format check-lint check-types check-imports check-compose check-image check-quick
check-format:
	$(BIN)/ruff format --check --quiet
check-lint:
	$(BIN)/ruff check --quiet
check-types:
	$(BIN)/mypy
check-imports:
	$(BIN)/lint-imports
check-compose:
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
check-image:
	$(BIN)/hadolint Dockerfile
check-quick: $(READY)
	$(BIN)/python -m pytest -q -n 2 --dist worksteal tests/unit tests/tidy tests/contract
