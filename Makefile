# Everything runs in .venv. The first target that needs it creates it: `run` and `demo` install what running needs, the
# other targets add the developer tools. `make` alone lists the targets. To test with another Python:
#     make test PYTHON=python3.13 VENV=.venv3.13
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

# The tests start many processes, and each would compile every module again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

.PHONY: help setup demo run test check test-browser test-campaigns test-deploy test-cluster test-comfyui test-ratios programs chromium deploy-programs comfyui comfyui-together comfyui-alone comfyui-matrix simulate-days bench format lock docs docs-site clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/runtime  ## install what running needs into .venv

demo: $(VENV)/runtime  ## run the service over a simulated fleet, on http://127.0.0.1:8799
	@echo "Starting the demo. Open http://127.0.0.1:8799/status; press Ctrl-C to stop it."
	@$(BIN)/python run.py serve --demo

run: $(VENV)/runtime  ## run the service over the servers in settings.json
	@echo "Starting the service with settings.json; press Ctrl-C to stop it."
	@$(BIN)/python run.py --settings settings.json serve

WORKERS ?= 5

test: $(VENV)/ready  ## run the tests: pure, in virtual time, over real sockets; WORKERS=5 in parallel
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
	$(BIN)/python -m pytest -m "alone and not comfyui and not browser"

check: $(VENV)/ready  ## check format, lint, strict types, import contracts, class names and names of tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.class_names
	$(BIN)/python -m tools.test_names

test-comfyui: comfyui-together comfyui-alone  ## test against real ComfyUI servers, which it installs

comfyui-together: comfyui
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "comfyui and not alone" --timeout 300 tests/comfyui

comfyui-alone: comfyui
	$(BIN)/python -m pytest -m "comfyui and alone" --timeout 300 tests/comfyui

comfyui-matrix: $(VENV)/ready  ## measure ComfyUI versions for the table in docs/comfyui.md; COMFYUI="FOLDER …" INSPIRE=FOLDER
	$(BIN)/python -m tests.comfyui.matrix --write $(if $(INSPIRE),--inspire $(INSPIRE)) $(COMFYUI)

test-browser: $(VENV)/ready chromium  ## test the page in a real Chromium, which it installs
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "browser and not alone" --timeout 180 tests/browser
	$(BIN)/python -m pytest -m "browser and alone" --timeout 180 tests/browser

test-deploy: $(VENV)/ready deploy-programs  ## test with a real HAProxy, nginx, Prometheus and dnsmasq, which it installs
	$(BIN)/python -m pytest -m deploy --timeout 180 tests/deploy tests/security

test-campaigns: $(VENV)/ready  ## run short campaigns: processes killed at any instant, simulated days, a soak
	$(BIN)/python -m pytest -n 3 -m campaign --timeout 300 tests/campaigns tests/simulation

test-cluster: $(VENV)/ready  ## test three daemons over three real NATS servers, with crashes and partitions
	$(BIN)/python -m pytest -n 2 -m cluster --timeout 300 tests/campaigns tests/cluster

test-ratios: $(VENV)/ready  ## test performance against baselines, on small fleets, and beside hostile servers
	$(BIN)/python -m pytest -m ratios --timeout 180

programs: chromium deploy-programs comfyui  ## install the programs that the tests above run

chromium:
	command -v chromium >/dev/null || apt-get install --yes --no-install-recommends chromium

deploy-programs:
	which dnsmasq haproxy nginx promtool prometheus systemd-analyze >/dev/null || \
		apt-get install --yes --no-install-recommends dnsmasq-base haproxy nginx-light prometheus systemd

comfyui: $(VENV)/ready
	$(BIN)/python -m tests.comfyui.install

FLEET ?= 10000

bench: $(VENV)/ready  ## measure every figure and write it to benchmarks/; FLEET=10000 sets the largest fleet
	$(BIN)/python -m benchmarks --fleet $(FLEET)

SEEDS ?= 200

simulate-days: $(VENV)/ready  ## simulate days of a fleet in virtual time, with faults, and planted faults; SEEDS=10000 for a long run
	$(BIN)/python -m campaigns.simulation --seeds $(SEEDS)
	$(BIN)/python -m campaigns.simulation --cluster --first 5 --seeds $$((($(SEEDS) + 99) / 100))
	$(BIN)/python -m campaigns.simulation --restarts --first 3 --seeds $$((($(SEEDS) + 19) / 20))
	$(BIN)/python -m campaigns.simulation --rollouts --first 20 --seeds $$((($(SEEDS) + 79) / 80))
	$(BIN)/python -m campaigns.simulation --planted-faults
	$(BIN)/python -m campaigns.simulation --restarts --planted-faults
	$(BIN)/python -m campaigns.simulation --planted-faults --cluster

format: $(VENV)/ready  ## format the code and apply safe lint fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/ready  ## generate docs/states.md and settings.schema.json from the code
	$(BIN)/python run.py diagram --markdown > docs/states.md
	$(BIN)/python run.py schema > settings.schema.json

docs-site: $(VENV)/ready  ## build docs/ as a web site in site/; fails on broken links
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

lock: $(VENV)/ready  ## pin every dependency with its hashes, without a registry URL
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --extra cluster pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --group dev pyproject.toml -o requirements-dev.txt

clean:  ## remove .venv
	rm -rf $(VENV)

# Both files pin the same versions, so .venv/ready only adds packages. An interrupted installation leaves no stamp and is
# repeated by the next make.
$(VENV)/runtime: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "comfywarm needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	@echo "Installing what running needs into $(VENV): about 120 MB. This may take a minute."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes -r requirements.txt
	@touch $@

$(VENV)/ready: $(VENV)/runtime requirements-dev.txt pyproject.toml
	@echo "Installing the developer tools into $(VENV): about 640 MB. This may take a few minutes."
	@$(PIP) install --no-compile --require-hashes -r requirements-dev.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@
