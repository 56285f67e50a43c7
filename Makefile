# Everything on a Linux machine without ROS: Python 3.10+, a C/C++ compiler and make are enough.
# On a robot with ROS, use colcon instead; nothing here is needed there.

PYTHON ?= python3
# What the tests take where .venv has no torch yet.  It may carry pip options.
TORCH ?= torch==2.13.0

# Of onnxruntime's two builds this takes the one without CUDA: EXTRAS=ros,gpu,... for the other.
EXTRAS ?= ros,cpu,demo,evaluate,figures

VENV := .venv
BIN := $(VENV)/bin
# A build without pip's isolation reuses what is compiled: seconds instead of a minute.
INSTALL = $(BIN)/pip install --quiet --no-build-isolation

SOURCES := CMakeLists.txt MANIFEST.in package.xml pyproject.toml setup.py \
  $(shell find cmake cmr_ros config launch msg weights -type f -not -name '*.pyc')

# .venv is a world of its own: a ROS that happens to be sourced would leak into it.
unexport PYTHONPATH PYTHONHOME LD_LIBRARY_PATH CMAKE_PREFIX_PATH ROS_DISTRO
export AMENT_PREFIX_PATH := $(CURDIR)/$(VENV)
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo test lint clean

help:
	@echo 'make demo    play a recording through the real node; pictures and meshes in demo_out/'
	@echo '             (VIEWER=rerun make demo opens the Rerun viewer)'
	@echo 'make setup   build and install into .venv; leaves .venv/bin/cmr'
	@echo 'make test    install what the tests need and run them'
	@echo 'make lint    check style'
	@echo 'make clean   remove everything made here'
	@echo 'PYTHON=...   the Python to use, 3.10 or newer'

setup: $(VENV)/.setup

demo: REQUIRE = --install
demo: setup $(if $(filter rerun,$(VIEWER)),$(VENV)/.rerun)
	$(BIN)/cmr demo

test: $(VENV)/.test
	$(BIN)/python -m pytest

lint: $(BIN)/ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf $(VENV) build dist demo_out *.egg-info .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	@cmake/require_tools.sh $(PYTHON) $(REQUIRE)
	$(PYTHON) -m venv $(VENV)

$(BIN)/ruff: | $(BIN)/python
	$(BIN)/pip install --quiet 'ruff>=0.12,<0.18'

# pip cannot install a project's build requirements alone, hence the detour through pyproject.toml.
$(VENV)/.build: pyproject.toml | $(BIN)/python
	@echo 'Installing the build requirements into $(VENV)'
	@$(BIN)/python -c "from importlib import import_module as i; import sys; \
	  toml = i('tomllib' if sys.version_info >= (3, 11) else 'pip._vendor.tomli'); \
	  print(*toml.load(open('pyproject.toml', 'rb'))['build-system']['requires'], sep='\n')" \
	  > $@.txt
	$(BIN)/pip install --quiet -r $@.txt
	@touch $@

$(VENV)/.setup: $(SOURCES) $(VENV)/.build
	@echo 'Building and installing cmr_ros into $(VENV)'
	$(INSTALL) '.[$(EXTRAS)]'
	@touch $@

$(VENV)/.test: $(VENV)/.setup
	@$(BIN)/python -c 'import torch' 2>/dev/null || $(BIN)/pip install --quiet $(TORCH)
	$(INSTALL) '.[$(EXTRAS),train,test]'
	@touch $@

$(VENV)/.rerun: $(VENV)/.setup
	$(INSTALL) '.[rerun]'
	@touch $@
