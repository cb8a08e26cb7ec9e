# Two commands, each enough on a fresh machine with Python 3.11+: `make audit` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
MODELS := digits glyphs shapes tones
FAILING := mode-dropped-50 memorising-5

.DEFAULT_GOAL := help
.PHONY: help audit test exhaustive lint format bench docs reference reports screenshots golden clean

help: ## Show this list.
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

# Kept while pyproject.toml is unchanged.
$(STAMP): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(STAMP)

audit: $(STAMP) ## Audit the reference model `digits`; writes reports/digits/.
	$(BIN)/ganaudit audit digits --policy standard --out reports/digits

# A process for each core and one thread in each: small tensors gain nothing from more. Tests with a costly fixture in
# common stay in one process (tests/conftest.py).
test: $(STAMP) ## Run the whole test suite.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadgroup

exhaustive: $(STAMP) ## Train every recipe that there is for 20 steps (an hour).
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m exhaustive

lint: $(STAMP) ## Style, types and layers.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## Put the style right.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP) ## Time against peers, side by side; writes benchmarks/RESULTS.md (half an hour).
	$(BIN)/python -m benchmarks

docs: $(STAMP) ## Write docs/reference/ again from the code.
	$(BIN)/python docs/make_reference.py

# One thread: networks this small gain little from more, and the weights come out the same on any number of cores.
reference: $(STAMP) ## Train the reference models again (an hour).
	OMP_NUM_THREADS=1 $(BIN)/python reference_models/digits/train_extractor.py
	rm -rf runs/reference
	for model in $(MODELS); do \
	  OMP_NUM_THREADS=1 $(BIN)/ganaudit train reference_models/$$model/train.toml --out runs/reference/$$model && \
	  cp runs/reference/$$model/subject.toml runs/reference/$$model/generator.safetensors \
	     runs/reference/$$model/discriminator.safetensors reference_models/$$model/ || exit 1; \
	done

# Each control has a known defect: exit 1, a gate that fails, is what its audit is there to show.
reports: $(STAMP) ## Audit all reference models and two controls that fail their gates; writes reports/.
	for model in $(MODELS); do \
	  case $$model in shapes) more="--samples 10000";; *) more=;; esac; \
	  $(BIN)/ganaudit audit $$model $$more --policy standard --out reports/$$model; \
	  case $$? in 0|1|3) ;; *) exit 1 ;; esac; done
	for control in $(FAILING); do \
	  $(BIN)/ganaudit audit controls/$$control --policy standard --out reports/$$control; \
	  test $$? -eq 1 || exit 1; done

screenshots: $(STAMP) ## Take the first screens of reports; writes reports/screenshots/ (wants Chromium).
	$(BIN)/python reports/screenshots.py

golden: $(STAMP) ## Write the golden files of the tests again; review the difference.
	GANAUDIT_REGENERATE=1 $(BIN)/python -m pytest tests/report tests/cli

clean: ## Remove the environment and caches.
	rm -rf $(VENV) .mypy_cache .ruff_cache .import_linter_cache
