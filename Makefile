# Everything on a Linux machine without ROS: Python 3.10+, a C/C++ compiler and make are enough.
# On a robot with ROS, use colcon instead; nothing here is needed there.

PYTHON ?= python3
# What tests and training take where .venv has no torch yet.  It may carry pip options.
TORCH ?= torch==2.13.0

# Of onnxruntime's two builds this takes the one without CUDA: EXTRAS=ros,gpu,... for the other.
EXTRAS ?= ros,cpu,demo,infer,web
# What measuring takes beside that; the demo need not wait for it.
MEASURE = evaluate,figures

TRAIN_EXTRAS = $(EXTRAS),$(MEASURE),train,convert

# The distribution whose wheels are taken; each other than kilted has an environment of its own.
ROS ?= kilted
ifeq ($(ROS),kilted)
VENV := .venv
TEST_EXTRAS = $(EXTRAS),$(MEASURE),ray,train,test
else
VENV := .venv/$(ROS)
TEST_EXTRAS = $(EXTRAS),test
# What knows ROS; the rest is the same in all.
TESTS ?= test/ros test/demo
endif
BIN := $(VENV)/bin
# Python compiles what is imported; pip would compile all there is, a third of its time.
INSTALL = $(BIN)/pip install --quiet --no-compile
# Installs what extras require, by commas, and not the package itself, which is built but once.
require = @$(BIN)/python cmake/requirements.py $(1) > $@.txt && $(INSTALL) -r $@.txt

SOURCES := CMakeLists.txt MANIFEST.in package.xml pyproject.toml setup.py \
  $(shell find cmake cmr_ros config launch msg srv weights -type f -not -name '*.pyc')

# .venv is a world of its own: a ROS that happens to be sourced would leak into it.
unexport PYTHONPATH PYTHONHOME LD_LIBRARY_PATH CMAKE_PREFIX_PATH ROS_DISTRO
# Without compiled files on the disk each process that imports torch compiles it again, for seconds.
unexport PYTHONDONTWRITEBYTECODE
export AMENT_PREFIX_PATH := $(CURDIR)/$(VENV)
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# What `make weights` divides its numbers of images by: 1 for weights, 30 to try all its steps.
DIVISOR ?= 1
# Both optional; without them skins and rooms are made up.
SKINS ?=
HDRI ?=
RENDER = $(BIN)/cmr synth render --jobs 2 $(if $(SKINS),--skins $(SKINS)) $(if $(HDRI),--hdri $(HDRI))
TRAIN = $(BIN)/torchrun --standalone --nproc-per-node 2 -m cmr_ros.cli train
resumed = config/train_$(1).yaml $(if $(wildcard runs/$(1)/last.pt),--resume)

.PHONY: help setup demo live test coverage benchmark weights parameters peers lint audit docs clean

help:
	@echo 'make demo    play recordings through the real node; video, images, meshes in demo_out/'
	@echo '             (VIEWER=rerun make demo opens the Rerun viewer; STEREO=1: two cameras)'
	@echo 'make live    watch your own hands before a webcam, in the browser'
	@echo '             (ARGS=video.mp4, or other arguments of `cmr live`)'
	@echo 'make setup   build and install into .venv; leaves .venv/bin/cmr'
	@echo 'make test    install what the tests need and run them'
	@echo 'make coverage run them and print which lines no test runs, training apart'
	@echo 'make benchmark time the pipeline beside MediaPipe and compare with docs/ratios; on an'
	@echo '             idle machine, in minutes'
	@echo 'make weights train the shipped weights from nothing into runs/hand_mobile, in hours'
	@echo '             (SKINS=DIR HDRI=DIR textures and panoramas; goes on where it stopped)'
	@echo 'make parameters'
	@echo '             render config/hand.yaml and the table of docs/ros.md from the code'
	@echo 'make peers   install what `cmr evaluate --peer` runs, in an environment of its own'
	@echo 'make lint    check style and types'
	@echo 'make audit   look up known vulnerabilities of what is installed in .venv (pip-audit)'
	@echo 'make docs    build the pages and the API reference into build/site'
	@echo 'make clean   remove everything made here'
	@echo 'PYTHON=...   the Python to use, 3.10 or newer'
	@echo 'ROS=jazzy    the ROS 2 distribution whose wheels to take, kilted by default;'
	@echo '             test and demo then are those of that distribution'

setup: $(VENV)/.setup

demo: REQUIRE = --install
demo: setup $(if $(filter rerun,$(VIEWER)),$(VENV)/.rerun)
	$(BIN)/cmr demo $(if $(STEREO),--stereo)

live: REQUIRE = --install
live: setup
	$(BIN)/cmr live $(ARGS)

# By itself xdist would begin with files of many tests, which are seldom those that take long.
PYTEST = $(BIN)/python -m pytest --dist loadfile --no-loadscope-reorder

test: $(VENV)/.test
	$(PYTEST) -n 3 $(TESTS)

coverage: $(VENV)/.test
	$(PYTEST) -n 2 --cov=cmr_ros $(TESTS)

