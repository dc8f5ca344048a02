"Forgeries: reproducible from one draw, sound kept or replaced, lips in sync as the paper saw them."
import numpy as np
import pytest

from cmdfd_nb.core import SAMPLES_PER_FRAME, BadArgument
from cmdfd_nb.media.read import frames
from cmdfd_nb.media.sound import read_audio
from cmdfd_nb.world.face.identity import random_identity
from cmdfd_nb.world.forge.take import Take, act
from cmdfd_nb.world.forge.sound import mouth_from_audio
from cmdfd_nb.world.forge.layers import GRID_PERIODS
from cmdfd_nb.world.forge.find import estimate_landmarks, with_landmarks
from cmdfd_nb.world.forge.talkinghead import audio2head, makeittalk
from cmdfd_nb.world.forge.methods import FORGERIES, SWAPS, Forgery, combine_forgeries, forge, register_forgery
from cmdfd_nb.world.text import sentence
from cmdfd_nb.world.voice import random_voice

METHODS = tuple(FORGERIES)
STILLS = 'audio2head', 'makeittalk'


def actor(seed, most, size=224, identity=None):
    "The first frames of a sentence; the rest is not rendered."
    rng = np.random.default_rng(seed)
    return act(identity or random_identity(rng), random_voice(rng), sentence(rng), rng, size=size, most=most)


@pytest.fixture(scope='module')
def takes(): return actor(3, 30)[5:], actor(16, 34)[5:]


@pytest.fixture(scope='module')
def donor(): return random_identity(np.random.default_rng(21))


@pytest.fixture(scope='module')
def forged(takes, donor): return {m: forge(m, *takes, donor, np.random.default_rng(1)) for m in METHODS}


@pytest.mark.parametrize('method', METHODS)
def test_shapes(forged, takes, method):
    t, (take, driver) = forged[method], takes
    assert len(t) == (len(driver) if method in STILLS else len(take))
    assert t.frames.dtype == np.uint8 and t.frames.shape[1:] == (224, 224, 3)
    assert t.audio.dtype == np.float32 and len(t.audio) == len(t) * SAMPLES_PER_FRAME
    assert t.landmarks.shape == (len(t), 68, 2) and np.isfinite(t.landmarks).all()
    assert len(t.motion) == len(t) and t.phonemes[-1].end_s == pytest.approx(len(t) / 25)


@pytest.mark.parametrize('method', METHODS)
def test_sound_is_kept_or_replaced(forged, takes, method):
    t, (take, driver) = forged[method], takes
    if method in SWAPS: assert np.array_equal(t.audio, take.audio) and t.voice == take.voice
    elif method == 'rtvc':
        assert not np.array_equal(t.audio, take.audio) and t.text == take.text
        assert t.voice.variant == driver.voice.variant
    else: assert np.array_equal(t.audio, driver.audio[:len(t.audio)]) and t.text == driver.text


@pytest.mark.parametrize('method', ['wav2lip', 'makeittalk', 'faceswap', 'rtvc'])
def test_the_same_draw_makes_the_same_forgery(forged, takes, donor, method):
    again, other = (forge(method, *takes, donor, np.random.default_rng(seed)) for seed in (1, 2))
    def same(a, b): return np.array_equal(a.frames, b.frames) and np.array_equal(a.audio, b.audio)
    assert same(again, forged[method]) and not same(other, forged[method])


def test_faces_change_and_rooms_do_not(forged, takes):
    take = takes[0]
    for method in SWAPS:
        assert np.array_equal(forged[method].frames[:, :15], take.frames[:, :15])
        assert np.abs(forged[method].frames[:, 90:180, 70:150].astype(int) - take.frames[:, 90:180, 70:150]).mean() > 5
    assert forged['rtvc'].frames is take.frames
    assert np.array_equal(forged['wav2lip'].frames[:, :80], take.frames[:, :80])


def test_a_still_is_one_frame(forged, takes):
    for method in STILLS: assert len({f[:3].tobytes() for f in forged[method].frames}) <= 3   # hair may reach the rim


@pytest.mark.parametrize('method', METHODS)
def test_paint_changes_pixels_and_nothing_else(takes, donor, method):
    def forged(paint): return forge(method, takes[0][:12], takes[1][:12], donor, np.random.default_rng(4), paint)
    clips = {paint: forged(paint) for paint in (None, *GRID_PERIODS)}
    plain = clips[None]
    far = [np.abs(clips[p].frames.astype(int) - plain.frames).mean() for p in GRID_PERIODS]
    if method in ('makeittalk', 'rtvc'): assert far == [0, 0]                   # they have no grid
    else: assert min(far) > .05 and np.any(clips['train'].frames != clips['test'].frames)
    for painted in clips.values():
        assert np.array_equal(painted.landmarks, plain.landmarks) and np.array_equal(painted.audio, plain.audio)


