# What CI runs is what a person runs. `make` alone lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
DEV := scripts/run.sh dev

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

.PHONY: demo demo-life demo-clean
demo: ## carry two experiments towards production on this machine (KEEP=1: leave the servers running)
	@scripts/run.sh local demo $(if $(filter-out 0 false,$(KEEP)),--keep)

demo-life: ## a model's life after the merge: verification, drift, retraining, automatic rollback; .demo-life/index.html
	@scripts/run.sh local life

demo-clean: ## stop the demo's servers and remove .demo
	@scripts/run.sh local clean

.PHONY: test test-unit test-integration test-flow test-reliability
test: ## run all tests, with real git, DVC, GTO, Docker, registry, kustomize and act
	$(DEV) pytest --numprocesses auto --maxprocesses 4 tests

test-unit: ## run the tests that need no process and no network: seconds
	$(DEV) pytest tests/unit

test-integration: ## run the tests of each action with its real tools
	$(DEV) pytest tests/integration

test-flow: ## run the template workflows under act
	$(DEV) pytest tests/flow

test-reliability: ## races, faults, hostile input, secrets, a retraining, and the training pipeline with its real images, in their long form; prints the numbers
	MODEL_GITOPS_RELIABILITY=full $(DEV) pytest tests/reliability tests/flow/test_retraining.py tests/integration/kubeflow tests/integration/training/test_training_steps.py

.PHONY: test-cluster
test-cluster: ## the deploy template on a real kube-apiserver, with the controllers of Argo Rollouts and Workflows; builds all, an hour the first time
	MODEL_GITOPS_CLUSTER=yes $(DEV) pytest tests/cluster

.PHONY: mutants
mutants: ## change core a little, thousands of times, and count what its unit tests notice; an hour (MODULE=core/deploy/trailers: minutes)
	$(DEV) python tests/mutants/run.py $(MODULE)

.PHONY: bench bench-small
bench: ## measure the actions beside the plain tools at several sizes, and record it; an hour or more
	$(DEV) python -m benchmarks.run --write

bench-small: ## measure the small sizes, and say where a ratio fell by more than a third; minutes
	$(DEV) python -m benchmarks.run --small --compare

.PHONY: lint
lint: rooms ## ruff, mypy, actionlint, zizmor, shellcheck, the rooms, and the generated documentation
	$(DEV) ruff check .
	$(DEV) ruff format --check .
	$(DEV) mypy
	$(DEV) shellcheck scripts/run.sh .ci/run findings/*.sh benchmarks/*.sh
	$(DEV) python -I scripts local tool actionlint -- -ignore 'could not read reusable workflow file' .github/workflows/*.yml templates/*/.github/workflows/*.yml examples/*/*.yml
	$(DEV) zizmor --offline --pedantic --quiet .github actions templates examples/*/*.yml
	$(DEV) python -I scripts local docs --check

.PHONY: rooms
rooms: ## who may import whom, and what each room may do
	$(DEV) env PYTHONPATH=scripts lint-imports --no-cache --no-logo
	$(DEV) pytest --quiet tests/unit/test_architecture.py

.PHONY: format
format: ## let ruff write what lint asks for
	$(DEV) ruff check --fix .
	$(DEV) ruff format .

.PHONY: docs
docs: ## write the generated tables of READMEs and docs/
	$(DEV) python -I scripts local docs

.PHONY: lock
lock: ## resolve all dependencies again
	$(DEV) uv pip compile pyproject.toml --quiet --all-extras --group dev --universal --generate-hashes \
		--no-header --no-annotate --upgrade --output-file scripts/requirements.txt
	echo uv | $(DEV) uv pip compile - --quiet --universal --generate-hashes \
		--no-header --no-annotate --upgrade --output-file scripts/uv.txt
	$(DEV) python -I scripts/model_gitops_local/wheel_table.py
