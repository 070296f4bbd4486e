# Every target works on a fresh machine with nothing but Python 3.11+ and pip; the second time it skips
# what is there. Settings go in front or behind: `make run PORT=9000 DATA_DIR=/srv/mediahub`.
SHELL := /bin/sh
PYTHON_IN_VENV := .venv/bin/python
install = @sh scripts/python.sh scripts/bootstrap.py
compile = UV_CUSTOM_COMPILE_COMMAND="make lock" .venv/bin/uv pip compile --quiet --universal --no-build \
	--python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate $(if $(UPGRADE),--upgrade)

.PHONY: help run test check format bench lock clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /	/' | expand -t 10

run: ## start MediaHub at http://127.0.0.1:8000/ (EXTRAS=1: with Whisper and OCR models)
	$(install) $(if $(EXTRAS),extras,runtime)
	@exec $(PYTHON_IN_VENV) -m mediahub --until-parent-ends

test: ## the whole suite, on SQLite and on PostgreSQL (ARGS=… goes to pytest, DATABASE=sqlite runs one)
	$(install) dev
	@$(PYTHON_IN_VENV) scripts/system_packages.py
	@exec $(PYTHON_IN_VENV) scripts/test.py $(ARGS)

check: ## lint, format, types, import contracts, migrations, API schema, deployment settings
	$(install) dev
	@exec $(PYTHON_IN_VENV) scripts/check.py $(ARGS)

format: ## write what `make check` wants of lint and format
	$(install) dev
	@.venv/bin/ruff check --fix --quiet . ; .venv/bin/ruff format --quiet .

bench: ## the benchmarks; a table, and bench/results/*.json
	$(install) dev
	@exec $(PYTHON_IN_VENV) -m bench $(ARGS)

lock: ## resolve the locks again from pyproject.toml (UPGRADE=1: to the newest that fit)
	$(install) dev
	@$(compile) --output-file locks/bootstrap.txt locks/bootstrap.in
	@$(compile) --output-file locks/dev.txt --all-extras pyproject.toml
	@$(compile) --output-file locks/extras.txt --constraints locks/dev.txt --extra ocr --extra whisper pyproject.toml
	@$(compile) --output-file locks/runtime.txt --constraints locks/dev.txt pyproject.toml

clean: ## remove .venv and what tools left; never data/
	@rm -rf .venv .venv.lock .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis test-results
