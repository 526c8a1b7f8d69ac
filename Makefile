# Everything is installed into .venv of this checkout, with pinned versions and hashes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
DEMO_ARGS ?=
NAME ?=
MIGRATION_ARGS ?=
BENCH_ARGS ?=

.PHONY: help demo test promises check screenshots lint types contracts install install-dev requirements migration released-schema reference timeline bench-monitoring bench-tracking bench-serving clean

help:  ## Show what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort

demo: $(VENV)/.demo  ## Install Kept and watch a real model being kept (DEMO_ARGS="--exit --json demo.json")
	$(BIN)/kept demo $(DEMO_ARGS)

test: $(VENV)/.dev $(VENV)-mlflow/.ready $(VENV)-serving/.ready $(VENV)-triton/.ready  ## Install what tests need and run them all
	$(BIN)/python -m pytest -n 2 --dist loadfile -q

promises: $(VENV)/.dev  ## Run the tests with their full counts that the usual run leaves out
	$(BIN)/python -m pytest -m slow -q

check: lint types contracts  ## Lint, types and import contracts

lint: $(VENV)/.dev  ## Lint and format
	$(BIN)/ruff check src tests examples tools benchmarks
	$(BIN)/ruff format --check src tests examples tools benchmarks

types: $(VENV)/.dev  ## Types
	$(BIN)/mypy src examples/flights tools benchmarks/*.py
	@# Each folder of tests and of a benchmark on its own: they share the names conftest and __main__.
	$(BIN)/mypy tests/conftest.py
	@for folder in tests/*/ benchmarks/*/; do $(BIN)/mypy $$folder || exit 1; done

contracts: $(VENV)/.dev  ## Which part may import which
	$(BIN)/lint-imports --no-cache

bench-tracking: $(VENV)/.base $(VENV)-bench-mlflow/.ready  ## Measure tracking beside MLflow's server (BENCH_ARGS="--full --json bench.json")
	$(BIN)/python benchmarks/tracking $(BENCH_ARGS)

screenshots: $(VENV)/.demo  ## Take pictures of the main pages (needs Chromium; runs the demo first when it was not run)
	$(BIN)/python tools/screenshots.py

install: $(VENV)/.base  ## Install Kept alone
install-dev: $(VENV)/.dev  ## Install Kept with what developing it needs

$(VENV)/bin/python:
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Kept needs Python 3.11 or newer: make PYTHON=python3.11')"
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: requirements/base.txt requirements/build.txt pyproject.toml | $(VENV)/bin/python
	$(PIP) install --require-hashes -r requirements/base.txt -r requirements/build.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.demo: requirements/examples.txt $(VENV)/.base
	$(PIP) install --no-deps --no-build-isolation --require-hashes -r requirements/examples.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.demo
	$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

# The client of MLflow that tests run as it is published stands apart: Kept itself never imports it.
$(VENV)-mlflow/.ready: requirements/mlflow.txt
	@$(PYTHON) -m venv $(VENV)-mlflow \
	  && $(VENV)-mlflow/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r $< \
	  && touch $@ || echo "The environment of the MLflow client could not be made: its tests are skipped."

# What an exported model's image installs, to run one without an image.
$(VENV)-serving/.ready: src/kept/app/targets/serving-explaining.txt
	@$(PYTHON) -m venv $(VENV)-serving \
	  && $(VENV)-serving/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r $< \
	  && touch $@ || echo "The environment of the serving part could not be made: its test is skipped."

# So does the public client of the protocol that predictions are asked in.
$(VENV)-triton/.ready: requirements/triton.txt
	@$(PYTHON) -m venv $(VENV)-triton \
	  && $(VENV)-triton/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r $< \
	  && touch $@ || echo "The environment of tritonclient could not be made: its tests are skipped."

# The tools that monitoring is measured beside stand apart too; without them they are left out, and that is said.
$(VENV)-bench-monitoring/.ready: requirements/bench-monitoring.txt
	@$(PYTHON) -m venv $(VENV)-bench-monitoring \
	  && $(VENV)-bench-monitoring/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r $< \
	  && touch $@ || echo "The environment of the peers could not be made: they are left out."

bench-monitoring: $(VENV)/.base $(VENV)-bench-monitoring/.ready  ## Measure monitoring beside its peers (BENCH_ARGS="--full --json figures.json")
	$(BIN)/python benchmarks/monitoring $(BENCH_ARGS)

# The server that the benchmark of tracking measures Kept against, and its client.
$(VENV)-bench-mlflow/.ready: requirements/bench-mlflow.txt
	$(PYTHON) -m venv $(VENV)-bench-mlflow
	$(VENV)-bench-mlflow/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r $<
	@touch $@

# The peers of the prediction service, each in an environment of its own; one that cannot be made is left out, and that is said.
SERVING_PEERS = mlserver bentoml litserve
$(SERVING_PEERS:%=$(VENV)-bench-serving-%/.ready): $(VENV)-bench-serving-%/.ready: requirements/bench-serving-%.txt
	@$(PYTHON) -m venv $(@D) \
	  && $(@D)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r $< \
	  && touch $@ || echo "The environment of $* could not be made: it is left out."

bench-serving: $(VENV)/.base $(VENV)-bench-mlflow/.ready $(SERVING_PEERS:%=$(VENV)-bench-serving-%/.ready)  ## Measure predictions beside MLServer, BentoML, MLflow, LitServe and FastAPI (needs wrk)
	$(BIN)/python benchmarks/serving $(BENCH_ARGS)

COMPILE = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	--no-emit-index-url --no-emit-find-links

requirements:  ## Pin again (needs uv)
	$(COMPILE) requirements/base.in -o requirements/base.txt
	$(COMPILE) requirements/build.in -o requirements/build.txt
	$(COMPILE) requirements/dev.in -o requirements/dev.txt
	$(COMPILE) requirements/mlflow.in -o requirements/mlflow.txt
	$(COMPILE) requirements/triton.in -o requirements/triton.txt
	$(COMPILE) requirements/bench-monitoring.in -o requirements/bench-monitoring.txt
	$(COMPILE) requirements/bench-mlflow.in -o requirements/bench-mlflow.txt
	for peer in $(SERVING_PEERS); do $(COMPILE) requirements/bench-serving-$$peer.in -o requirements/bench-serving-$$peer.txt; done
	$(COMPILE) -c requirements/base.txt requirements/serving.in -o src/kept/app/targets/serving.txt
	$(COMPILE) -c requirements/base.txt requirements/serving-explaining.in -o src/kept/app/targets/serving-explaining.txt
	$(COMPILE) -c requirements/base.txt requirements/serving-python.in -o src/kept/app/targets/serving-python.txt
	$(COMPILE) --no-deps requirements/examples.in -o requirements/examples.txt

migration: $(VENV)/.dev  ## Write the migration to a changed schema (NAME=add_webhooks MIGRATION_ARGS="--fill runs.user=''")
	$(BIN)/python tools/migration.py $(NAME) $(MIGRATION_ARGS)
	$(BIN)/ruff format --quiet src/kept/store/migrations/versions

released-schema: $(VENV)/.dev  ## Freeze the tables of a release for the tests of migrations
	$(BIN)/python tools/released_schema.py

reference: $(VENV)/.demo  ## Write docs/reference from the code
	$(BIN)/python tools/reference.py

timeline: $(VENV)/.demo  ## Put the last demo (make demo DEMO_ARGS="--exit --json demo.json") into README.md
	$(BIN)/python tools/draw_timeline.py .kept-demo docs/pictures/timeline.svg
	$(BIN)/python tools/demo_table.py demo.json README.md

clean:  ## Remove what was installed and cached
	rm -rf $(VENV) $(VENV)-mlflow $(VENV)-serving $(VENV)-triton $(VENV)-bench-monitoring $(VENV)-bench-mlflow $(VENV)-bench-serving-* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
