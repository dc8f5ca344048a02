"Batches: every clip once, nothing over budget, the same whoever makes them, and padding that the networks do not see."
import multiprocessing

import numpy as np
import pytest
import torch

from cmdfd_nb.data.batches import (KINDS, ClipSet, augment, collate, epoch_batches, epoch_draws, frame_batches, loader,
                                   window)
from cmdfd_nb.media.clip import STANDARD_VIEWS, Clip
from cmdfd_nb.media.preprocess import load_clip, save_clip
from cmdfd_nb.media.views import expected
from cmdfd_nb.models.correlation import CorrelationDetector
from cmdfd_nb.models.detectors import configure


def make_clip(n, seed, views=STANDARD_VIEWS):
    "A clip of noise."
    rng, arrays = np.random.default_rng(seed), {}
    for name in views:
        shape, dtype = expected(name, n)
        arrays[name] = rng.integers(0, 256, shape, dtype) if dtype == np.uint8 else rng.standard_normal(shape, dtype)
    boxes = rng.standard_normal((n, 4), np.float32)
    return Clip(arrays, boxes, start=0, track=0, part=0, source=f'{seed}.mp4', source_sha256=str(seed))


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
    "(paths, frames) of some clips."
    folder, frames = tmp_path_factory.mktemp('clips'), [25, 40, 31, 26]
    paths = [folder/f'{i}.safetensors' for i in range(len(frames))]
    for i, (path, n) in enumerate(zip(paths, frames)): save_clip(make_clip(n, i), path)
    return paths, frames


@pytest.mark.parametrize('n', (0, 1, 2, 300))
@pytest.mark.parametrize('seed', (None, 0, 1))
def test_every_clip_once_and_nothing_over_budget(seed, n):
    lengths = np.random.default_rng(n).integers(1, 900, n).tolist()
    batches = frame_batches(lengths, 1000, seed, 3)
    assert sorted(i for batch in batches for i in batch) == list(range(n))
    assert all(len(b) == 1 or max(lengths[i] for i in b) * len(b) <= 1000 for b in batches)


def test_order_depends_on_seed_and_epoch_alone():
    lengths = np.random.default_rng(0).integers(25, 300, 200).tolist()
    np.random.seed(1), torch.manual_seed(1)
    one = frame_batches(lengths, 2000, 5, 2)
    np.random.seed(2), torch.manual_seed(2)
    assert one == frame_batches(lengths, 2000, 5, 2)
    assert one != frame_batches(lengths, 2000, 5, 3) and one != frame_batches(lengths, 2000, 6, 2)
    assert frame_batches(lengths, 2000) == frame_batches(lengths, 2000, epoch=9)


def test_windows_reach_both_ends_and_meet_equal_clips_alike():
    starts = [window(100, 25, np.random.default_rng(i))[0] for i in range(500)]
    assert min(starts) == 0 and max(starts) == 75
    assert np.histogram(starts, 5, (0, 76))[0].min() > 60


@pytest.mark.parametrize('sampling', ('each', 'balanced', 'paired', 'mixed'))
def test_epochs_hold_every_fake_and_fit_the_budget(sampling):
    rng = np.random.default_rng(0)
    labels = [0] * 20 + [1] * 100
    people = [*range(20), *rng.integers(0, 30, 100)]
    lengths = rng.integers(25, 99, 120).tolist()
    batches = epoch_batches(epoch_draws(sampling, labels, people, 1, 4), lengths, 400, 1, 4)
    seen = [i for batch in batches for i, _, _ in batch]
    assert {i for i in seen if labels[i]} == set(range(20, 120))
    assert all(len(b) < 3 or len(b) * max(lengths[i] for i, _, _ in b) <= 400 for b in batches)
    assert (np.mean([labels[i] for i in seen]) == .5) == (sampling != 'each')


def test_a_fake_of_somebody_without_a_real_clip_still_has_a_partner():
    drawn = epoch_draws('paired', [0, 0, 1, 1], ['ann', 'bob', 'ann', 'eve'], 0)
    assert drawn[0] == (2, 0) and drawn[1][1] in (0, 1)


@pytest.mark.parametrize('kind', KINDS)
def test_augmentation_is_one_for_a_clip(kind):
    still = np.repeat(np.random.default_rng(0).integers(0, 256, (1, 112, 112), np.uint8), 3, 0)
    changed = augment(still, (kind,), np.random.default_rng(1))
    assert changed.shape == still.shape and changed.dtype == np.uint8
    assert (changed == changed[0]).all() and ((changed == still).all() == (kind == 'none'))


def test_partners_get_the_same_window_and_the_same_change(clips):
    paths, frames = clips
    items = ClipSet([paths[1]] * 2, [frames[1]] * 2, size=20, kinds=('crop', 'rotation', 'exposure'), seed=3)
    for epoch in range(5):
        a, b = items[0, epoch, 7], items[1, epoch, 7]
        assert torch.equal(a['faces'], b['faces']) and torch.equal(a['mfcc'], b['mfcc'])
    assert not torch.equal(items[0, 0, 7]['faces'], items[0, 0, 8]['faces'])


def test_whole_clips_are_what_was_saved(clips):
    paths, frames = clips
    item, clip = ClipSet(paths, frames, STANDARD_VIEWS)[1], load_clip(paths[1])
    assert all((item[name].numpy() == clip[name]).all() for name in STANDARD_VIEWS)


def test_spawned_workers_make_the_same_batches(clips, monkeypatch):
    paths, frames = clips
    items = ClipSet(paths, frames, size=25, kinds=tuple(KINDS), facts=dict(text=list('abcd')))
    batches = epoch_batches([(i,) for i in range(4)], [25] * 4, 50)
    here = list(loader(items, batches))
    workers = loader(items, batches, workers=1)
    workers.multiprocessing_context = multiprocessing.get_context('spawn')
    for a, b in zip(here, workers, strict=True):
        assert a['text'] == b['text'] and all(torch.equal(a[k], b[k]) for k in ('faces', 'mfcc', 'lengths', 'index'))


def test_padding_changes_nothing(clips):
    paths, frames = clips
    items = ClipSet(paths, frames)
    batch = collate([items[i] for i in range(4)])
    detector = CorrelationDetector(configure('correlation', 'tiny')).eval()
    with torch.inference_mode():
        together = detector(batch).logits
        alone = torch.cat([detector(collate([items[i]])).logits for i in range(4)])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)
