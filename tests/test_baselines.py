"""Other people's detectors: their published files fit, and numbers of their public code are met.

`tests/parity/README.md` states the rule of the weights and what each array is; inputs are drawn here again.
"""
import json
import re
from itertools import islice

import numpy as np
import pandas as pd
import pytest
import torch
from test_batches import make_clip
from test_parity import PARITY, rule

from cmdfd_nb.cli import cmdfd_detectors, cmdfd_score, cmdfd_weights
from cmdfd_nb.core import BadWeights
from cmdfd_nb.data.clips import ClipTable
from cmdfd_nb.learn.config import train_config
from cmdfd_nb.learn.loop import train
from cmdfd_nb.media.features import mfcc
from cmdfd_nb.media.lockstep import lockstep
from cmdfd_nb.media.mouth_crops import maps_of, mouth_crop
from cmdfd_nb.media.preprocess import save_clip
from cmdfd_nb.media.write import write_video
from cmdfd_nb.models.baselines.av_byol import AVBYOL, AVBYOLConfig, mel_decibels
from cmdfd_nb.models.baselines.lag_network import mel_rows, sounds_around
from cmdfd_nb.models.checkpoint import load_weights, mismatch
from cmdfd_nb.models.detectors import configure, detector_class
from cmdfd_nb.models.foreign import all_foreign, foreign_file, load_foreign, tensors_of

LISTED = sorted(name for name, file in all_foreign().items() if file.names or not file.load)


def typed(name): return torch.int64 if name.endswith('num_batches_tracked') else torch.float32


def published(name):
    "A file's tensors, filled by the rule, as its training script would have saved them."
    tensors = {k: torch.from_numpy(np.asarray(rule(k, shape))).to(typed(k)) for k, shape in tensors_of(name).items()}
    entry = foreign_file(name).entry
    return {entry: tensors, 'epoch': 3} if entry else tensors


@pytest.fixture(scope='module')
def golden(): return dict(np.load(PARITY/'baselines_seed0.npz'))


@pytest.fixture(scope='module')
def loaded(tmp_path_factory):
    "From the name of a published file to the weights that it becomes, made once."
    made = {}
    def load(name):
        if name not in made:
            path = tmp_path_factory.mktemp(name)/foreign_file(name).file
            torch.save(published(name), path)
            made[name] = load_foreign(name, path)
        return made[name]
    return load


