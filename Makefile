# Two commands matter: `make sandbox` runs the main job, `make test` proves it. Both install what they need.
PYTHON ?= python3
SCENARIO ?= tour
UV = UV_PYTHON_DOWNLOADS=never .venv/bin/uv
BIN = .venv/bin

.DEFAULT_GOAL := help
.PHONY: help install sandbox test lint unit proof bench figures build built schema requirements clean

help: ## Show these targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

install: .venv/installed .venv-runtime/installed .venv-sam/installed ## Make the virtual environments and install the pinned tools

.venv/uv: requirements/bootstrap.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Standfast needs Python >= 3.11: run make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@touch $@

.venv/installed: .venv/uv requirements/development.txt
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/development.txt
	@touch $@

# What AWS Lambda gives a function, and nothing more: the sandbox's workers run in it.
.venv-runtime/installed: .venv/uv requirements/runtime.txt
	$(UV) venv --quiet --clear --python $(PYTHON) .venv-runtime
	$(UV) pip install --quiet --compile-bytecode --python .venv-runtime/bin/python --require-hashes -r requirements/runtime.txt
	@touch $@

# The SAM CLI pins other versions of boto3 than we develop against.
.venv-sam/installed: .venv/uv requirements/sam.txt
	$(UV) venv --quiet --clear --python $(PYTHON) .venv-sam
	$(UV) pip install --quiet --python .venv-sam/bin/python --require-hashes -r requirements/sam.txt
	@touch $@

sandbox: .venv/installed .venv-runtime/installed ## Run the main job on this machine: a cluster dies, the service goes on
	$(BIN)/python -m sandbox run $(SCENARIO)

test: install lint unit ## Lint, types and tests: what CI runs

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: install
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

proof: install ## The tests that take longer than `make test` may
	$(BIN)/pytest -m long

bench: .venv/installed .venv-runtime/installed ## Measure: cold starts, a watch pass, an assessment of 1,000 replicas
	$(BIN)/python -m sandbox bench
	$(BIN)/python -m sandbox bench --scale

# SAM wants the real python3.13 on the path: a shim of a version manager fails its check.
PYTHON313 ?= $(shell for python in "$$HOME"/.pyenv/versions/3.13*/bin/python3.13 $$(command -v python3.13); do \
  "$$python" -c 'import sys; print(sys.executable)' 2>/dev/null && break; done)
SAM = SAM_CLI_TELEMETRY=0 PATH="$(dir $(PYTHON313)):$$PATH" PYTHON="$(PYTHON313)" .venv-sam/bin/sam

.PHONY: python313
python313:
	@test -x "$(PYTHON313)" || { echo "sam build needs Python 3.13: run make PYTHON313=/path/to/python3.13 $(MAKECMDGOALS)"; exit 1; }

build: install python313 ## Build what `sam deploy` uploads, for Lambda's arm64 (needs Python 3.13 and the network)
	$(SAM) build

.venv-lambda/installed: .venv/uv requirements/lambda.txt | python313
	$(UV) venv --quiet --clear --python "$(PYTHON313)" .venv-lambda
	$(UV) pip install --quiet --compile-bytecode --python .venv-lambda/bin/python --require-hashes -r requirements/lambda.txt
	@touch $@

built: install .venv-lambda/installed ## Prove that the built layers load: a failover on Python 3.13 with nothing but them
	PLATFORM=manylinux2014_$$(uname -m) $(SAM) build --build-dir build/sam --no-cached
	$(BIN)/python -m sandbox run cluster-failover --built build/sam

schema: .venv/installed ## Write the JSON Schema of FleetConfig
	$(BIN)/python -m sandbox schema > docs/fleet-config.schema.json

figures: .venv/installed .venv-runtime/installed ## The main job's figures: 20 runs of each scenario, as JSON in build/
	@mkdir -p build
	$(BIN)/python -m sandbox run cluster-failover --runs 20 --json build/cluster-failover.json
	$(BIN)/python -m sandbox run engine-wedged --runs 20 --json build/engine-wedged.json

PINNED = requirements/bootstrap requirements/runtime requirements/lambda requirements/development requirements/sam layers/dependencies/requirements

requirements: .venv/uv ## Resolve the pinned requirements anew (no registry address is written)
	for name in $(PINNED); do \
	  $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	    --no-emit-index-url --no-emit-find-links $$name.in -o $$name.txt || exit 1; done

clean: ## Remove everything that was built or installed
	rm -rf .venv .venv-runtime .venv-sam .venv-lambda .aws-sam build .sandbox .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