# Ratios, since machines differ; and not among the tests, since machines are busy.
benchmark: $(VENV)/.peers
	@worse=0; for model in exact lite; do \
	  $(BIN)/cmr benchmark pipeline --model $$model --peer mediapipe mediapipe-lite \
	    --against docs/ratios/$$model.json || worse=1; \
	done; exit $$worse

# weights/README.md explains what each stage is for.
weights: $(VENV)/.train data/landmark_full.onnx
	$(RENDER) --seed 901 --count $$((36000 / $(DIVISOR))) -o data/train
	$(RENDER) --seed 903 --count $$((66000 / $(DIVISOR))) -o data/train_2
	$(RENDER) --seed 902 --count $$((2000 / $(DIVISOR) > 200 ? 2000 / $(DIVISOR) : 200)) \
	  -o data/validation
	$(TRAIN) $(call resumed,mobile_cpu_stage1)
	$(TRAIN) $(call resumed,mobile_cpu_stage2)
	$(TRAIN) $(call resumed,mobile_cpu_stage3)
	$(BIN)/cmr export runs/mobile_cpu_stage3/last.pt --template weights/hand_mobile/template.npz \
	  -o runs/hand_mobile --precision compact --joint-cue mean \
	  --pictures data/validation --picture-count 32
	$(BIN)/cmr benchmark noise --model runs/hand_mobile --renders data/validation --count 2000 --write

data/landmark_full.onnx: | $(VENV)/.train
	$(BIN)/pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 \
	  mediapipe==0.10.21 -d data
	$(BIN)/cmr import-mediapipe data/mediapipe-0.10.21-*.whl -o data

parameters: setup
	$(BIN)/python -m cmr_ros.ros.parameter_docs

peers: $(VENV)/.peers

lint: $(BIN)/ruff $(BIN)/mypy $(VENV)/.build
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# What pip brought along for itself is not listed.  ARGS may name another service.
audit: setup $(VENV)/.audit
	$(BIN)/pip freeze --exclude cmr_ros > $(VENV)/.audit.txt
	$(VENV)/audit/bin/pip-audit --no-deps --disable-pip -r $(VENV)/.audit.txt $(ARGS)

docs: $(VENV)/.docs
	$(BIN)/python scripts/docs_pages.py build/pages
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf .coverage* $(VENV) build dist demo_out *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis

$(BIN)/python:
	@cmake/require_tools.sh $(PYTHON) $(REQUIRE)
	$(PYTHON) -m venv $(VENV)

$(BIN)/ruff: | $(BIN)/python
	$(INSTALL) 'ruff>=0.12,<0.18'

$(BIN)/mypy: | $(BIN)/python
	$(INSTALL) 'mypy>=1.15,<2'

$(VENV)/.build: pyproject.toml | $(BIN)/python
	@echo 'Installing the build requirements into $(VENV)'
	@$(BIN)/python cmake/requirements.py build > $@.txt
	@$(if $(filter-out kilted,$(ROS)),sed -i '/^ros-/d' $@.txt; cat cmake/$(ROS).txt >> $@.txt)
	$(INSTALL) -r $@.txt
	@touch $@

# The libraries are fetched while the messages are compiled.
$(VENV)/.setup: $(SOURCES) $(VENV)/.build
	@echo 'Building and installing cmr_ros and what it uses into $(VENV)'
	@rm -rf $(VENV)/wheel; $(BIN)/python cmake/requirements.py $(EXTRAS) > $@.txt
	@$(INSTALL) -r $@.txt & libraries=$$!; \
	  $(BIN)/pip wheel --quiet --no-deps --no-build-isolation -w $(VENV)/wheel . && wait $$libraries
	@$(INSTALL) --no-deps --force-reinstall $(VENV)/wheel/*.whl
	@touch $@

$(VENV)/.test: $(VENV)/.setup $(if $(filter kilted,$(ROS)),$(VENV)/.torch)
	$(call require,$(TEST_EXTRAS))
	@touch $@

$(VENV)/.train: $(VENV)/.setup $(VENV)/.torch
	$(call require,$(TRAIN_EXTRAS))
	@touch $@

$(VENV)/.torch: | $(BIN)/python
	@$(BIN)/python -c 'import torch' 2>/dev/null || $(INSTALL) $(TORCH)
	@touch $@

$(VENV)/.peers: cmr_ros/evaluation/peers.py | $(VENV)/.setup
	$(call require,$(MEASURE))
	$(BIN)/python -m venv $(VENV)/peers
	$(BIN)/python -c 'from cmr_ros.evaluation.peers import MEDIAPIPE; print(MEDIAPIPE)' > $@.txt
	$(VENV)/peers/bin/pip install --quiet -r $@.txt
	@touch $@

# In an environment of its own, so that it lists none of its own libraries.
$(VENV)/.audit: | $(BIN)/python
	$(BIN)/python -m venv $(VENV)/audit
	$(VENV)/audit/bin/pip install --quiet 'pip-audit>=2.7,<3'
	@touch $@

$(VENV)/.docs: $(VENV)/.setup
	$(call require,docs)
	@touch $@

$(VENV)/.rerun: $(VENV)/.setup
	$(call require,rerun)
	@touch $@
