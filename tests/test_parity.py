"""The authors' code and ours agree: golden numbers computed from their modules with weights made by a rule.

`tests/parity/README.md` states the rule and what each array is. The rule is written out here once more, apart from
`cmdfd_nb.models.weights.seeded_tensor`, so that a mistake in one of the two shows.
"""
import json, zlib
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch

from cmdfd_nb.core import BadWeights
from cmdfd_nb.models.agreement import cont
from cmdfd_nb.models.correlation import CorrelationVerdict
from cmdfd_nb.models.losses import TERMS, total
from cmdfd_nb.models.official import load_lip_frontend, load_official, load_talknet
from cmdfd_nb.models.weights import seeded_weights

PARITY = Path(__file__).parent/'parity'


def positional_table():
    angle = np.arange(2500)[:, None] / 10_000 ** (np.arange(0, 512, 2) / 512)
    return np.stack([np.sin(angle), np.cos(angle)], -1).reshape(2500, 1, 512)


def rule(name, shape, seed=0):
    rng, last = np.random.RandomState((zlib.crc32(name.encode()) + seed) % 2**32), name.split('.')[-1]
    if last == 'pe': return positional_table()
    if last == 'num_batches_tracked': return np.zeros(shape)
    if last == 'running_var': return .5 + rng.rand(*shape)
    if last in ('running_mean', 'bias', 'beta', 'in_proj_bias'): return .1 * rng.standard_normal(shape)
    if len(shape) == 1 or last == 'gamma': return 1 + .1 * rng.standard_normal(shape)
    return rng.standard_normal(shape) / np.sqrt(prod(shape[1:]))


def state_dict(listing):
    shapes = json.loads((PARITY/listing).read_text())
    return {k: torch.from_numpy(np.asarray(rule(k, s), d)) for k, (s, d) in shapes.items()}


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp('official')/'model.pt'
    torch.save(state_dict('official_checkpoint_tensors.json'), path)
    return path


@pytest.fixture(scope='module')
def official(checkpoint): return load_official(checkpoint)


@pytest.fixture(scope='module')
def golden(): return {k: torch.from_numpy(v) for k, v in np.load(PARITY/'golden_seed0.npz').items()}


@pytest.fixture(scope='module')
def verdict(official, golden):
    "Judge each clip by itself, then stack: as the golden numbers were made."
    def batch(i): return dict(faces=golden['faces'][i:i + 1], mfcc=golden['mfcc'][i:i + 1], lengths=None)
    with torch.no_grad(): verdicts = [official.detector(batch(i)) for i in range(2)]
    fields = 'audio_embedding visual_embedding audio_attended visual_attended fused frame_logits logits'.split()
    stacked = {k: torch.cat([getattr(v, k) for v in verdicts]) for k in fields}
    sync = torch.cat([v.curves['sync'] for v in verdicts])
    return CorrelationVerdict(**stacked, curves=dict(sync=sync), mask=None, votes=stacked['frame_logits'][None])


GOLDEN = {name: name for name in 'audio_embedding visual_embedding audio_attended visual_attended fused'.split()}
GOLDEN |= dict(logits='clip_logits')   # ours: theirs


@pytest.mark.parametrize('name', GOLDEN)
def test_detector(verdict, golden, name):
    torch.testing.assert_close(getattr(verdict, name), golden[GOLDEN[name]], atol=1e-4, rtol=0)


def test_sync(verdict, golden):
    torch.testing.assert_close(verdict.curves['sync'], golden['official_sync'], atol=1e-4, rtol=0)


def test_teachers(official, golden):
    with torch.no_grad(): p_audio, p_visual = official.asr(golden['stft']), official.vsr(golden['lip_features'])
    torch.testing.assert_close(p_audio, golden['asr_posterior'], atol=1e-4, rtol=0)
    torch.testing.assert_close(p_visual, golden['vsr_posterior'], atol=1e-4, rtol=0)
    torch.testing.assert_close(1 - cont(p_audio, p_visual, 'mean_kl'), golden['official_divergence'], atol=1e-4, rtol=0)


def test_losses(official, verdict, golden):
    agreement = cont(golden['asr_posterior'], golden['vsr_posterior'], official.detector.config.divergence)
    found = total(verdict, golden['labels'][:, 0], agreement, official.detector.config, TERMS)
    for ours, theirs in dict(classification='classification_loss', distillation='official_distill_loss',
                             contrastive='official_contrastive_loss').items():
        torch.testing.assert_close(found[ours], golden[theirs], atol=0, rtol=1e-4, check_dtype=False)


def test_joined_batch(official, golden):
    "The published 3D convolution runs from one clip into the next; the switch reproduces it, and only it does."
    assert official.detector.config.across_clips
    with torch.no_grad(): joined = official.detector.visual(golden['faces'])
    torch.testing.assert_close(joined, golden['visual_embedding_joined_batch'], atol=1e-4, rtol=0)
    assert (joined - golden['visual_embedding']).abs().max() > 1e-2


def test_lip_frontend(golden, tmp_path):
    path = tmp_path/'visual_frontend.pt'
    torch.save(state_dict('visual_frontend_tensors.json'), path)
    with torch.no_grad(): features = load_lip_frontend(path)(golden['faces'][:1])[0]
    torch.testing.assert_close(features, golden['lip_frontend_features'], atol=1e-4, rtol=1e-5)


def test_module_prefix(checkpoint, official, tmp_path):
    "Checkpoints of models wrapped for several GPUs carry a prefix."
    path = tmp_path/'wrapped.pt'
    torch.save({f'module.{k}': v for k, v in torch.load(checkpoint, weights_only=True).items()}, path)
    for k, v in load_official(path).detector.state_dict().items():
        assert torch.equal(v, official.detector.state_dict()[k]), k


def test_seeded_is_the_same_rule(official):
    seeded = seeded_weights('official')
    for part in ('detector', 'asr', 'vsr'):
        theirs = official.modules()[part].state_dict()
        for k, v in seeded.modules()[part].state_dict().items(): assert torch.equal(v, theirs[k]), f'{part}.{k}'


def test_faulty_checkpoints_are_refused(checkpoint, tmp_path):
    tensors, path = torch.load(checkpoint, weights_only=True), tmp_path/'faulty.pt'
    del tensors['lossAV.FC.bias']
    tensors['surprise'] = torch.zeros(1)
    tensors['VSRmodel.outputConv.weight'] = torch.zeros(41, 512, 1)
    torch.save(tensors, path)
    with pytest.raises(BadWeights) as e: load_official(path)
    for phrase in ('3 of its tensors', 'missing lossAV.FC.bias', 'extra surprise',
                   'misshapen VSRmodel.outputConv.weight (41, 512, 1)'):
        assert phrase in str(e.value)


def test_talknet(checkpoint, tmp_path):
    "TalkNet's file is the detector without teachers, with three heads of its own."
    tensors = {k: v for k, v in torch.load(checkpoint, weights_only=True).items() if k.startswith('model.')}
    tensors |= {f'loss{h}.FC.{k}': torch.zeros(s) for h, n in (('AV', 256), ('A', 128), ('V', 128))
                for k, s in (('weight', (2, n)), ('bias', (2,)))}
    path = tmp_path/'pretrain_TalkSet.model'
    torch.save(tensors, path)
    detector = load_talknet(path)
    assert torch.equal(detector.audio.conv.weight, tensors['model.audioEncoder.conv1.weight'])
    assert torch.equal(detector.visual_attention.wide.bias, tensors['model.crossV2A.linear1.bias'])
    assert detector.classify.weight.abs().sum() > 0
