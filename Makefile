# One environment, .venv: made when it is missing, renewed when what it needs has changed.
PYTHON ?= python3
BIN := .venv/bin
NEEDS := settings.ini setup.py pyproject.toml
TABLE := import json; from cmdfd_nb.cli import table; print(table([json.load(open("out/demo/score.json"))]))

.DEFAULT_GOAL := help
.PHONY: help demo test lab readme clean
.NOTPARALLEL:

help:  ## list what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s%s\n", $$1, $$2 }' Makefile

demo: .venv/.kit  ## score the sample clip, or your own: make demo VIDEO=path
	@rm -rf out/demo; mkdir -p out/demo; \
	for video in "$(PWD)/$$VIDEO" "$(CURDIR)/$$VIDEO" "$$VIDEO"; do [ ! -e "$$video" ] || break; done; \
	JUPYTER_PATH= $(BIN)/papermill -k python3 --cwd nbs/tutorials -r out "$(CURDIR)/out/demo" $${VIDEO:+-r video "$$video"} \
	  nbs/tutorials/quickstart.ipynb out/demo/quickstart.ipynb 2> out/demo/log || \
	  { grep -E '^[A-Z][A-Za-z]+: ' out/demo/log | tail -n 1; echo 'The notebook up to there is out/demo/quickstart.ipynb, the log out/demo/log.'; exit 1; }
	@$(BIN)/python -c '$(TABLE)'
	@printf '\nnotebook  out/demo/quickstart.ipynb\npicture   out/demo/curves.png\n'

test: export OMP_NUM_THREADS ?= 2
test: .venv/.dev  ## check that notebooks are in sync and clean, run each of them, run tests/
	$(BIN)/pytest -qq tests/test_notebooks.py
	$(BIN)/nbdev_test
	$(BIN)/pytest tests

lab: .venv/.kit  ## open JupyterLab on the quickstart; as root in a container: make lab LAB=--allow-root
	JUPYTER_PATH= $(BIN)/jupyter-lab $(LAB) --notebook-dir=nbs --LabApp.default_url=/lab/tree/tutorials/quickstart.ipynb

readme: .venv/.dev  ## write README.md from nbs/index.ipynb, its relative links seen from here
	$(BIN)/jupyter-nbconvert --to markdown --output-dir out --output README nbs/index.ipynb
	awk '/^```/ { code = !code; sub(/^```$$/, code ? "```python" : "```") } \
	  !code && !/^    / { gsub(/\]\(|src="/, "&nbs/"); gsub(/nbs\/http/, "http"); gsub(/nbs\/#/, "#"); gsub(/nbs\/\.\.\//, "") } \
	  { print }' out/README.md > README.md

clean:  ## remove what was made here: .venv, out, caches
	rm -rf .venv out build dist *.egg-info .pytest_cache

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 14))' || \
	  { echo '$(PYTHON) is not Python 3.10 to 3.13. Name one that is: make $(MAKECMDGOALS) PYTHON=python3.12'; exit 1; }
	@$(PYTHON) -m venv .venv && test -e $@ || \
	  { echo '$(PYTHON) cannot make an environment with pip. On Debian and Ubuntu: apt install python3-venv'; exit 1; }

.venv/.kit: $(NEEDS) | $(BIN)/pip
	$(BIN)/python -m pip install -e .
	@touch $@

.venv/.dev: $(NEEDS) | $(BIN)/pip
	$(BIN)/python -m pip install -e '.[dev]'
	@touch .venv/.kit $@
