# Everything runs in .venv, which the first target that needs it makes. See README.md.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo run test check test-browser test-deploy test-cluster test-comfyui test-ratios simulate-days bench format lock docs docs-site clean

demo: .venv/ready  ## the service over an embedded simulated fleet, on http://127.0.0.1:8799
	$(BIN)/python run.py serve --demo

run: .venv/ready  ## the service over the servers of settings.json
	$(BIN)/python run.py --settings settings.json serve

test: .venv/ready  ## pure, virtual time and real sockets
	$(BIN)/python -m pytest

check: .venv/ready  ## format, lint, strict types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test-comfyui: .venv/ready  ## the same service against real ComfyUI servers, which it installs
	$(BIN)/python -m tests.comfyui.install
	$(BIN)/python -m pytest -m comfyui --timeout 300

test-browser: .venv/ready  ## the page in a real Chromium, which it installs
	command -v chromium >/dev/null || apt-get install --yes --no-install-recommends chromium
	$(BIN)/python -m pytest -m browser --timeout 180

test-deploy: .venv/ready  ## behind a real HAProxy, scraped by a real Prometheus; it installs them
	command -v haproxy promtool prometheus systemd-analyze >/dev/null || \
		apt-get install --yes --no-install-recommends haproxy prometheus systemd
	$(BIN)/python -m pytest -m deploy --timeout 180

test-cluster: .venv/ready  ## three real NATS servers and three daemons, killed, frozen and cut off
	$(BIN)/python -m pytest -m cluster --timeout 300

test-ratios: .venv/ready  ## what must not become slower, beside its baseline, on small fleets
	$(BIN)/python -m pytest -m ratios --timeout 180

FLEET ?= 10000

bench: .venv/ready  ## every figure beside its baseline, written to benchmarks/; FLEET=10000 is the largest fleet
	$(BIN)/python -m benchmarks --fleet $(FLEET)

SEEDS ?= 200

simulate-days: .venv/ready  ## days of fleets' lives in virtual time, with faults; SEEDS=10000 for the long run
	$(BIN)/python -m tests.simulation --seeds $(SEEDS)

format: .venv/ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: .venv/ready  ## the pages that are generated from the code
	$(BIN)/python run.py diagram --markdown > docs/states.md
	$(BIN)/python run.py schema > settings.schema.json

docs-site: .venv/ready  ## build docs/ as a web site in site/; fails on broken links
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

lock: .venv/ready  ## pin every dependency with its hashes; names no registry
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --extra cluster pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --group dev pyproject.toml -o requirements-dev.txt

clean:
	rm -rf .venv

.venv/ready: requirements-dev.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "comfywarm needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@
