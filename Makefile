# Everything a developer does here. Only Python 3.11 or later, make and git have to be there; the rest comes from the lock.
#
# Every install names its hashes, builds nothing from source that is not listed here, and lets no build step fetch
# anything on its own: a package that was tampered with fails the install.

PYTHON ?= python3
VENV ?= .venv
UV ?= uv
ARGS ?=
PYTEST_ARGS ?=
WORKERS ?= 4
LOCK_ARGS ?=
LOAD_PORT ?= 8080
LOAD_MANAGEMENT_PORT ?= 8081
LOAD_ARGS ?= --users 50 --spawn-rate 25 --run-time 20s
LOAD_TIME ?= 20

PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet
LOCKED := $(PIP) install --require-hashes --no-build-isolation --only-binary=:all:
# The one package of the test tools that is published as source only; setuptools, which builds it, is in the lock.
LOCKED_DEV := $(LOCKED) --no-binary=forbiddenfruit --use-pep517
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate $(LOCK_ARGS)
SWAGGER := tests/e2e/swagger
CLIENTS := tests/e2e/clients
OIDC_PROVIDER := loadtests/bench/oidc_provider
NODE_PEERS := loadtests/bench/node_peers
RSYSLOG_TLS := $(foreach cpu,x86_64 aarch64,/usr/lib/$(cpu)-linux-gnu/rsyslog/lmnsd_gtls.so)
FAKETIME := $(foreach cpu,x86_64 aarch64,/usr/lib/$(cpu)-linux-gnu/faketime/libfaketimeMT.so.1)

# Hundreds of processes of ours start in a run of the tests: each would compile the whole program anew.
unexport PYTHONDONTWRITEBYTECODE

