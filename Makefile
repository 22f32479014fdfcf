# make demo: set everything up and serve the page.  make test: set up what the tests need and run them.
# PROCESSES: in how many processes the tests run, a file at a time.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN = .venv/bin
PROCESSES ?= 2

.PHONY: demo test test-slow lint wheels clean

demo: .venv/app
	$(BIN)/python -m kb ingest wikipedia-vital
	$(BIN)/python app.py

# What is compiled is kept, whatever the surroundings say: else every program that a test starts compiles all of it.
test: export PYTHONDONTWRITEBYTECODE =
test: .venv/dev lint
	$(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile

# The tests that take long.
test-slow: .venv/dev
	$(BIN)/python -m pytest -m slow

lint: .venv/dev
	$(BIN)/ruff check .

# Whether every requirement has a wheel for those other interpreters that are here.
wheels:
	for python in python3.12 python3.13; do \
	  $$python -c '' 2>/dev/null || continue; \
	  $$python -m pip install --quiet --dry-run --ignore-installed --only-binary=:all: -r requirements.txt || exit 1; \
	  echo "$$python: every requirement has a wheel"; \
	done

# The markers .venv/app and .venv/dev say that what the requirements name is installed.
.venv/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=")'
	$(PYTHON) -m venv .venv
	touch $@

.venv/app: .venv/python requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

.venv/dev: .venv/app requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

clean:
	rm -rf .venv