def test_grids_of_training_and_test_are_disjoint():
    train, test = (set(GRID_PERIODS[split].values()) for split in ('train', 'test'))
    assert GRID_PERIODS['train'].keys() == GRID_PERIODS['test'].keys() and not train & test


def test_own_sound_without_a_driver(takes):
    for method in ('wav2lip', 'makeittalk'):
        assert np.array_equal(forge(method, takes[0][:10], rng=np.random.default_rng(0)).audio, takes[0][:10].audio)


@pytest.mark.parametrize('arguments,remedy', [(('wav2head',), 'audio2head'), (('faceswap',), 'donor')])
def test_wrong_arguments(takes, arguments, remedy):
    with pytest.raises(BadArgument, match=remedy): forge(arguments[0], takes[0])
    with pytest.raises(BadArgument, match='train, test'): forge('wav2lip', takes[0], paint='val')


def test_sound_alone_moves_a_mouth(takes):
    t = takes[0]
    mouth = mouth_from_audio(t.audio)
    assert mouth.shape == (len(t), 9) and 0 <= mouth.min() and mouth.max() <= 1.1
    loud = np.sqrt((t.audio.reshape(-1, SAMPLES_PER_FRAME)**2).mean(1))
    assert np.corrcoef(mouth[:, 0], loud)[0, 1] > .5


@pytest.fixture(scope='module')
def stranger(real_clips):
    shown = np.stack([f for f, _ in zip(frames(real_clips['vox_a']), range(30))])
    return with_landmarks(Take(shown, read_audio(real_clips['vox_a'])[:30 * SAMPLES_PER_FRAME]))


def test_landmarks_of_a_real_face(stranger):
    eyes, mouth = stranger.landmarks[:, 36:48].mean(1), stranger.landmarks[:, 48:].mean(1)
    for points, where in ((eyes, (88, 58)), (mouth, (88, 122))):               # read off the pictures by eye
        assert np.abs(np.median(points, 0) - where).max() < 15, np.median(points, 0)


@pytest.mark.parametrize('method', [f.name for f in FORGERIES.values() if 'text' not in f.needs])
def test_real_video(stranger, donor, method):
    t = forge(method, stranger, donor=donor, rng=np.random.default_rng(0))
    assert t.frames.shape == stranger.frames.shape and np.array_equal(t.audio, stranger.audio)
    assert t.identity is None and t.phonemes is None
    assert np.abs(t.frames[:, 60:200, 40:170].astype(int) - stranger.frames[:, 60:200, 40:170]).mean() > 1


def test_real_video_of_any_size(real_clips):
    shown = np.stack([f for f, _ in zip(frames(real_clips['wide_844px_25fps']), range(8))])
    take = Take(shown, read_audio(real_clips['wide_844px_25fps'])[:8 * SAMPLES_PER_FRAME])
    points = estimate_landmarks(take.frames)
    assert (points > -50).all() and (points < 900).all()
    for f in (audio2head, makeittalk): assert f(take, take, np.random.default_rng(0)).frames.shape == shown.shape


def test_an_unknown_text_cannot_be_spoken_again(stranger):
    with pytest.raises(BadArgument, match='unknown'): forge('rtvc', stranger)


# The registry

def test_records_agree_with_their_clips(forged, takes, donor):
    take, driver = takes
    for name, f in FORGERIES.items():
        voice = dict(target=take.voice, driver=driver.voice).get(f.heard)
        assert f.name == name and f.label == 1 and f.says.endswith('.')
        assert (forged[name].identity == take.identity) == (f.seen == 'target')
        assert voice is None or forged[name].voice == voice


def test_swaps_follow_the_registry(takes, donor):
    assert list(SWAPS) == ['faceswap', 'fsgan'] and len(SWAPS) == 2
    def lend(take, donor, rng, paint): return FORGERIES['fsgan'].function(take, donor, rng, paint)
    record = register_forgery(Forgery('lend', lend, ('donor',), seen='donor'))
    try:
        assert 'lend' in SWAPS
        with pytest.raises(BadArgument, match='lend'): register_forgery(record)
        same = forge('lend', takes[0][:3], None, donor, np.random.default_rng(0))
        assert np.array_equal(same.frames, forge('fsgan', takes[0][:3], None, donor, np.random.default_rng(0)).frames)
    finally: FORGERIES.pop('lend')
    assert 'lend' not in SWAPS and tuple(FORGERIES) == METHODS


def test_combined_records():
    both = combine_forgeries(FORGERIES['rtvc'], FORGERIES['faceswap'])
    assert (both.seen, both.heard) == ('donor', 'clone') and set(both.needs) == {'driver', 'donor', 'text', 'voice'}
    with pytest.raises(BadArgument, match='driver, donor, text, voice'): Forgery('x', None, ('money',))
