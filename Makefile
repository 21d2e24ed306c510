# make demo     a working plant on this machine
# make test     every test that can run here
# make check    the gates: format, lint, types, layers, generated files
# make bench    what is fast, measured (ONLY=plant, ONLY=security)
# make release  wheel, sources, SBOM, sums, signed (LINESHAFT_RELEASE_KEY=file)
# make torture  a plant whose processes are killed (KILLS=200 SEED=1 REPORT=file)

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
UI := $(shell find frontend -type f -not -path '*/node_modules/*' 2>/dev/null)

.PHONY: demo setup dev-setup peers test check bench torture lock generated clean \
  sbom release vulnerabilities

demo: setup
	@$(BIN)/lineshaft demo

setup: .venv/.ready src/lineshaft/web/static/.hash

dev-setup: setup .venv/.dev-ready

.venv/.ready: requirements/run.txt pyproject.toml
	@echo "setting up .venv (once)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Lineshaft needs Python 3.11 or newer; set PYTHON=..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv \
	  || { rm -rf .venv; echo "install the Debian package python3-venv"; exit 1; }
	@$(PIP) install --require-hashes -r requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev-ready: requirements/dev.txt .venv/.ready
	@echo "setting up what tests and checks need"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

src/lineshaft/web/static/.hash: .venv/.ready hatch_build.py $(UI)
	@$(BIN)/python hatch_build.py

# Servers from npm against which we test, run by the Node in .venv.
peers: dev-setup
	@$(BIN)/python tests/support/install_peers.py

test: dev-setup peers
	@$(BIN)/python -m pytest -n 2 --dist loadgroup

check: dev-setup
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m pytest tests/architecture

bench: dev-setup peers
	@$(BIN)/python bench/run.py $(ONLY)

torture: dev-setup peers
	@$(BIN)/python tests/torture/$(if $(DAY),day.py --minutes $(DAY),run.py \
	  --kills $(or $(KILLS),200) --seed $(or $(SEED),1)) $(if $(REPORT),--report $(REPORT))

generated: setup
	@$(BIN)/python docs/generate.py

# New versions within the ranges of pyproject.toml, with hashes and no addresses.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
  --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate \
  --no-header --upgrade
lock: dev-setup
	@$(LOCK) pyproject.toml --group build -o requirements/run.txt
	@$(LOCK) pyproject.toml --group build --group dev -o requirements/dev.txt

# What we are made of (CycloneDX 1.6), of the versions that are pinned.
sbom: setup
	@mkdir -p dist
	@$(BIN)/python release.py sbom dist/lineshaft.cdx.json

release: dev-setup
	@LINESHAFT_REQUIRE_UI=1 $(BIN)/python release.py build

# Asks a public source; not part of the gates, since it may be out of reach.
vulnerabilities: setup
	@$(BIN)/python release.py vulnerabilities

clean:
	@rm -rf .venv src/lineshaft/web/static frontend/node_modules
