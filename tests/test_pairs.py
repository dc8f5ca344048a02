"""Rules on an encoder: AV-HuBERT, FACTOR, SpeechForensics, AVH-Align, as a user has them."""
import argparse

import numpy as np
import pandas as pd
import pytest
import python_speech_features
import torch
from test_baselines import published
from test_batches import make_clip

from cmdfd_nb.cli import cmdfd_score, cmdfd_weights
from cmdfd_nb.core import BadArgument, BadWeights, sample
from cmdfd_nb.data.clips import ClipTable
from cmdfd_nb.judge.choose import score_chosen
from cmdfd_nb.learn.config import TrainConfig, train_config
from cmdfd_nb.learn.loop import train
from cmdfd_nb.media.preprocess import save_clip
from cmdfd_nb.models.baselines.av_hubert import log_bands
from cmdfd_nb.models.checkpoint import Weights, load_weights, save_weights
from cmdfd_nb.models.detectors import configure, detector_class
from cmdfd_nb.models.foreign import fill_foreign, foreign_file, load_foreign
from cmdfd_nb.models.weights import find_weights, seeded_weights

SMALL = dict(widths=(4, 6, 8, 10), layers=1, heads=4, hidden=16, kernel=8, groups=4)   # its vectors have 1024 numbers


@pytest.fixture(scope='module')
def small(tmp_path_factory):
    "A weights file with a small stand-in for AV-HuBERT, and the names that a port of it would have."
    torch.manual_seed(0)
    detector = detector_class('factor')(configure('factor', 'paper', sizes=SMALL))
    path = tmp_path_factory.mktemp('small')/'av_hubert.safetensors'
    save_weights(path, Weights('small', 'real', detector))
    return path, {f'model.encoder.{name}': value for name, value in detector.encoder.state_dict().items()}


def test_sound_is_read_as_published():
    "Their log energies; the row that their windows do not reach is zero."
    wave = np.random.default_rng(0).standard_normal(30 * 640).cumsum()
    wave = np.round(wave / np.abs(wave).max() * 20000)
    rows = python_speech_features.logfbank(wave, 16000).astype(np.float32)
    rows = np.concatenate([rows, np.zeros((120 - len(rows), 26), np.float32)]).reshape(30, 104)
    theirs = torch.nn.functional.layer_norm(torch.from_numpy(rows), (104,))
    np.testing.assert_allclose(log_bands(torch.from_numpy(wave / 2**15).float()), theirs, atol=1e-4)
    softer = log_bands(torch.from_numpy(wave / 2**17).float())
    np.testing.assert_allclose(softer[:-1], theirs[:-1], atol=1e-4)   # of any loudness


FAIRSEQ = (('.attention.', '.self_attn.'), ('.feed_forward.intermediate_dense.', '.fc1.'),
           ('.feed_forward.output_dense.', '.fc2.'), ('pos_conv_embed.conv.', 'pos_conv.0.'),
           ('parametrizations.weight.original0', 'weight_g'), ('parametrizations.weight.original1', 'weight_v'))


def as_fairseq(name):
    for ours, theirs in FAIRSEQ: name = name.replace(ours, theirs)
    parts = name.split('.')
    if 'layers' in parts and parts[-2] == 'layer_norm': name = name.replace('layer_norm', 'self_attn_layer_norm')
    return name.replace('model.encoder.', 'encoder.w2v_model.')


@pytest.mark.parametrize('rename', [str, as_fairseq])
def test_a_port_and_a_plain_checkpoint_fill_the_encoder(small, rename):
    "By the names of the port and of fairseq; the decoder and what only training needs is left alone."
    tensors = {rename(name): value.half() if value.is_floating_point() else value for name, value in small[1].items()}
    more = {'model.decoder.embed_tokens.weight': torch.zeros(3, 2), 'model.encoder.mask_emb': torch.zeros(104)}
    file = foreign_file('av-hubert')
    detector = detector_class('factor')(configure('factor', 'paper', sizes=SMALL))
    fill_foreign(detector, file, file.tidy(tensors | more))
    for name, value in detector.encoder.state_dict().items():
        np.testing.assert_allclose(value, small[1][f'model.encoder.{name}'], rtol=1e-3, atol=1e-6)
    with pytest.raises(BadWeights, match='missing post_extract_proj.bias; extra surprise'):
        left = {name: value for name, value in tensors.items() if not name.endswith('post_extract_proj.bias')}
        fill_foreign(detector, file, file.tidy(left | {'surprise': torch.zeros(1)}))


