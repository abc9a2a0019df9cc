# Everything runs inside .venv, which `make setup` creates from constraints.txt; EXTRAS='[onnx,ray,tensorflow]' adds these.
PYTHON ?= python3
EXTRAS ?=
VENV   := .venv
BIN    := $(VENV)/bin
RUN    := OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1}

.DEFAULT_GOAL := help
.PHONY: help setup demo app screenshots test lint format bench notebooks clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(VENV)/ready ## create .venv with the pinned versions

ifneq ($(filter-out $(shell cat $(VENV)/ready 2>/dev/null),$(EXTRAS)),)
.PHONY: $(VENV)/ready  # made before, without these extras
endif

$(VENV)/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "semcom needs Python 3.11 or newer: run make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@if command -v uv >/dev/null 2>&1; then \
	  uv venv --quiet --allow-existing --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV) && \
	  uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable ".$(EXTRAS)" --group dev; \
	else \
	  $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet 'pip==26.3' && \
	  $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".$(EXTRAS)" --group dev; \
	fi
	@echo '$(EXTRAS)' > $@

demo: setup ## sweep real photos over the air; table, figure and picture strip in runs/quickstart
	@$(RUN) $(BIN)/semcom run scenarios/quickstart.yaml --out runs/quickstart

app: setup ## start the interactive demo in the browser
	@$(RUN) $(BIN)/semcom app

screenshots: setup ## pictures of the demo, taken by its browser test, in runs/screenshots; those of the README in docs/
	@mkdir -p runs/screenshots
	@$(RUN) SEMCOM_SCREENSHOTS=runs/screenshots $(BIN)/python -m pytest tests/test_app_browser.py -k screenshots
	@cp runs/screenshots/app_compare_desktop.png runs/screenshots/app_hide_desktop.png \
	  runs/screenshots/app_send_phone.png docs/

notebooks: setup ## execute the teaching notebooks and render them as pages in runs/notebooks
	@$(RUN) $(BIN)/python -m nbconvert --execute --to html --output-dir runs/notebooks notebooks/*.ipynb

test: setup ## run all tests
	@$(RUN) $(BIN)/python -m pytest -n 2

lint: setup ## format check, lint and types
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/mypy apps/demo.py apps/semcom_demo apps/pages_

format: setup ## rewrite files in the house format
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: setup ## speed of the LDPC decoder and the channels beside Sionna, in one run
	@$(BIN)/python benchmarks/ldpc.py --out runs/bench && $(BIN)/python benchmarks/air.py --out runs/bench/air.json

clean: ## remove .venv and caches, never runs/
	@rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache build *.egg-info
