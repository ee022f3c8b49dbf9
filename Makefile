# Two commands on a fresh machine: `make lab` to use the workbench, `make test` to check it.
# They need Python 3.11 or newer, a network the first time, and nothing else. All they make stays in this folder.

# The first of these that is new enough and can make an environment; `make lab PYTHON=...` takes another.
PYTHON = python3.13 python3.12 python3.11 python3 python
# More words for the command that is run: make test ARGS="-k name", make lab ARGS=--no-browser
ARGS =

# Every tool's cache and settings, so that nothing is written outside this folder. HOME is left alone: pip and npm
# read there which registry this machine uses.
CACHE := $(CURDIR)/.cache
export PIP_CACHE_DIR := $(CACHE)/pip
export npm_config_cache := $(CACHE)/npm
export NODE_COMPILE_CACHE := $(CACHE)/node
export IPYTHONDIR := $(CACHE)/ipython
export JUPYTER_CONFIG_DIR := $(CACHE)/jupyter/config
export JUPYTER_DATA_DIR := $(CACHE)/jupyter/data
export JUPYTER_RUNTIME_DIR := $(CACHE)/jupyter/runtime
export JUPYTERLAB_SETTINGS_DIR := $(CACHE)/jupyter/lab/settings
export JUPYTERLAB_WORKSPACES_DIR := $(CACHE)/jupyter/lab/workspaces
export MPLCONFIGDIR := $(CACHE)/matplotlib
export XDG_CACHE_HOME := $(CACHE)/xdg
export RUFF_CACHE_DIR := $(CACHE)/ruff
export MYPY_CACHE_DIR := $(CACHE)/mypy
export HYPOTHESIS_STORAGE_DIRECTORY := $(CACHE)/hypothesis
export COVERAGE_FILE := $(CACHE)/coverage
export BREAKPAD_DUMP_LOCATION := $(CACHE)/chromium
# Another environment's modules must not shadow those installed here; and what is compiled is kept, or each of some
# hundred processes would compile it again.
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE

# What runs after the installation runs as in an activated environment.
RUN = PATH="$(CURDIR)/.venv/bin:$$PATH"
CHECKED = mcp_workbench tests benchmarks notebooks .ci
NBVAL = --nbval --nbval-current-env --nbval-sanitize-with tests/notebooks/sanitize.cfg
PYTEST = .venv/bin/python -m pytest -o cache_dir=.cache/pytest $(NBVAL)
# By name: nbval hands this on to its kernels, and a bare --cov kills them. What it warns of is a worker whose first
# test is a notebook: nothing measured yet.
COVER = --cov=mcp_workbench --cov-config=pyproject.toml -W ignore::coverage.exceptions.CoverageWarning

.PHONY: help lab test proof notebooks format renew clean
.NOTPARALLEL:
.DEFAULT_GOAL := help

help:
	@echo "make lab        install, and open JupyterLab on the first notebook"
	@echo "make test       install, and run every check: ruff, mypy, pytest, the notebooks"
	@echo "make test ARGS=\"-k name\"   run only the tests with that name, without the other checks"
	@echo "make proof      install, and run the scripts that prove the figures (benchmarks/proof_*.py)"
	@echo "make notebooks  install, and run every notebook again and store what it shows"
	@echo "make format     put the code in the project's format"
	@echo "make renew      the newest versions into constraints.txt and package-lock.json"
	@echo "make clean      remove all that these commands made"
	@echo "PYTHON=...      the Python to make the environment with"

# $(call install,EXTRAS): choose a Python and let it do the rest; or say in one sentence what is missing.
SUITABLE = import sys; sys.exit(1) if sys.version_info < (3, 11) else (__import__("ensurepip"), __import__("venv"))
VERSION = import sys; print("%d.%d.%d" % sys.version_info[:3]); sys.exit(sys.version_info < (3, 11))
define install
@for python in $(PYTHON); do \
	if "$$python" -c '$(SUITABLE)' >/dev/null 2>&1; then \
		exec "$$python" .ci/install.py $(1) $(if $(filter command,$(origin PYTHON)),--this-python); \
	fi; \
done; \
found=; \
for python in $(PYTHON); do \
	if version=$$("$$python" -c '$(VERSION)' 2>/dev/null); then \
		echo "$$python is Python $$version but cannot make environments (no venv or ensurepip): install it" \
			"(Debian, Ubuntu: apt install python3-venv) and run the same command again." >&2; \
		exit 1; \
	fi; \
	found="$${found:-$$version}"; \
done; \
echo "Python 3.11 or newer is needed and $${found:+only Python }$${found:-none} was found: install one," \
	"or name it like this: make $(firstword $(MAKECMDGOALS)) PYTHON=/path/to/python3." >&2; \
exit 1
endef

lab:
	$(call install,notebooks)
	@$(RUN) .venv/bin/mcp-workbench lab $(ARGS)

ifeq ($(ARGS),)
test:
	$(call install,notebooks dev)
	.venv/bin/ruff check $(CHECKED)
	.venv/bin/ruff format --check $(CHECKED)
	.venv/bin/mypy
	$(RUN) $(PYTEST) $(COVER) -n 3 --dist loadfile tests notebooks
else
# One test: no other checks and no coverage, which would be too low. Notebooks too, unless files are named.
test:
	$(call install,notebooks dev)
	$(RUN) $(PYTEST) $(if $(findstring .py,$(ARGS))$(findstring .ipynb,$(ARGS)),,tests notebooks) $(ARGS)
endif

proof:
	$(call install,notebooks dev)
	@$(RUN); export PATH; failed=0; for script in benchmarks/proof_*.py; do \
		echo "== $$script"; .venv/bin/python "$$script" $(ARGS) || failed=1; \
	done; exit $$failed

notebooks:
	$(call install,notebooks dev)
	@$(RUN) .venv/bin/python tests/notebooks/refresh.py $(ARGS)

format:
	$(call install,notebooks dev)
	.venv/bin/ruff check --fix $(CHECKED)
	.venv/bin/ruff format $(CHECKED)

renew:
	$(call install,notebooks renew)

clean:
	rm -rf .venv .servers .cache .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist *.egg-info
	find . -name .git -prune -o \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +
