# make run     everything, on http://127.0.0.1:8000 (PORT=8001 make run for another)
# make test    the suite on SQLite, again on a PostgreSQL that it brings, and in a browser
# make coverage  the suite on PostgreSQL, and which branches it did not reach
# make lint    every check that CI makes;  make format  fixes what a program can fix
# make screenshots  pictures of every page, in docs/screenshots
# make lock    writes requirements*.txt anew after a change in requirements*.in
# make messages  brings the pt-BR catalogue up to date
# Needs Python 3.11 or newer; PYTHON=/path/to/python chooses one.

SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet install --require-hashes
JOBS ?= auto
# Tests of the whole program in a browser, beside whose processes others would only be slow.
IN_BROWSER := config/tests/browser
APART := --ignore=$(IN_BROWSER)

# The deployment that `check --deploy` looks at, and the settings of the other checks.
DEPLOYED := SITE_URL=https://atende.example ALLOWED_HOSTS=atende.example DEBUG=off \
	SECRET_KEY=check-only-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJ \
	FIELD_ENCRYPTION_KEY=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
CHECKED := DJANGO_SETTINGS_MODULE=config.settings_test

# Installs a Debian package where that is possible; fails without a word where it is not.
apt_install = { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "Installing $(1)…" \
	&& { apt-get -qq update && apt-get -qq install -y --no-install-recommends $(1); } >/dev/null; }

.PHONY: help run test test-sqlite test-postgres test-browser browser screenshots lint lint-hooks lint-django lint-flows \
	lint-messages coverage format messages lock clean gettext

help:
	@sed -n 's/^# //p' Makefile | head -8

run: .venv/run.stamp
	@exec $(BIN)/python -m config.first_run

# All runs always happen, so that one failure does not hide another.
test: .venv/dev.stamp browser
	@status=0; \
	$(MAKE) --no-print-directory test-sqlite || status=1; \
	$(MAKE) --no-print-directory test-postgres || status=1; \
	$(MAKE) --no-print-directory test-browser || status=1; \
	exit $$status

test-sqlite: .venv/dev.stamp
	@echo "── tests on SQLite"
	@TEST_DB=sqlite $(BIN)/pytest -n $(JOBS) --maxprocesses=4 -q $(ARGS)

test-postgres: .venv/dev.stamp
	@echo "── tests on PostgreSQL"
	@TEST_DB=pg $(BIN)/pytest -n $(JOBS) --maxprocesses=4 -q $(APART) $(ARGS)

# A process and a site of its own for each file.
test-browser: .venv/dev.stamp browser
	@echo "── tests in a browser"
	@TEST_DB=pg $(BIN)/pytest -n $(JOBS) --maxprocesses=2 --dist loadfile -q $(ARGS) $(IN_BROWSER)

coverage: .venv/dev.stamp
	@TEST_DB=pg $(BIN)/pytest -n $(JOBS) --maxprocesses=4 -q --cov --cov-report=term $(APART) $(ARGS)

screenshots: .venv/dev.stamp browser
	@$(BIN)/python -m config.tests.browser.screenshots docs/screenshots

browser:
	@has_browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null; \
	has_browser || $(call apt_install,chromium) || true; \
	has_browser || echo "!!! NO CHROMIUM: BROWSER TESTS ARE SKIPPED (apt-get install chromium)"

lint: .venv/dev.stamp
	@$(MAKE) --no-print-directory --keep-going lint-hooks lint-django lint-flows lint-messages

lint-hooks: .venv/dev.stamp
	@$(BIN)/pre-commit run --all-files

lint-django: .venv/dev.stamp
	@$(DEPLOYED) $(BIN)/python manage.py check --deploy --fail-level WARNING
	@$(CHECKED) $(BIN)/python manage.py makemigrations --check --dry-run

lint-flows: .venv/dev.stamp
	@$(CHECKED) $(BIN)/python manage.py check_flows

lint-messages: .venv/dev.stamp gettext
	@$(CHECKED) $(BIN)/python -m config.lint.messages

messages: .venv/dev.stamp gettext
	@$(CHECKED) $(BIN)/python -m config.lint.messages --update

gettext:
	@command -v msgfmt >/dev/null || $(call apt_install,gettext) || true; \
	command -v msgfmt >/dev/null || { echo "gettext is missing: apt-get install gettext" >&2; exit 1; }

format: .venv/dev.stamp
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@$(BIN)/djlint --reformat --quiet templates || true

LOCK := UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --universal \
	--python-version 3.11 --generate-hashes --no-emit-index-url --no-strip-extras
lock: .venv/dev.stamp
	$(LOCK) requirements.in -o requirements.txt
	$(LOCK) requirements-dev.in -o requirements-dev.txt

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

# A stamp is newer than its lock file, or the lock is installed again.
.venv/run.stamp: requirements.txt | .venv/bin/pip
	@echo "Installing what Atende needs…"
	@$(PIP) -r requirements.txt
	@touch $@

.venv/dev.stamp: requirements-dev.txt | .venv/bin/pip
	@echo "Installing what Atende and its tests need…"
	@$(PIP) -r requirements-dev.txt
	@touch $@ .venv/run.stamp

.venv/bin/pip:
	@[ -n "$(PYTHON)" ] || { echo "Atende needs Python 3.11 or newer; none was found." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "Atende needs Python 3.11 or newer; $(PYTHON) is older." >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "$(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2; exit 1; }
