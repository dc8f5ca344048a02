"""Who is speaking: the published networks and ours agree on golden numbers of their modules, with weights by a rule.

The inputs are those of `golden_seed0.npz`; see `tests/parity/README.md`.
"""
import pickle
from dataclasses import replace

import numpy as np
import python_speech_features
import pytest
import torch
from test_articulation import WEIGHTS, clip_of, speech
from test_baselines import published as published_tensors
from test_parity import PARITY

from cmdfd_nb import cli
from cmdfd_nb.core import BadWeights
from cmdfd_nb.judge.score import join_parts, score_clip
from cmdfd_nb.media.features import mfcc
from cmdfd_nb.models.checkpoint import Weights, load_weights
from cmdfd_nb.models.baselines.lr_asd import LRASD
from cmdfd_nb.models.foreign import load_foreign
from cmdfd_nb.models.speaking import SpeakingConfig, _in_pieces, normalised

KINDS = ('light-asd', 'lr-asd', 'talknet')


@pytest.fixture(scope='module', params=KINDS)
def kind(request): return request.param


@pytest.fixture(scope='module')
def published(kind, tmp_path_factory):
    path = tmp_path_factory.mktemp(kind)/f'{kind}.model'
    torch.save(published_tensors(kind), path)
    return path


@pytest.fixture(scope='module')
def converted(kind, published, tmp_path_factory):
    "Weights as a user has them: converted by the command, and read."
    path = tmp_path_factory.mktemp(kind)/f'{kind}.safetensors'
    assert cli.cmdfd_weights(kind, str(published), out=str(path), workers=0) == 0
    return load_weights(path)


def stages(detector, lips, rows):
    "What a network says of a clip: its vectors of sound and picture, and its logits."
    if detector.kind == 'talknet':
        audio, visual = (found[0] for found in detector.network.embed(lips[None], rows[None], None, None))
        return audio, visual, detector.frame_logits(lips, rows)
    audio, visual = detector.sound(rows.T[None, None]), _in_pieces(detector.picture, normalised(lips))
    return audio, visual, detector.classify(detector.joined(audio, visual))


def test_numbers_are_those_of_the_published_code(kind, converted):
    inputs, golden = np.load(PARITY/'golden_seed0.npz'), np.load(PARITY/f'{kind.replace("-", "_")}_seed0.npz')
    detector, i = converted.detector, 1
    lips, rows = torch.from_numpy(inputs['faces'][i]), torch.from_numpy(inputs['mfcc'][i]).float()
    with torch.no_grad(): audio, visual, logits = stages(detector, lips, rows)
    for name, value in dict(audio=audio, visual=visual, logits=logits).items():
        np.testing.assert_allclose(value, golden[name][i], atol=1e-5, rtol=1e-5)
    assert np.abs(golden['logits'][0] - golden['logits'][1]).max() > .001   # the numbers depend on the clip


def test_sound_is_read_as_published(kind, converted):
    "Their MFCCs: 25 ms, 512 points, samples on the scale of 16-bit integers. Other settings would give other numbers."
    audio = np.random.default_rng(0).standard_normal(8 * 640).cumsum()
    audio = (audio / np.abs(audio).max() / 2).astype(np.float32)
    lips = torch.full((8, 112, 112), 99, dtype=torch.uint8)
    emphasised = np.append(audio[0], audio[1:] - .97 * audio[:-1]) * 2.**15
    theirs = python_speech_features.mfcc(np.append(emphasised, np.zeros(240)), 16000, preemph=0)[:32]   # their defaults
    with torch.no_grad():
        found = converted.detector(dict(lips=lips[None], audio=torch.tensor(audio)[None]))
        wanted = converted.detector.frame_logits(lips, torch.tensor(theirs).float())
        other = converted.detector.frame_logits(lips, mfcc(torch.tensor(audio)))   # 40 ms, as in the paper
    np.testing.assert_allclose(found.curves['speaking'][0], wanted.softmax(1)[:, 1], atol=1e-4)
    assert (other - wanted).abs().max() > 5e-4


def test_a_wrong_file_names_its_tensors(kind, published, tmp_path):
    state = torch.load(published, weights_only=True)
    width = state['lossAV.FC.weight'].shape[1]
    state['lossAV.FC.weight'] = torch.zeros(3, width)
    state['surprise'] = state.pop('lossAV.FC.bias')
    torch.save(state, tmp_path/'wrong.model')
    with pytest.raises(BadWeights) as error: load_foreign(kind, tmp_path/'wrong.model')
    misshapen = f'misshapen lossAV.FC.weight (3, {width}), expected (2, {width})'
    for part in ('missing lossAV.FC.bias', 'extra surprise', misshapen):
        assert part in str(error.value)


def test_a_file_that_could_run_code_is_refused(kind, tmp_path):
    class Trap:
        def __reduce__(self): return print, ('this must never be printed',)

    torch.save(dict(a=Trap()), tmp_path/'trap.model')
    with pytest.raises(BadWeights, match='could run code'): load_foreign(kind, tmp_path/'trap.model')
    (tmp_path/'bare.model').write_bytes(pickle.dumps(Trap()))
    with pytest.raises(BadWeights): load_foreign(kind, tmp_path/'bare.model')


def test_the_other_file_is_refused(kind, published):
    other = next(name for name in KINDS if name != kind)
    with pytest.raises(BadWeights, match='of its tensors do not fit'): load_foreign(other, published)


@pytest.mark.parametrize('bias, answer', [(9., 'fits'), (-9., 'cannot tell')])
def test_a_gate_closes_over_a_silent_face(bias, answer):
    "The question whether the sound fits is asked only of a face that the network takes for a speaking one."
    n, said = 150, speech(150, 1)
    heard = clip_of(said, said, n)
    more = dict(lips=np.full((n, 112, 112), 90, np.uint8), audio=np.zeros(640 * n, np.float32))
    clip = replace(heard, views=heard.views | more)
    gate = Weights('gate', 'seeded', LRASD(SpeakingConfig(width=2)))
    with torch.no_grad():
        gate.detector.classify.weight.zero_()
        gate.detector.classify.bias.copy_(torch.tensor([0., bias]))
    weights = replace(WEIGHTS, gate=gate)
    track = join_parts([(0, clip.boxes, score_clip(clip, weights))], 0, weights)
    assert track.answer == answer and len(track.curves['speaking']) == n == track.frames
    assert (track.lag_s is None) == (answer == 'cannot tell') == ('not speaking' in (track.why or ''))


def test_alone_it_answers_its_own_question(converted):
    clip = clip_of(speech(10, 1), speech(10, 1), 10)
    views = dict(lips=np.full((10, 112, 112), 90, np.uint8), audio=np.zeros(6400, np.float32))
    track = join_parts([(0, clip.boxes, score_clip(replace(clip, views=views), converted))], 0, converted)
    assert (track.p_fake, track.label, track.answer) == (None, None, None) and 'who is speaking' in track.verdict
