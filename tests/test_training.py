"Training: what is killed loses nothing, what teaches nothing is refused, every path leads to the same weights."
import json, signal, sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from forked import Child
from test_batches import make_clip

from cmdfd_nb.media.clip import PreprocessConfig, cut_config
from cmdfd_nb.media.preprocess import save_clip
from cmdfd_nb.core import BadArgument, BadManifest
from cmdfd_nb.data.clips import ClipTable
from cmdfd_nb.learn.authors import NOT_AS_THEIRS, compare_with_authors
from cmdfd_nb.learn.config import TrainConfig, rate_at, train_config
from cmdfd_nb.learn.optimise import batches_of, parts_of
from cmdfd_nb.learn.loop import train
from cmdfd_nb.models.checkpoint import load_weights, save_weights
from cmdfd_nb.models.correlation import sync
from cmdfd_nb.models.detectors import configure
from cmdfd_nb.models.losses import distillation
from cmdfd_nb.models.weights import seeded_weights

SMALL = dict(visual_widths=(4, 4, 4, 8), visual_hidden=8, temporal_blocks=1, audio_filters=(8, 8, 8, 8), heads=2)
# four steps an epoch
QUICK = train_config('tiny', terms=('classification',), epochs=2, budget=24, window=12, detector=SMALL)