def pictures(seed, n, size, *channels):
    "Blocks of eight pixels (mouths: four; aligned faces: ten) of random levels."
    side = {96: 4, 140: 10}.get(size, 8)
    drawn = np.random.RandomState(seed).randint(0, 256, (n, size // side, size // side, *channels)).astype(np.uint8)
    return drawn.repeat(side, 1).repeat(side, 2)


# The files

@pytest.mark.parametrize('name', LISTED)
def test_published_names_and_shapes(name):
    file = foreign_file(name)
    with torch.device('meta'): detector = detector_class(file.kind)(configure(file.kind, file.preset))
    ours = {file.their_name(f'detector.{k}'): v for k, v in detector.state_dict().items()}
    used = {k: shape for k, shape in tensors_of(name).items() if not re.match(file.unused, k)}
    assert not mismatch(used, ours)


def test_faulty_files_are_refused(tmp_path):
    tensors = published('syncnet')
    del tensors['netfcaud.3.bias']
    tensors |= {'surprise': torch.zeros(1), 'netfclip.3.weight': torch.zeros(512, 512)}
    torch.save(tensors, tmp_path/'syncnet_v2.model')
    with pytest.raises(BadWeights) as e: load_foreign('syncnet', tmp_path/'syncnet_v2.model')
    for phrase in ('3 of its tensors', 'missing netfcaud.3.bias', 'extra surprise', 'misshapen netfclip.3.weight'):
        assert phrase in str(e.value)


# SyncNet

@pytest.fixture(scope='module')
def synced(loaded):
    "The clip that the golden numbers were made of, what SyncNet says of it, and its vectors."
    random = np.random.RandomState(7)
    faces = random.randint(0, 256, (24, 28, 28, 3)).astype(np.uint8).repeat(8, 1).repeat(8, 2)
    t = np.arange(640 * 24) / 16000
    tone = np.sin(2 * np.pi * 220 * t * (1 + .5 * np.sin(2 * np.pi * 1.3 * t)))
    wave = .3 * tone + .05 * random.standard_normal(len(t))
    audio = np.round(wave * 32768).clip(-32768, 32767).astype(np.int16) / 32768
    batch = dict(rgb_224=torch.from_numpy(faces)[None], audio=torch.from_numpy(audio.astype(np.float32))[None])
    detector = loaded('syncnet').detector
    with torch.no_grad():
        verdict = detector(batch)
        return verdict, *detector.embed(batch, verdict.heard), mfcc(batch['audio'], .025, 512)[0]


def test_syncnet_vectors(synced, golden):
    _, lips, sound, cepstra = synced
    rows = len(golden['syncnet_mfcc'])   # python_speech_features leaves out the last one, which is half empty
    np.testing.assert_allclose(cepstra[:rows], golden['syncnet_mfcc'], rtol=1e-4, atol=1e-3)
    largest = np.abs(golden['syncnet_lip']).max()   # pictures from 0 to 255 make vectors of hundreds
    np.testing.assert_allclose(lips[0, :4], golden['syncnet_lip'], rtol=1e-4, atol=1e-6 * largest)
    np.testing.assert_allclose(sound[0, :4], golden['syncnet_sound'], rtol=1e-4, atol=1e-4)


def test_syncnet_numbers(synced, golden):
    verdict = synced[0]
    np.testing.assert_allclose(verdict.facts['by_lag'][0], golden['syncnet_mean'], rtol=1e-4)
    found = [float(verdict.facts[name]) for name in ('offset', 'lse_d', 'lse_c')]
    offset, least, confidence = golden['syncnet_numbers']
    np.testing.assert_allclose(found[:2], [offset, least], rtol=1e-4)
    assert abs(found[2] - confidence) < 1e-4 * least   # it is a difference of two distances


def test_syncnet_frames(synced, golden):
    "The curve shows the published smoothed confidence of each vector at the middle of its five frames."
    shown = synced[0].curves['lip_confidence'][0]
    smooth = golden['syncnet_smooth']
    np.testing.assert_allclose(shown[2:2 + len(smooth)], smooth, atol=1e-4 * golden['syncnet_mean'].min())


# LipForensics

def test_lipforensics_logits(loaded, golden):
    mouths = torch.from_numpy(pictures(8, 50, 96))
    with torch.no_grad(): logits = loaded('lipforensics').detector.parts([mouths])[0]
    np.testing.assert_allclose(logits, golden['lipforensics_logits'], rtol=1e-4)


def test_mouths_are_aligned_as_published(golden):
    "The same landmarks give the same maps; pixels differ by the rounding of a level."
    marks, frames = golden['mouths_marks'], pictures(9, 20, 224, 3)
    maps = maps_of(marks[:, :5])
    np.testing.assert_allclose(maps, golden['mouths_maps'], atol=1e-4)
    for theirs, k in zip(golden['mouths_crops'], (0, 7, 19)):
        off = mouth_crop(frames[k], marks[k, 5:], maps[k]).astype(int) - theirs
        assert abs(off).max() <= 1 and (off == 0).mean() > .8


# Xception

def test_xception_logits(loaded, golden):
    detector = loaded('xception').detector
    with torch.no_grad(): verdict = detector(dict(rgb_256=torch.from_numpy(pictures(10, 2, 256, 3))[None]))
    np.testing.assert_allclose(verdict.frame_logits[0], golden['xception_logits'], atol=1e-4)
    np.testing.assert_allclose(verdict.logits.softmax(1)[0, 1], golden['xception_mean'], atol=1e-4)


# AVAD

@pytest.fixture(scope='module')
def anomalies(tmp_path_factory):
    "AVAD from its two files, given the wrong way round: sync_model.pth as the decoder."
    folder = tmp_path_factory.mktemp('avad')
    tensors = published('avad')
    guesses = {k: v for k, v in tensors.items() if re.match('decoder|lin|pos_embedding', k)}
    torch.save({k: v for k, v in tensors.items() if k not in guesses}, folder/'sync_model.pth')
    torch.save(guesses, folder/'dist_regressive_model.pth')
    return load_foreign('avad', folder/'dist_regressive_model.pth', decoder=folder/'sync_model.pth').detector


@pytest.fixture(scope='module')
def unusual(): return dict(np.load(PARITY/'avad_seed0.npz'))


def test_avad_from_pictures_and_samples_to_the_score(anomalies, unusual):
    t = np.arange(640 * 7) / 16000
    tone = np.sin(2 * np.pi * 220 * t * (1 + .5 * np.sin(2 * np.pi * 1.3 * t)))
    wave = .3 * tone + .05 * np.random.RandomState(12).standard_normal(len(t))
    audio = torch.from_numpy(np.round(wave * 32768).clip(-32768, 32767).astype(np.float32) / 32768)[None]
    faces = torch.from_numpy(pictures(11, 7, 224, 3))[None]
    sounds = sounds_around(audio, 15)[0, [13, 16]]   # of the second window: three frames early, and in step
    np.testing.assert_allclose(mel_rows(sounds).transpose(1, 2), unusual['avad_mel'], atol=1e-4)
    lengths, exists = torch.tensor([7]), torch.ones(1, 3, dtype=torch.bool)
    with torch.no_grad():
        heard = anomalies.hear(audio, lengths, exists)[1, ..., [12, 15]].movedim(2, 0)
        verdict = anomalies(dict(rgb_224=faces, audio=audio))
    np.testing.assert_allclose(heard, unusual['avad_sound'], atol=1e-4 * abs(unusual['avad_sound']).max())
    np.testing.assert_allclose(verdict.scores[0], unusual['avad_scores'], atol=1e-4)
    np.testing.assert_allclose(verdict.surprises[0], unusual['avad_steps'], atol=1e-4)
    np.testing.assert_allclose(verdict.score, unusual['avad_score'], atol=1e-4)


@pytest.mark.parametrize('n, key', ((50, 'avad_drawn_steps'), (20, 'avad_drawn_short')))
def test_avad_guesses(anomalies, unusual, n, key):
    "A clip of the full length, and one that the public code fills up."
    scores = torch.from_numpy(np.random.RandomState(13).standard_normal((50, 31)).astype(np.float32)[None, :n] * 3)
    exists, frames = torch.ones(1, n, dtype=torch.bool), n + 4
    with torch.no_grad(): verdict = anomalies.judge(scores, exists, torch.tensor([frames]), frames)
    np.testing.assert_allclose(verdict.surprises[0], unusual[key], rtol=1e-4)


# AV-BYOL

LISTENS = (('backbone', 'backbone.model'), ('enter', 'projection_layer'),
           ('attend.norm', 'transformer.layers.0.0.norm'),
           ('attend.qkv', 'transformer.layers.0.0.fn.to_qkv'), ('attend.out', 'transformer.layers.0.0.fn.to_out.0'),
           ('predictor.norm', 'predictor.transformer.layers.0.1.norm.1'),
           ('wide', 'transformer.layers.0.1.fn.net.0'),
           ('narrow', 'transformer.layers.0.1.fn.net.3'), ('last_norm', 'mlp_head.1'), ('leave', 'mlp_head.3'))


def test_av_byol_listens_as_the_public_code():
    golden = np.load(PARITY/'av_byol_seed0.npz')
    ears = AVBYOL(AVBYOLConfig(stem=4, depths=(1,))).sound.eval()
    for name, value in ears.state_dict().items():
        theirs = f'model2.{name}'
        for ours, other in LISTENS: theirs = theirs.replace(f'.{ours}.', f'.{other}.')
        with torch.no_grad(): value.copy_(torch.from_numpy(np.asarray(rule(theirs, tuple(value.shape)))))
    t = np.arange(16000) / 16000
    tone = np.sin(2 * np.pi * 220 * t * (1 + .5 * np.sin(2 * np.pi * 1.3 * t)))
    wave = .3 * tone + .05 * np.random.RandomState(14).standard_normal(len(t))
    heard = mel_decibels(torch.from_numpy(wave.astype(np.float32))[None])
    np.testing.assert_allclose(heard[0, ::7], golden['mel'], atol=1e-4)
    with torch.no_grad():
        projected = ears.projector(ears.vectors(ears.backbone, heard[:, None]))
        predicted = ears.predict(heard[:, None])
    np.testing.assert_allclose(projected[0, ::4], golden['projected'], atol=1e-4)
    np.testing.assert_allclose(predicted[0, ::4], golden['predicted'], atol=1e-4)


# All of them

KINDS = ('lipforensics', 'syncnet', 'xception', 'realforensics', 'ftcn', 'vqgan', 'avad', 'joint_av', 'av_byol')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    "Six clips, half of them fake, of three people, one of whom validates."
    folder = tmp_path_factory.mktemp('clips')
    splits = ['val'] * 2 + ['train'] * 4
    rows = [dict(clip=f'{i}.safetensors', frames=25, label=i % 2, audio_label=i % 2, visual_label=0,
                 identity=str(i // 2), split=split) for i, split in enumerate(splits)]
    views = [name for kind in KINDS for name in detector_class(kind)(configure(kind, 'tiny')).needs]
    for i, row in enumerate(rows): save_clip(make_clip(25, i, views), folder/row['clip'])
    return ClipTable(pd.DataFrame(rows), folder, domain='synthetic')


@pytest.mark.parametrize('kind', KINDS)
def test_a_tiny_one_trains(kind, folder, tmp_path):
    "By the loop of the paper's detector; what it writes can be read."
    record = train(folder, tmp_path, train_config('tiny', kind=kind, epochs=1), device='cpu', workers=0)
    assert np.isfinite(record['history'][0]['total']) and record['best']['epoch'] == 1
    assert {*detector_class(kind).terms} <= {*record['history'][0]}
    weights = load_weights(tmp_path/'best.safetensors')
    assert (weights.kind, weights.detector.config.preset) == (kind, 'tiny')


@pytest.fixture(scope='module')
def filmed(real_clips, tmp_path_factory):
    "The first 1.2 seconds of a real clip."
    path = tmp_path_factory.mktemp('filmed')/'short.mp4'
    pictures, sounds = zip(*islice(lockstep(real_clips['vox_a']), 30))
    write_video(path, pictures, np.concatenate(sounds))
    return path


@pytest.mark.parametrize('kind', KINDS)
def test_the_command_scores_a_real_clip_with_seeded_weights(kind, filmed, landmark_model, capsys):
    "Curves of every frame, and no verdict."
    assert not cmdfd_score([filmed], detector=kind, weights='seeded', json=True, device='cpu', workers=0)
    face, = json.loads(capsys.readouterr().out)[0]['tracks']
    assert face['detector'] == kind and face['why_no_label'] == 'untrained weights'
    shown = detector_class(kind).shows
    assert set(face['curves']) == {*shown} and all(len(face['curves'][name]) == face['frames'] for name in shown)


def test_the_list_names_published_files(capsys):
    assert not cmdfd_detectors()
    said = capsys.readouterr().out
    for name in LISTED: assert f'cmdfd_weights {name}: {foreign_file(name).file} from ' in said
    assert said.count('not tried with it') >= len(LISTED)


def test_the_command_converts_a_published_file(tmp_path, capsys):
    torch.save(published('syncnet'), tmp_path/'syncnet_v2.model')
    assert not cmdfd_weights('syncnet', tmp_path/'syncnet_v2.model', out=tmp_path/'ours.safetensors', workers=0)
    weights = load_weights(tmp_path/'ours.safetensors')
    assert (weights.kind, weights.domain, weights.provenance['files']) == ('syncnet', 'real', ['syncnet_v2.model'])
    assert cmdfd_weights('syncnet', tmp_path/'syncnet_v2.model', score_by='softmax', workers=0) == 2
    assert 'score_by' in capsys.readouterr().err
