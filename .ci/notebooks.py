"""Run notebooks as `nbdev_test` does, with its options, those first that take long: those that .ci/full.txt names.

`nbdev_test` takes them by their paths; the last ones are then long, and leave processes idle."""
import sys
from pathlib import Path

import nbdev.test

ROOT = Path(__file__).parents[1]
LONG = [ROOT/line.split()[0] for line in (ROOT/'.ci'/'full.txt').read_text('utf-8').splitlines()
        if line.startswith('nbs/')]
in_parallel = nbdev.test.parallel


def takes_long(notebook): return any(long in (notebook, *notebook.parents) for long in LONG)


def longest_first(function, notebooks, **options):
    "Run the function on all notebooks; return the results in the order of the notebooks."
    order = sorted(notebooks, key=lambda notebook: (not takes_long(notebook), -notebook.stat().st_size))
    done = dict(zip(order, in_parallel(function, order, **options)))
    return [done[notebook] for notebook in notebooks]


if __name__ == '__main__':
    nbdev.test.parallel = longest_first
    sys.exit(nbdev.test.nbdev_test())
