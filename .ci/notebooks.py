"""Run notebooks as `nbdev_test` does, with its options, each in a fresh copy of one process that has imported the kit.

`nbdev_test` gives many notebooks to one process, so that a notebook sees what those before it left in the modules, and
one that ends its process takes all others along. A forked copy is as quick, since it finds everything imported. Those
that take long, those that .ci/full.txt names, go first: the last ones to end would leave processes idle."""
import gc
import importlib
import io
import multiprocessing
import pkgutil
import sys
from multiprocessing.connection import wait
from pathlib import Path

import nbdev.test
from matplotlib.figure import Figure

import cmdfd_nb

ROOT = Path(__file__).parents[1]
LONG = [ROOT/line.split()[0] for line in (ROOT/'.ci'/'full.txt').read_text('utf-8').splitlines()
        if line.startswith('nbs/')]
LATE = ('IPython.core.application', 'IPython.core.magics.execution', 'anywidget', 'matplotlib.pyplot', 'nbformat',
        'pandas', 'plotly.io', 'scipy.stats', 'sklearn.metrics', 'sqlite3', 'torch._dynamo')
FORK = multiprocessing.get_context('fork')


def takes_long(notebook): return any(long in (notebook, *notebook.parents) for long in LONG)


def import_all():
    "Import the kit and what it imports late, and draw once; forks share all this, since the collector leaves it alone."
    kit = [module.name for module in pkgutil.walk_packages(cmdfd_nb.__path__, 'cmdfd_nb.')]
    for name in (*kit, *LATE): importlib.import_module(name)
    first = Figure()
    first.subplots().set_title('fonts and plugins are looked for')
    first.savefig(io.BytesIO())
    gc.freeze()


def started(function, notebook, options):
    "Start the function on a notebook in a fork; return the process and where its result arrives."
    arrives, sends = FORK.Pipe(duplex=False)
    process = FORK.Process(target=lambda: sends.send(function(notebook, **options)))
    process.start()
    sends.close()
    return process, arrives


def ended(notebook, process, arrives):
    "Return the result of a process that has ended: (whether the notebook passed, seconds)."
    process.join()
    try: return arrives.recv()
    except EOFError: print(f'{notebook} ended its process, exit code {process.exitcode}.', file=sys.stderr)
    return False, 0


def forked(function, notebooks, n_workers, pause=0, **options):
    "Run the function on notebooks, long ones first; return the results in the order of the notebooks."
    waiting = sorted(notebooks, key=lambda notebook: (not takes_long(notebook), -notebook.stat().st_size))
    running, done = {}, {}
    import_all()
    while waiting or running:
        while waiting and len(running) < max(n_workers, 1):
            notebook = waiting.pop(0)
            running[notebook] = started(function, notebook, options)
        over = wait([process.sentinel for process, _ in running.values()])
        for notebook in [notebook for notebook, (process, _) in running.items() if process.sentinel in over]:
            done[notebook] = ended(notebook, *running.pop(notebook))
    return [done[notebook] for notebook in notebooks]


if __name__ == '__main__':
    nbdev.test.parallel = forked
    sys.exit(nbdev.test.nbdev_test())
