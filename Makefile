# Every target sets up what it needs.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
DATA ?=
SEEDS ?= 20
MINUTES ?= 30
WORKERS ?= 2

.PHONY: setup demo test lint stack bench soak clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: setup
	$(RUN)/tapewire demo $(if $(DATA),--data $(DATA)) $(ARGS)

test: setup
	$(RUN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

lint: setup
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/lint-imports

stack: setup
	tests/stack/stack.sh start

bench: setup
	$(RUN)/python -m tests.bench $(ARGS)

soak: setup
	$(RUN)/python -m tests.integration.faults.soak --seeds $(SEEDS) --minutes $(MINUTES) $(ARGS)

clean:
	-tests/stack/stack.sh purge
	rm -rf .tapewire .stack
