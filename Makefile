# Every target makes the virtual environment it needs: a Python of at least 3.11 and make are enough to start.
PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
# Tests run in so many processes at a time.
WORKERS ?= 2
PEERS := $(VENV)/.peers
# Compiled when the package is installed; without a compiler the package works all the same.
LOOPS := $(wildcard spacy_emerging/kernels/native/*.cpp spacy_emerging/kernels/native/*.h)
# The authors' Mamba modules, as an oracle, apart from other packages; without their GPU kernels, which nothing here could run.
VENDORS := MAMBA_FORCE_BUILD=TRUE MAMBA_SKIP_CUDA_BUILD=TRUE

# More threads than cores slow small matrices down many times over.
export OMP_NUM_THREADS ?= 1

.PHONY: help demo test test-torch test-slow lint bench peer results configs pages clean

help:
	@echo "make demo       train tagger, parser and NER on the sample and show what they find (a few minutes)"
	@echo "make test       the tests that run in minutes"
	@echo "make test-torch those of encoders and kernels once more, without the compiled loops"
	@echo "make test-slow  the tests that take longer: packaging, pretraining, comparisons with other libraries"
	@echo "make lint       style and types"
	@echo "make peer       spaCy's own tests, run against the encoders"
	@echo "make bench      speed of the encoders beside other libraries"
	@echo "make results    the table in docs/results.md, measured anew"
	@echo "make configs    write configs/ready anew"
	@echo "make pages      write the labels and pictures in docs/linearizations.md anew"
	@echo "make clean      remove what can be made again"

$(INSTALLED): pyproject.toml setup.py constraints.txt $(LOOPS)
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

demo: $(INSTALLED)
	$(RUN) scripts/demo.py

test: $(INSTALLED)
	$(RUN) -m pytest -n $(WORKERS)

test-torch: $(INSTALLED)
	SPACY_EMERGING_NATIVE=0 $(RUN) -m pytest -n $(WORKERS) tests/kernels tests/encoders tests/decoders tests/conformance

test-slow: $(PEERS)
	$(RUN) -m pytest -n $(WORKERS) -m slow

lint: $(INSTALLED)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

peer: $(INSTALLED)
	$(RUN) -m pytest -n $(WORKERS) -m peer

$(PEERS): $(INSTALLED)
	$(RUN) -m pip install --quiet -c constraints.txt -e '.[peers,minilm]'
	$(VENDORS) $(RUN) -m pip install --quiet --no-build-isolation --no-deps --upgrade --target $(VENV)/vendors mamba-ssm
	touch $@

bench: $(PEERS)
	$(RUN) benchmarks/encoders.py

results: $(INSTALLED)
	$(RUN) benchmarks/results.py

configs: $(INSTALLED)
	$(RUN) scripts/ready_configs.py

pages: $(INSTALLED)
	$(RUN) scripts/linearizations_page.py

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf demo corpus training metrics packages project.lock
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