def make_table(folder, n=12):
    "Clips of noise; the fakes are darker. People 0 and 1 validate."
    rows = []
    for i in range(n):
        clip, fake = make_clip(25 + i % 3, i), i % 2
        save_clip(replace(clip, views=clip.views | dict(faces=clip['faces'] // (1 + fake))),
                  folder/f'{i:02}.safetensors')
        rows.append(dict(clip=f'{i:02}.safetensors', frames=len(clip), label=fake, identity=str(i // 2),
                         split='train' if i > 3 else 'val'))
    return ClipTable(pd.DataFrame(rows), folder, domain='synthetic')


@pytest.fixture(scope='module')
def table(tmp_path_factory): return make_table(tmp_path_factory.mktemp('clips'))


pytestmark = pytest.mark.usefixtures('one_thread')


def start(table, out, config):
    "A training process that tells of each step, and goes on when it is told to."
    def tell_and_wait(progress):
        print('step', progress.steps, flush=True)
        sys.stdin.readline()
    def run(): train(table, out, config, save_every=3, device='cpu', watch=tell_and_wait)
    return Child(run)


def go_on(child, until):
    "Let a training process go on until it tells of some step."
    for line in child.stdout:
        if line == f'step {until}\n': return
        print(file=child.stdin, flush=True)
    raise AssertionError(child.stderr.read())


def killed(child):
    child.kill()
    return child.wait() == -signal.SIGKILL


def test_killed_and_second_runs_give_the_same_weights(table, tmp_path):
    whole, cut = tmp_path/'whole', tmp_path/'cut'
    train(table, whole, QUICK, save_every=3, device='cpu')
    first = start(table, cut, QUICK)
    go_on(first, 2)   # before there is a state
    assert killed(first)
    first = start(table, cut, QUICK)
    go_on(first, 7)   # one step after the second state
    second = start(table, cut, QUICK)   # into the same folder, at the same time
    line = ''
    while 'waiting until it ends' not in line:
        line = second.stderr.readline()
        assert second.poll() is None, line
    assert killed(first)
    said, complaints = second.communicate(100 * '\n')
    assert second.returncode == 0, complaints
    assert 'epoch 2/2' in said and 'step 1\n' not in said, said   # it went on, and did not begin anew
    for name in ('last.safetensors', 'best.safetensors'): assert (cut/name).read_bytes() == (whole/name).read_bytes()
    assert not list(cut.rglob('.*'))
    one, other = (json.loads((folder/'record.json').read_text()) for folder in (whole, cut))
    assert one['history'] == other['history'] and one['steps'] == other['steps']


def test_the_same_seed_gives_the_same_weights_and_another_does_not(table, tmp_path):
    quick = replace(QUICK, epochs=1)
    for name, config, workers in (('a', quick, 0), ('b', quick, 1), ('c', replace(quick, seed=1), 0)):
        train(table, tmp_path/name, config, device='cpu', workers=workers)
    a, b, c = ((tmp_path/name/'last.safetensors').read_bytes() for name in 'abc')
    assert a == b and a != c


def test_all_terms_and_evidence_of_teachers(table, tmp_path):
    save_weights(tmp_path/'teachers.safetensors', seeded_weights('tiny'))
    teachers, rng = load_weights(tmp_path/'teachers.safetensors'), np.random.default_rng(0)
    cont = {name: rng.random(n) for name, n in zip(table.rows['clip'], table.rows.frames)}
    config = train_config('tiny', epochs=1, budget=60, window=12, detector=SMALL | dict(evidence='band'),
                          precision='bf16')
    record = train(table, tmp_path/'run', config, teachers=teachers, cont=cont, device='cpu')
    assert {'classification', 'distillation', 'contrastive', 'total', 'auc'} <= set(record['history'][0])
    weights = load_weights(tmp_path/'run'/'best.safetensors')
    assert weights.has_teachers and weights.domain == 'seeded' and weights.provenance['teachers'] == teachers.sha256
    assert record['best']['total'] == pytest.approx(sum(record['best'][term] for term in config.terms), rel=1e-5)


@pytest.mark.parametrize('rows, said', [
    (lambda t: t[t.split == 'train'], 'no real clip is for validation'),
    (lambda t: t[(t.split == 'val') | (t.label == 0)], 'no fake clip is for training'),
    (lambda t: t.assign(split=None), 'no real clip is for training')])
def test_one_class_is_refused(table, rows, said):
    with pytest.raises(BadManifest, match=said): parts_of(table.where(rows(table.rows)))


def test_cont_is_needed_and_has_to_fit(table, tmp_path):
    short = {name: np.zeros(3) for name in table.rows['clip']}
    both = replace(QUICK, terms=('classification', 'distillation'))
    with pytest.raises(BadArgument, match='need Cont'): train(table, tmp_path/'run', both)
    with pytest.raises(BadArgument, match='does not fit 8 of 8 clips'): train(table, tmp_path/'run', QUICK, cont=short)
    assert not (tmp_path/'run').exists()


def test_processes_share_an_epoch(table):
    rows, _ = parts_of(table)
    alone, shares = batches_of(rows, QUICK, 1), [batches_of(rows, QUICK, 1, 2, rank) for rank in (0, 1)]
    assert len(shares[0]) == len(shares[1]) == len(alone) // 2
    assert [batch for pair in zip(*shares) for batch in pair] == alone[:len(alone) // 2 * 2]


@pytest.mark.parametrize('schedule', ('decay', 'one_cycle'))
def test_rates_are_positive_and_end_low(schedule):
    config = TrainConfig(epochs=20, schedule=schedule)
    rates = [rate_at(done, config) for done in np.linspace(0, 20, 500, endpoint=False)]
    assert 0 < min(rates) and max(rates) <= config.lr and rates[-1] < .5 * config.lr


def test_settings_that_make_no_sense():
    with pytest.raises(BadArgument, match='no field rate'): train_config('tiny', rate=1)
    with pytest.raises(BadArgument, match='Choose from paper, official, tiny'): train_config('huge')


def test_a_detector_that_is_fitted_trains_by_the_same_call(table, tmp_path):
    save_weights(tmp_path/'teachers.safetensors', seeded_weights('tiny'))
    teachers, config = load_weights(tmp_path/'teachers.safetensors'), train_config('tiny', kind='cont_alone')
    with pytest.raises(BadArgument, match='decides by Cont'): train(table, tmp_path/'run', config, device='cpu')
    assert not (tmp_path/'run').exists()
    record = train(table, tmp_path/'run', config, teachers=teachers, device='cpu')
    weights = load_weights(tmp_path/'run'/'best.safetensors')
    assert len(record['history']) == 1 and record['steps'] == 0 and weights.kind == 'cont_alone'
    assert train(table, tmp_path/'run', config, teachers=teachers, device='cpu') == record
    train(table, tmp_path/'again', config, teachers=teachers, device='cpu')
    assert (tmp_path/'again'/'best.safetensors').read_bytes() == (tmp_path/'run'/'best.safetensors').read_bytes()


def test_identical_embeddings_can_be_distilled():
    "The cosine of a vector with itself comes out above 1 for some; the loss must not refuse it."
    same = torch.randn(20_000, 32, generator=torch.Generator().manual_seed(0), requires_grad=True)
    curve = sync(same, same)
    loss = distillation(curve[None], torch.full((1, 20_000), .7))
    loss.backward()
    assert curve.max() <= 1 and loss.isfinite() and same.grad.isfinite().all()


def test_the_preset_official_does_what_it_says():
    "Every setting that can be as in the authors' code is, and every other one is counted as a difference."
    config, cut = train_config('official', start='pretrain_TalkSet.model'), cut_config('official')
    points = compare_with_authors(config, cut)
    assert {point.name for point in points if not point.same} == set(NOT_AS_THEIRS)
    detector = configure('correlation', 'official')
    assert (detector.sync_from, detector.score_by) == ('attended', 'fake_logit')
    assert (config.lr, cut.channels) == (1e-5, 'swapped')
    assert sum(not point.same for point in compare_with_authors(train_config('paper'), PreprocessConfig())) > 12
