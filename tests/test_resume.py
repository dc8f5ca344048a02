"Every command that works over files is killed where it hurts, called again, and must give what it gives undisturbed."
import contextlib, hashlib, io, os, shutil, signal, sys
from functools import partial
from pathlib import Path

import pytest
import torch

from cmdfd_nb import cli, store
from cmdfd_nb.core import sample
from cmdfd_nb.data.index import index
from cmdfd_nb.data.manifest import write_manifest
from forked import run_forked
from test_baselines import published

VIDEOS = 'origin/id00000_dDhrmb6gdji.mp4', 'wav2lip_Self/id00000-id00000.mp4'
PATHS = [str(sample(f'cmdfd/{name}')) for name in VIDEOS]
SEEDED = dict(weights='seeded', device='cpu')


@pytest.fixture(scope='module')
def inputs(tmp_path_factory):
    "Folder with the manifest of two videos, their clips, and a published weights file."
    folder = tmp_path_factory.mktemp('inputs')
    found = index('cmdfd', sample('cmdfd'))
    write_manifest(folder/'m.parquet', found.where(found.rows.path.isin(VIDEOS).to_numpy()))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        cli.cmdfd_preprocess(str(folder/'m.parquet'), str(folder/'clips'), workers=0)
    torch.save(published('light-asd'), folder/'theirs.model')
    return folder


def job(name, inputs, out):
    "Return a call of a command that writes into a folder."
    manifest, clips = str(inputs/'m.parquet'), str(inputs/'clips')
    calls = dict(
        index=partial(cli.cmdfd_index, 'cmdfd', str(sample('cmdfd')), f'{out}/m.csv', match='origin/', probe=True,
                      workers=0),
        preprocess=partial(cli.cmdfd_preprocess, manifest, str(out), views='mfcc,audio', faces='whole', workers=0),
        score=partial(cli.cmdfd_score, PATHS, out=f'{out}/table.csv', faces='whole', workers=0, **SEEDED),
        report=partial(cli.cmdfd_report, PATHS[0], f'{out}/r.html', faces='whole', workers=0, **SEEDED),
        audit=partial(cli.cmdfd_audit, manifest, html=f'{out}/a.html', media=0, workers=0),
        evaluate=partial(cli.cmdfd_evaluate, clips, out=f'{out}/s.parquet', split='all', resamples=10, **SEEDED),
        weights=partial(cli.cmdfd_weights, 'light-asd', str(inputs/'theirs.model'), out=f'{out}/w.safetensors',
                        workers=0),
        synth=partial(cli.cmdfd_synth, str(out), clips=1, kind='lrs2', seconds=1., seed=7, splits='train', workers=0))
    return calls[name]


def results(folder):
    "Return path and hash of all files below a folder, hidden ones as well."
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(Path(folder).rglob('*')) if path.is_file()}


def dying(call, number, after):
    "Call a command; kill this process just before or after it puts the file of this number to its place."
    real, puts = store._put, []
    def put(*args):
        puts.append(args)
        if len(puts) == number and not after: os.kill(os.getpid(), signal.SIGKILL)
        real(*args)
        if len(puts) == number: os.kill(os.getpid(), signal.SIGKILL)
    store._put = put
    code = call()
    print('files', len(puts))
    sys.exit(code)


@pytest.mark.parametrize('name', ['index', 'preprocess', 'score', 'report', 'audit', 'evaluate', 'weights', 'synth'])
def test_killed_commands_go_on(name, inputs, tmp_path):
    whole, cut = tmp_path/'whole', tmp_path/'cut'
    done = run_forked(partial(dying, job(name, inputs, whole), 0, False))
    assert done.returncode == 0, done.stderr
    due = results(whole)
    last = int(done.stdout.split()[-1])
    call = job(name, inputs, cut)
    moments = {(last // 2 + 1, True), (last, False)} | ({(1, False)} if name not in ('score', 'synth') else set())
    for number, after in moments:   # two for those that take longest
        shutil.rmtree(cut, ignore_errors=True)
        killed = run_forked(partial(dying, call, number, after))
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        there = {path: value for path, value in results(cut).items() if '/.' not in f'/{path}'}   # hidden: no results
        assert there.items() <= due.items() and len(there) < len(due) + after                    # others are whole
        again = run_forked(lambda: sys.exit(call()))
        assert again.returncode == done.returncode and 'Traceback' not in again.stderr, again.stderr
        assert results(cut) == due, (name, number, after)      # the same bytes, and nothing is left over