# All of them: side by side where tests share nothing, then those that start a whole gateway, a file on one worker, and
# at last, one after the other, those that look at its time and memory. Two workers for each of two CPUs: a test waits
# for half of its time, for a database, a browser or another process.
ifeq ($(strip $(PYTEST_ARGS)),)
TESTS = $(PY) -m pytest -n $(WORKERS) --ignore=tests/e2e \
	&& $(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not alone" tests/e2e \
	&& $(PY) -m pytest -m alone tests/e2e
else
TESTS = $(PY) -m pytest $(PYTEST_ARGS)
endif

RUNTIME := $(VENV)/.runtime $(VENV)/.project
DEV := $(VENV)/.dev $(VENV)/.project

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check format docs docs-serve load load-all soak bench bench-login bench-token bench-connections bench-oracle bench-imports bench-tenants bench-audit bench-everywhere sbom lock install e2e-tools clean

help: ## Print this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-20s%s\n", $$1, $$2 }'

demo: $(RUNTIME) ## Run the demo: two tenants, an API behind the gateway, curl lines to copy (ARGS="--port 9090 ...")
	@$(VENV)/bin/yett demo $(ARGS)

test: $(DEV) e2e-tools ## Run every test (PYTEST_ARGS="-x tests/policies")
	$(TESTS)

check: $(DEV) e2e-tools ## Every gate: format, lint, types, import contracts, tests
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(TESTS)

format: $(DEV) ## Rewrite the code as the formatter wants it
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

soak: $(DEV) ## The long forms of the tests that `make test` runs at a smaller size
	YETT_TEST_SOAK=1 $(PY) -m pytest -m soak $(PYTEST_ARGS)

docs: $(DEV) ## The documents as a site, in build/site
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --quiet --strict
	@echo "build/site/index.html"

docs-serve: $(DEV) ## Serve that site at http://127.0.0.1:8000, anew at each change (ARGS="--dev-addr 127.0.0.1:9000")
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs serve $(ARGS)

load: $(DEV) ## Put locust's users on the demo for 20 s and print the table (LOAD_ARGS="--users 200 ...")
	@mkdir -p build
	@$(VENV)/bin/yett demo --port $(LOAD_PORT) --management-port $(LOAD_MANAGEMENT_PORT) >build/load-demo.log 2>&1 & demo=$$!; \
	trap 'kill $$demo 2>/dev/null; wait $$demo 2>/dev/null' EXIT INT TERM; \
	ready='import urllib.request; urllib.request.urlopen("http://127.0.0.1:$(LOAD_MANAGEMENT_PORT)/readyz", timeout=2)'; \
	tries=0; until $(PY) -c "$$ready" 2>/dev/null; do \
		tries=$$((tries + 1)); \
		if [ $$tries -gt 100 ] || ! kill -0 $$demo 2>/dev/null; then echo "The demo did not start; see build/load-demo.log." >&2; exit 1; fi; \
		sleep 0.1; \
	done; \
	$(VENV)/bin/locust --locustfile loadtests/locustfile.py --headless --only-summary --identity-url http://localhost:$(LOAD_PORT) --api-url http://127.0.0.1:$(LOAD_PORT) $(LOAD_ARGS)

load-all: $(DEV) ## Every load scenario for LOAD_TIME seconds (20) against two processes on a PostgreSQL of its own (ARGS="--only login")
	$(PY) loadtests/bench/load_all.py --seconds $(LOAD_TIME) $(ARGS)

bench: $(DEV) $(NODE_PEERS)/node_modules/.package-lock.json ## Requests/s of the proxied path beside HAProxy and Fastify (needs haproxy, nginx, wrk, h2load, node)
	$(PY) loadtests/bench/proxy.py $(ARGS)

bench-login: $(DEV) ## Logins/s beside Argon2id alone, and the proxied path meanwhile (needs nginx)
	$(PY) loadtests/bench/login.py $(ARGS)

bench-token: $(DEV) $(OIDC_PROVIDER)/node_modules/.package-lock.json ## Tokens/s of one core beside npm's oidc-provider (needs node, npm and wrk)
	$(PY) loadtests/bench/tokens.py $(ARGS)

$(OIDC_PROVIDER)/node_modules/.package-lock.json $(NODE_PEERS)/node_modules/.package-lock.json: %/node_modules/.package-lock.json: %/package-lock.json
	@sh .ci/bring npm "it fetches what is measured beside" npm
	cd $* && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

bench-connections: $(DEV) ## 10,000 idle connections, 1,000 WebSockets and 1,000 event streams on one process
	$(PY) loadtests/bench/connections.py $(ARGS)

bench-oracle: $(DEV) ## Whether the time of a login tells who has an account (20 minutes)
	$(PY) loadtests/bench/oracle.py $(ARGS)

bench-imports: $(DEV) ## A million users into SQLite, with another writer beside it
	$(PY) loadtests/bench/imports.py $(ARGS)

bench-tenants: $(DEV) ## Start, memory and logins of 10 to 10,000 tenants with 100 users each
	$(PY) loadtests/bench/many_tenants.py $(ARGS)

bench-audit: $(DEV) ## A million events into the audit log and its tree, proofs, an export and its verification
	$(PY) loadtests/bench/audit.py $(ARGS)

bench-everywhere: $(DEV) ## How soon changes are acted on in 8 processes of 2 pods, and what limits let through (needs nginx)
	$(PY) loadtests/bench/everywhere.py $(ARGS)

sbom: $(RUNTIME) ## What the runtime is made of, as CycloneDX JSON: build/sbom.cdx.json
	@$(PY) .ci/sbom.py requirements/runtime.txt build/sbom.cdx.json
	@echo "build/sbom.cdx.json"

lock: ## Resolve the dependencies anew into requirements/*.txt (LOCK_ARGS="--upgrade"; UV=/path/to/uv)
	@command -v $(UV) >/dev/null || { echo "make lock needs uv (set UV=/path/to/uv); CONTRIBUTING.md says how to get it." >&2; exit 1; }
	$(COMPILE) --extra dev --output-file requirements/dev.txt pyproject.toml requirements/build.in
	$(COMPILE) --constraint requirements/dev.txt --output-file requirements/runtime.txt pyproject.toml
	$(COMPILE) --constraint requirements/dev.txt --output-file requirements/build.txt requirements/build.in

install: $(DEV) ## Make the virtual environment with everything in it, and stop there

clean: ## Remove the virtual environment and what tests and tools leave behind
	rm -rf $(VENV) $(SWAGGER)/node_modules $(CLIENTS)/node_modules $(OIDC_PROVIDER)/node_modules $(NODE_PEERS)/node_modules build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# -- the virtual environment; each stamp is as old as the last install from the file that it stands for ---------------

$(PY):
	@command -v $(PYTHON) >/dev/null || { echo "No '$(PYTHON)' here. Yett needs Python 3.11 or later: set PYTHON=/path/to/python3." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Yett needs Python 3.11 or later, and $(PYTHON) is " + sys.version.split()[0] + ": set PYTHON=/path/to/python3.")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "This Python cannot make virtual environments: install its venv module (on Debian: apt-get install python3-venv)." >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)

$(VENV)/.build: requirements/build.txt | $(PY)
	$(LOCKED) -r requirements/build.txt
	@touch $@

$(VENV)/.runtime: requirements/runtime.txt $(VENV)/.build
	$(LOCKED) -r requirements/runtime.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.build
	$(LOCKED_DEV) -r requirements/dev.txt
	@touch $@

$(VENV)/.project: pyproject.toml $(VENV)/.build
	$(PIP) install --no-index --no-deps --no-build-isolation --editable .
	@touch $@

# -- what the end-to-end tests drive: a browser, Swagger UI's files, and client libraries -------------------------------

e2e-tools: $(SWAGGER)/node_modules/.package-lock.json $(CLIENTS)/node_modules/.package-lock.json
	@sh .ci/bring chromium "the end-to-end tests drive it" chromium chromium-browser google-chrome
	@sh .ci/bring nginx "the tests of forward auth put it in front of the gateway" nginx
	@sh .ci/bring rsyslog "the tests of sinks send it audit events" rsyslogd /usr/sbin/rsyslogd
	@sh .ci/bring rsyslog-gnutls "and do so over TLS" $(RSYSLOG_TLS)
	@sh .ci/bring wrk "the tests of the token benchmark run its script" wrk
	@sh .ci/bring faketime "a test steps the clock of a gateway with it" $(FAKETIME)
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' || { echo "The end-to-end tests need Node.js 20 or later, and this is $$(node --version)." >&2; exit 1; }

$(SWAGGER)/node_modules/.package-lock.json $(CLIENTS)/node_modules/.package-lock.json: %/node_modules/.package-lock.json: %/package-lock.json
	@sh .ci/bring npm "it fetches Swagger UI's files and client libraries for the end-to-end tests" npm
	cd $* && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@
