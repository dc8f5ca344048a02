"Phones heard in real and computed speech, the view phones, and phones of your own."
import sys, tracemalloc

import numpy as np
import pytest

from cmdfd_nb.core import FPS, SAMPLE_RATE, BadArgument, BadManifest, sample
from cmdfd_nb.media import phones as module
from cmdfd_nb.media.clip import PreprocessConfig, clips
from cmdfd_nb.media.phones import PHONES, SILENCE, Phone, hear_phones, phone_rows, phones_of, read_phones
from cmdfd_nb.media.preprocess import clip_key, load_clip, preprocess
from cmdfd_nb.media.sound import read_audio

HEARD = PreprocessConfig(views=('phones', 'audio'))


def test_a_real_voice(real_clips):
    clip, = clips(real_clips['vox_a'], HEARD)
    found = phones_of(clip['phones'])
    spoken = [phone for phone in found if phone.kind != 'silence']
    rate = len(spoken) / (len(clip) / FPS)
    assert 6 < rate < 20                                             # a second, in English
    assert 20 < 100 * sum(p.kind == 'vowel' for p in spoken) / len(spoken) < 65
    assert [p.symbol for p in found if p.end_s - p.start_s > .02] == [
        p.symbol for p in hear_phones(clip['audio']) if p.end_s - p.start_s > .02]


def test_a_clip_does_not_depend_on_the_one_before(real_clips):
    a, b = (read_audio(real_clips[name])[:4 * SAMPLE_RATE] for name in ('vox_a', 'vox_d'))
    first = list(hear_phones(a))
    list(hear_phones(b))
    assert list(hear_phones(a)) == first


def test_ten_minutes_in_flat_memory(monkeypatch):
    "The recogniser is left out: it holds one stretch at a time, and takes a second for every ten."
    held = []
    monkeypatch.setattr(module, '_heard', lambda samples: held.append(len(samples)) or [])
    block = np.random.default_rng(0).uniform(-.1, .1, SAMPLE_RATE).astype(np.float32)
    tracemalloc.start()
    assert list(hear_phones(block for _ in range(600))) == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(held) == 600 * SAMPLE_RATE and max(held) <= 30 * SAMPLE_RATE and min(held[:-1]) >= 20 * SAMPLE_RATE
    assert peak < 16e6                                               # bytes; the sound is 38 MB


def test_long_speech_is_heard_across_stretches():
    speech = read_audio(sample('speaker.mp4'))
    once = list(hear_phones(speech))
    found = list(hear_phones([speech] * 9))                          # 36 s and more: two stretches
    assert len(speech) * 9 > 30 * SAMPLE_RATE
    assert abs(len(found) / len(once) / 9 - 1) < .15
    assert max(abs(b.start_s - a.end_s) for a, b in zip(found, found[1:])) < .03
    assert abs(found[-1].end_s - 9 * len(speech) / SAMPLE_RATE) < .05


@pytest.mark.parametrize('sound', ['silence', 'noise', 'chord', 'short'])
def test_what_is_no_speech_gives_phones_or_silence_and_no_error(sound):
    t = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    audio = dict(silence=0 * t, noise=np.random.default_rng(0).normal(0, .1, len(t)), short=np.sin(900 * t[:3 * 640]),
                 chord=sum(np.sin(2 * np.pi * f * t) for f in (262, 330, 392)) / 4)[sound].astype(np.float32)
    found = list(hear_phones(audio))
    assert all(phone.symbol in PHONES and phone.start_s < phone.end_s for phone in found)
    if sound == 'silence': assert found == [Phone(SILENCE, 0, 2)]
    rows = phone_rows(found, len(audio) // 640)
    assert rows.dtype == np.uint8 and len(rows) == len(audio) // 160


def test_samples_that_are_no_numbers():
    with pytest.raises(BadArgument, match='not numbers'): list(hear_phones(np.full(SAMPLE_RATE, np.nan, np.float32)))


def test_rows_keep_phones():
    rng = np.random.default_rng(1)
    edges = np.cumsum(rng.integers(1, 20, 80)) / 100
    said = [Phone(PHONES[rng.integers(1, 40)], a, b) for a, b in zip(edges, edges[1:])]
    frames = int(edges[-1] * FPS) + 1
    back = [phone for phone in phones_of(phone_rows(said, frames)) if phone.symbol != SILENCE]
    assert [p.symbol for p in back] == [p.symbol for p in said]
    assert np.allclose([(p.start_s, p.end_s) for p in back], [(p.start_s, p.end_s) for p in said])


def test_phones_of_your_own(tmp_path):
    ctm = tmp_path/'mine.ctm'
    ctm.write_text('clip 1 0.4 0.2 m\nclip 1 0.6 0.3 aa1\nclip 1 2.4 0.4 b\n')
    config = PreprocessConfig(views=('phones',), phones=str(ctm), max_frames=60)
    said = [p for clip in clips(sample('speaker.mp4'), config) for p in phones_of(clip['phones'], clip.start / FPS)
            if p.symbol != SILENCE]
    assert [p.symbol for p in said if p.start_s < 2] == ['M', 'AA']
    assert {p.symbol for p in said if p.start_s > 2} == {'B'}
    assert abs(said[0].start_s - .4) < .006 and abs(said[1].end_s - .9) < .006
    key = clip_key(sample('speaker.mp4'), config)
    ctm.write_text('clip 1 0.4 0.2 b\n')
    assert clip_key(sample('speaker.mp4'), config) != key
    ctm.write_text('clip 1 soon 0.2 b\n')
    with pytest.raises(BadManifest, match='line 1'): next(clips('no-such-video.mp4', config))
    with pytest.raises(BadManifest, match='cannot be read'): read_phones(tmp_path/'none.TextGrid')


def test_saved_and_read_back(tmp_path):
    path, = preprocess(sample('speaker.mp4'), tmp_path, HEARD)
    clip, = clips(sample('speaker.mp4'), HEARD)
    assert np.array_equal(load_clip(path)['phones'], clip['phones'])


def test_without_the_recogniser(monkeypatch):
    monkeypatch.setitem(sys.modules, 'pocketsphinx', None)
    module.recogniser.cache_clear()
    try:
        with pytest.raises(BadArgument, match=r'pocketsphinx is not installed.*pip install "cmdfd_nb\[real\]"'):
            next(clips('no-such-video.mp4', HEARD))
    finally: module.recogniser.cache_clear()
