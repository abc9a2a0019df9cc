# All targets use .venv, which `make setup` creates from constraints.txt; EXTRAS='[semantic,app]' installs fewer packages.
PYTHON ?= python3
EXTRAS ?= [all]
VENV   := .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo app screenshots results docs test lint format bench notebooks weights clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(VENV)/ready ## create .venv with the pinned versions

ifneq ($(filter-out $(shell cat $(VENV)/ready 2>/dev/null),$(EXTRAS)),)
.PHONY: $(VENV)/ready  # .venv exists without these extras
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

demo: setup ## simulate scenarios/quickstart.yaml; tables, figure and image strip in runs/quickstart
	@$(BIN)/semcom run scenarios/quickstart.yaml --out runs/quickstart

app: setup ## start the interactive demo in the browser
	@$(BIN)/semcom app

screenshots: setup ## save screenshots of the demo in runs/screenshots, and those of the README in docs/
	@mkdir -p runs/screenshots
	@SEMCOM_SCREENSHOTS=runs/screenshots $(BIN)/python -m pytest tests/apps/test_app_browser.py -k widths
	@cp runs/screenshots/app_compare_desktop.png runs/screenshots/app_hide_desktop.png \
	  runs/screenshots/app_send_phone.png docs/

notebooks: setup ## execute the notebooks and save them as HTML pages in runs/notebooks
	@$(BIN)/python -m nbconvert --execute --to html --output-dir runs/notebooks notebooks/*.ipynb

results: setup ## render the results pages from results/; NAMES="a b" measures these again first (hours for some)
	@$(if $(NAMES),$(BIN)/python benchmarks/results.py run $(NAMES) --workers 2,$(BIN)/python benchmarks/results.py render)

weights: setup ## train the bundled networks again and compare them, as in NAMES="scene_segmenter"; days for all
	@$(BIN)/python recipes/make.py $(NAMES)

docs: setup ## build the documentation site in docs/_build/html; notebooks run once and are cached
	@$(BIN)/python -m sphinx -W -n --keep-going -q -b html docs docs/_build/html
	@echo docs/_build/html/index.html

test: setup ## run all tests; ends early after 20 failures
	@$(BIN)/python -m pytest -n 2 --maxfail 20

lint: setup ## check format, lint rules and types
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/mypy apps/demo.py apps/semcom_demo apps/pages_

format: setup ## format all Python files
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: setup ## measure the speed of the LDPC decoder and of the channels, compared with Sionna
	@$(BIN)/python benchmarks/ldpc.py --out runs/bench && $(BIN)/python benchmarks/channel_models.py --out runs/bench

clean: ## remove .venv and caches; runs/ is not removed
	@rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache build *.egg-info
