# Everything runs from the repository's own .venv, through `python -m`: that works from a folder with a space in its path.
# Targets are relative paths for the same reason.

PYTHON ?= python3
TORCH ?= cpu
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
DEMO_OUT ?= runs/demo
FLOOR_TORCH ?= 2.7.0
LOCKED ?=
RUN := .venv/bin/python -m
STAMP := .venv/.ready

# A fresh shell hides no failure, and a half-written file is deleted.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast test-floors lint format docs bench build release-check lock floors sbom clean clean-all

help:  ## This list
	@echo "make TARGET, where TARGET is one of:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' Makefile
	@echo "Set-up takes the CPU build of torch. For CUDA: make clean-all && make setup TORCH=cuda"
	@echo "Another Python (3.11 or newer): make setup PYTHON=python3.12"

setup: $(STAMP)  ## Create .venv and install everything the other targets need (they call it themselves)

# On Linux PyPI's torch is the CUDA build (gigabytes). PyTorch's own index has the CPU build; where that index cannot be
# reached, pip would retry it for every package, so ask once, briefly, and go on with PyPI alone.
# LOCKED=1 takes every package but torch from constraints/lock.txt, whose hashes pip checks, and resolves nothing.
$(STAMP): pyproject.toml constraints/cpu.txt constraints/lock.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, $(PYTHON) is older or missing: make setup PYTHON=python3.12" >&2; exit 1; }
	@test -e .venv/bin/pip || "$(PYTHON)" -m venv .venv
	@echo "setting up .venv with torch for $(TORCH): a few minutes the first time"
	@index=(); \
	if [ "$(TORCH)" = cpu ] && [ "$$(uname -s)" = Linux ]; then \
	  if .venv/bin/python -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)' \
	      "$(TORCH_INDEX)/torch/" 2> /dev/null; then index=(--extra-index-url "$(TORCH_INDEX)"); \
	  else echo "note: $(TORCH_INDEX) cannot be reached; taking torch from the configured index"; fi; fi; \
	if [ -n "$(LOCKED)" ]; then \
	  $(RUN) pip install -q --disable-pip-version-check --no-deps --require-hashes -r constraints/lock.txt; \
	  $(RUN) pip install -q --disable-pip-version-check --no-deps $${index[@]+"$${index[@]}"} -r constraints/cpu.txt; \
	  $(RUN) pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .; \
	  $(RUN) pip check; \
	else \
	  $(RUN) pip install -q --disable-pip-version-check $${index[@]+"$${index[@]}"} -c constraints/cpu.txt torch; \
	  $(RUN) pip install -q --disable-pip-version-check -c constraints/cpu.txt -e '.[all,aeon,dev]'; \
	fi
	@touch "$@"

demo: $(STAMP)  ## Pretrain, embed, probe and report on series, tracks and films, with the controls beside (about 2 minutes)
	@$(RUN) temporal_jepa demo --out "$(DEMO_OUT)"

test: $(STAMP)  ## All tests and doctests, on two processes
	@$(RUN) pytest -n 2 --dist worksteal $(ARGS)

test-fast: $(STAMP)  ## The tests that take no more than a few seconds each
	@$(RUN) pytest -n 2 --dist worksteal -m "not slow" $(ARGS)

test-floors:  ## The quick tests on the lowest versions that pyproject.toml allows, with Python 3.11 in .venv-floors
	@test -e .venv-floors/bin/pip || "$(PYTHON)" -m venv .venv-floors
	@.venv-floors/bin/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	  { echo "the lowest versions have wheels for Python 3.11: rm -r .venv-floors && make test-floors PYTHON=python3.11" >&2; exit 1; }
	@torch="torch==$(FLOOR_TORCH)"; index=(--extra-index-url "$(TORCH_INDEX)"); \
	if ! .venv-floors/bin/python -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)' \
	    "$(TORCH_INDEX)/torch/" 2> /dev/null; then torch="$$(grep ^torch constraints/cpu.txt)"; index=(); \
	  echo "note: $(TORCH_INDEX) cannot be reached; taking $$torch in place of torch==$(FLOOR_TORCH)"; fi; \
	.venv-floors/bin/python -m pip install -q --disable-pip-version-check $${index[@]+"$${index[@]}"} \
	  -c constraints/floors.txt "$$torch" -e '.[all,aeon,dev]'
	@.venv-floors/bin/python -m pytest -n 2 --dist worksteal -m "not slow" -W ignore::DeprecationWarning -W ignore::PendingDeprecationWarning \
	  -W ignore::FutureWarning $(ARGS)

lint: $(STAMP)  ## ruff (rules, complexity, line length and format) and mypy --strict
	@failed=0; $(RUN) ruff check . || failed=1; $(RUN) ruff format --check . || failed=1; \
	$(RUN) mypy --strict temporal_jepa || failed=1; exit $$failed

