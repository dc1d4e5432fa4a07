# One entry for everything; .venv is made here on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JAVASCRIPT := tests/contrib/emulator/javascript

.PHONY: demo test bench check format clean
.DELETE_ON_ERROR:

demo: $(VENV)/.base
	$(BIN)/holdfast demo

test: check
	$(BIN)/pytest -q -n auto

bench: $(VENV)/.dev
	@missed=0; \
	for part in download upload idle local start queries emulator; do \
		$(BIN)/python bench/$$part.py || missed=1; \
	done; exit $$missed

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell core plugins contrib docs README.md # tests make mistakes on purpose

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(JAVASCRIPT)/node_modules build dist .mypy_cache .ruff_cache .pytest_cache

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"

$(VENV)/.base: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.dev: $(VENV)/.base $(JAVASCRIPT)/package-lock.json
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev
	if command -v npm >/dev/null; then \
		npm ci --silent --no-audit --no-fund --prefix $(JAVASCRIPT) \
		|| echo "npm could not fetch the JavaScript client: it will not judge the emulator"; \
	else \
		echo "npm is not here: the JavaScript client will not judge the emulator"; \
	fi
	touch $@
