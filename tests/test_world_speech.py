"What the procedural world relies on: the same speech in every process, and phonemes that lie where they sound."
import multiprocessing

import numpy as np
import pytest
import torch  # noqa: F401  speech must work where torch runs its threads

from cmdfd_nb.core import SAMPLE_RATE, SAMPLES_PER_FRAME, BadArgument
from cmdfd_nb.world.text import sentence
from cmdfd_nb.world.voice import ACCENTS, ESPEAK_VARIANTS, PHONEMES, Voice, random_voice, speak
from cmdfd_nb.world.recording import NOISES, Recording, background_noise, random_recording, record

TEXTS = ['The pilot took a copper teapot.', 'She chose fresh fish.', 'Five of us paid the judge.']


def spoken(request):
    speech = speak(*request)
    return speech.audio.tobytes(), speech.phonemes


@pytest.fixture(scope='module')
def speech():
    "One utterance per text, in three voices with and without echo."
    return [speak(text, Voice(variant)) for text in TEXTS for variant in ('m3', 'f2', 'belinda')]


def test_the_same_after_other_utterances():
    first = spoken((TEXTS[0], Voice('f2')))
    for variant in ('f1', 'croak', 'Alicia'): spoken((TEXTS[1], Voice(variant)))
    assert spoken((TEXTS[0], Voice('f2'))) == first


@pytest.mark.parametrize('method', ['fork', 'spawn'])
def test_the_same_in_worker_processes(method):
    requests = [(text, Voice(variant)) for text in TEXTS for variant in ('f2', 'm3')]
    with multiprocessing.get_context(method).Pool(2) as pool: there = pool.map(spoken, requests[::-1], chunksize=1)
    assert there[::-1] == [spoken(request) for request in requests]


def test_the_same_in_another_second():
    import time
    first = spoken((TEXTS[0], Voice('f2')))
    time.sleep(1.1)  # espeak seeds itself from the clock unless told otherwise
    assert spoken((TEXTS[0], Voice('f2'))) == first


def test_sound_is_whole_frames_of_finite_samples(speech):
    for s in speech:
        assert s.audio.dtype == np.float32 and s.audio.ndim == 1
        assert len(s.audio) % SAMPLES_PER_FRAME == 0
        assert np.isfinite(s.audio).all() and .01 < np.abs(s.audio).max() <= 1
        assert 1 < len(s.audio) / SAMPLE_RATE < 5


def test_phonemes_tile_the_sound_in_order(speech):
    for s in speech:
        times = np.array([[p.start_s, p.end_s] for p in s.phonemes])
        assert times[0, 0] == 0 and times[-1, 1] == pytest.approx(len(s.audio) / SAMPLE_RATE)
        assert (times[1:, 0] == times[:-1, 1]).all() and (times[:, 1] > times[:, 0]).all()
        assert s.phonemes[0].symbol == s.phonemes[-1].symbol == '_'
        assert {p.symbol for p in s.phonemes} <= set(PHONEMES)


def level(audio, start_s, end_s):
    return np.sqrt((audio[round(start_s * SAMPLE_RATE):round(end_s * SAMPLE_RATE)].astype(float)**2).mean())


def test_stops_begin_silent_and_vowels_do_not(speech):
    closures = [level(s.audio, p.start_s + .002, p.start_s + .02) for s in speech for p in s.phonemes
                if p.symbol in 'ptk']
    vowels = [level(s.audio, p.start_s, p.end_s) for s in speech for p in s.phonemes
              if p.symbol in ('aI', 'i:', 'oU', 'eI', 'U')]
    assert len(closures) > 20 and len(vowels) > 20
    assert np.quantile(closures, .9) < np.median(vowels) / 10


def test_silence_around_is_what_was_asked_for():
    short, long = (speak(TEXTS[0], before_s=s) for s in (.1, .5))
    assert short.phonemes[0].end_s + .4 == pytest.approx(long.phonemes[0].end_s, abs=1e-4)
    assert not np.abs(long.audio[:int(.45 * SAMPLE_RATE)]).max() > 1e-3


def test_sentences_are_many_and_drawn_by_the_generator():
    rng = np.random.default_rng(7)
    assert len({sentence(rng) for _ in range(2500)}) > 2000
    assert sentence(np.random.default_rng(7)) == sentence(np.random.default_rng(7))


def test_voices_of_disjoint_slices_never_meet():
    rng = np.random.default_rng(0)
    train, test = ({random_voice(rng, part).variant for _ in range(500)}
                   for part in (ESPEAK_VARIANTS[:40], ESPEAK_VARIANTS[40:]))
    assert train == set(ESPEAK_VARIANTS[:40]) and test == set(ESPEAK_VARIANTS[40:])


def test_every_voice_and_accent_can_speak():
    sounds = {speak('Good morning.', Voice(variant)).audio.tobytes() for variant in ESPEAK_VARIANTS}
    assert len(sounds) == len(ESPEAK_VARIANTS)
    assert len({speak('The poor tired farmer laughed.', Voice(accent=accent)).phonemes
                for accent in ACCENTS}) == len(ACCENTS)


@pytest.mark.parametrize('make', [lambda: Voice('nobody'), lambda: Voice(accent='en-xx'), lambda: speak('...')])
def test_nonsense_is_refused(make):
    with pytest.raises(BadArgument): make()


def test_without_espeak_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'espeakng_loader', None)
    with pytest.raises(BadArgument, match=r"pip install -e '\.\[synth\]'"): speak('Hello.')


def test_recording_keeps_time_and_varies_with_its_settings(speech):
    audio, rng = speech[0].audio, np.random.default_rng(1)
    takes = [(record(audio, r), record(audio, r)) for r in (random_recording(rng) for _ in range(12))]
    for once, again in takes:
        assert (once == again).all() and once.shape == audio.shape and once.dtype == np.float32
        assert np.isfinite(once).all() and np.abs(once).max() <= 1
        lag = np.argmax(np.fft.irfft(np.fft.rfft(once) * np.conj(np.fft.rfft(audio))))
        assert min(lag, len(audio) - lag) <= 4
    assert len({once.tobytes() for once, _ in takes}) == len(takes)


@pytest.mark.parametrize('kind', NOISES)
def test_noise_is_at_the_signal_to_noise_ratio_asked_for(kind):
    silence = record(np.zeros(SAMPLE_RATE * 2, np.float32), Recording(noise=kind))
    assert np.isfinite(silence).all() and 0 < silence.std() < .1
    assert background_noise(SAMPLE_RATE, kind, np.random.default_rng(0)).std() == pytest.approx(1)