def test_the_licence_is_shown_before_the_file_is_opened(tmp_path, capfd):
    torch.save(dict(a=torch.zeros(1)), tmp_path/'model.pt')
    with pytest.raises(BadWeights): load_foreign('lipforensics', tmp_path/'model.pt')
    assert not capfd.readouterr().err
    with pytest.raises(BadWeights, match='no such file'): load_foreign('av-hubert', tmp_path/'absent.safetensors')
    said = capfd.readouterr().err
    assert 'no surveillance' in said and 'biometric' in said and 'Copyright (c) Meta' in said


def test_avh_align_is_converted_with_its_encoder(small, tmp_path, capsys):
    "Its options are a record that names a class, which opens without running code."
    theirs = tmp_path/'AVH-Align_AV1M.pt'
    torch.save(published('avh-align') | dict(args=argparse.Namespace(tau=15)), theirs)
    out = tmp_path/'avh_align.safetensors'
    assert cmdfd_weights('avh-align', theirs, out=out, workers=0) == 2
    assert '--encoder' in capsys.readouterr().err
    assert cmdfd_weights('avh-align', theirs, out=out, encoder=small[0], workers=0) == 0
    weights = load_weights(out)
    assert (weights.kind, weights.domain, weights.views) == ('avh_align', 'real', ('audio', 'mouths'))
    last = published('avh-align')['state_dict']['mlp.9.weight']
    np.testing.assert_allclose(weights.detector.mlp[9].weight.detach(), last)
    batch = dict(audio=torch.randn(1, 640 * 8), mouths=torch.randint(256, (1, 8, 96, 96), dtype=torch.uint8))
    with torch.no_grad(): verdict = weights.detector(batch)
    assert torch.equal(verdict.score, verdict.facts['logsumexp'])


def test_rules_score_on_the_kit_s_own_encoder(capsys):
    rules = 'factor,speech_forensics'
    assert not cmdfd_score([sample('speaker.mp4')], detector=rules, json=True, device='cpu', workers=0)
    assert capsys.readouterr().out.count('"answer": "cannot tell"') == 2   # they rank, and have no threshold


def test_a_rule_takes_the_encoder_of_weights_that_are_named(small, tmp_path):
    lag = tmp_path/'lag.safetensors'
    save_weights(lag, seeded_weights('tiny', kind='lag'))
    own, other = (score_chosen(sample('speaker.mp4'), weights, 'factor').tracks[0] for weights in (None, lag))
    assert own.score != other.score and other.why_no_label == 'untrained weights'
    by_name = find_weights(f'speech_forensics:{small[0]}')
    assert (by_name.domain, by_name.views) == ('real', ('audio', 'mouths'))
    with pytest.raises(BadArgument, match='no pair of encoders'): find_weights('factor:articulation')
    with pytest.raises(BadArgument, match='these weights are of lag'): score_chosen('absent.mp4', lag, 'correlation')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    "Six clips, half of them fake, of three people, one of whom validates."
    folder = tmp_path_factory.mktemp('clips')
    splits = ['val'] * 2 + ['train'] * 4
    rows = [dict(clip=f'{i}.safetensors', frames=40, label=i % 2, identity=str(i // 2), split=split)
            for i, split in enumerate(splits)]
    for i, row in enumerate(rows): save_clip(make_clip(40, i, ('faces', 'mfcc')), folder/row['clip'])
    return ClipTable(pd.DataFrame(rows), folder, domain='real')


@pytest.mark.parametrize('start, domain', [('', 'synthetic'), ('lag', 'seeded')])
def test_avh_align_learns_from_reals_on_a_frozen_encoder(start, domain, folder, tmp_path):
    "The domain of what it learns is that of the encoder, if that is worse than the clips'."
    lent = find_weights()
    if start:
        lent = seeded_weights('tiny', kind='lag')
        save_weights(tmp_path/'lag.safetensors', lent)
        start = str(tmp_path/'lag.safetensors')
    config = train_config('tiny', kind='avh_align', epochs=1, start=start)
    record = train(folder, tmp_path/'run', config, device='cpu', workers=0)
    assert record['clips_train'] == 2 and 2 < record['history'][0]['total'] < 4   # it begins at about log 31
    weights = load_weights(tmp_path/'run'/'best.safetensors')
    assert (weights.kind, weights.domain, weights.provenance['epoch']) == ('avh_align', domain, 1)
    for name, value in lent.detector.state_dict().items():
        assert torch.equal(value, weights.detector.encoder.detector.state_dict()[name]), name


def test_a_rule_learns_nothing():
    with pytest.raises(BadArgument, match='works by a rule'): TrainConfig(kind='factor', preset='tiny')