format: $(STAMP)  ## Let ruff rewrite what it can
	@$(RUN) ruff check --fix .
	@$(RUN) ruff format .

docs: $(STAMP)  ## Build the documentation into docs/_build/html; a warning is an error
	@$(RUN) sphinx -q -W --keep-going -E -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

build: $(STAMP)  ## Build the sdist and the wheel into dist/
	@$(RUN) build --no-isolation --outdir dist .

# Two environments: one that builds and checks, and an empty one that gets the wheel and what it requires, no extras.
release-check:  ## Build sdist and wheel, check them with twine --strict, install the wheel alone and use it
	@rm -rf dist .venv-release/empty
	@test -x .venv-release/tools/bin/twine || { "$(PYTHON)" -m venv .venv-release/tools; \
	  .venv-release/tools/bin/python -m pip install -q --disable-pip-version-check build twine; }
	@.venv-release/tools/bin/python -m build --outdir dist . > /dev/null
	@.venv-release/tools/bin/python -m twine check --strict dist/*
	@"$(PYTHON)" -m venv .venv-release/empty
	@index=(); if .venv-release/empty/bin/python -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)' \
	    "$(TORCH_INDEX)/torch/" 2> /dev/null; then index=(--extra-index-url "$(TORCH_INDEX)"); fi; \
	.venv-release/empty/bin/python -m pip install -q --disable-pip-version-check $${index[@]+"$${index[@]}"} -c constraints/cpu.txt dist/*.whl
	@.venv-release/empty/bin/python -m pip check
	@here="$$PWD"; new=$$(mktemp -d); trap 'rm -r "$$new"' EXIT; cd "$$new"; \
	export PATH="$$here/.venv-release/empty/bin:$$PATH"; \
	version=$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$$here/temporal_jepa/version.py"); \
	test "$$(temporal-jepa --version)" = "temporal-jepa $$version"; \
	python -c 'import temporal_jepa, sys; assert sys.prefix in temporal_jepa.__file__, temporal_jepa.__file__'; \
	python -c 'print("a,b", *(f"{t % 7},{t % 5}" for t in range(400)), sep="\n")' > data.csv; \
	temporal-jepa inspect data.csv --layout recording --window 20 --json; \
	temporal-jepa pretrain --data data.csv --layout recording --window 20 --out run --init-from scratch --steps 4 --json > /dev/null; \
	temporal-jepa embed run data.csv --json; \
	temporal-jepa embed series-small data.csv --layout recording --window 20 --json; \
	echo "release $$version: dist/ is built, checked and works; to tag it, date its section of CHANGELOG.md"

lock: $(STAMP)  ## Write what .venv holds, but torch, to constraints/lock.txt with hashes (clean-all and setup first to go up)
	@test -x .venv-lock/bin/uv || { "$(PYTHON)" -m venv .venv-lock; .venv-lock/bin/python -m pip install -q uv; }
	@{ echo '# Every package of set-up, tests and CI but torch, with its hashes: made by `make lock`, read by `make setup LOCKED=1`.'; \
	  $(RUN) pip freeze --all --exclude-editable | grep -vi '^\(torch\|pip\)[ =]' | .venv-lock/bin/uv pip compile -q --no-deps --generate-hashes \
	    --no-header --no-annotate -; } > constraints/lock.new
	@mv constraints/lock.new constraints/lock.txt; wc -l constraints/lock.txt

floors:  ## Write the lowest versions that pyproject.toml allows, and what they need, to constraints/floors.txt
	@test -x .venv-lock/bin/uv || { "$(PYTHON)" -m venv .venv-lock; .venv-lock/bin/python -m pip install -q uv; }
	@{ echo '# The lowest versions that pyproject.toml allows and the newest of what these need, for Python 3.11 and'; \
	  echo '# without torch: made by `make floors`, read by `make test-floors`.'; \
	  .venv-lock/bin/python constraints/floors.py | .venv-lock/bin/uv pip compile -q --python-version 3.11 --only-binary :all: --no-header \
	    --no-annotate - | grep -v '^\(torch\|triton\|sympy\|nvidia-.*\|cuda-.*\)='; } > constraints/floors.new
	@mv constraints/floors.new constraints/floors.txt; wc -l constraints/floors.txt

sbom: $(STAMP)  ## List what is installed as CycloneDX 1.6 in dist/sbom.json
	@.venv/bin/python constraints/sbom.py dist/sbom.json

bench: $(STAMP)  ## Say how each number of the benchmarks is reproduced
	@cat benchmarks/README.md

clean:  ## Remove what builds and tests wrote; runs/ and .venv stay
	@rm -rf build dist docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

clean-all: clean  ## The same, and .venv
	@rm -rf .venv .venv-lock .venv-floors .venv-release
