"Does this sound belong to this mouth? The detector by rule on filmed and computed clips, and where it cannot tell."
import json
from dataclasses import replace

import numpy as np
import pytest

from cmdfd_nb.core import FPS, sample
from cmdfd_nb.judge.score import join_parts, score_clip, score_video
from cmdfd_nb.media.clip import Clip, clips
from cmdfd_nb.media.phones import Phone, phone_rows, phones_of
from cmdfd_nb.models.articulation import MOVES_PER_S, in_step, lag_profile, seen_lips
from cmdfd_nb.models.by_sound import lips_by_sound
from cmdfd_nb.models.fits import ANSWERS, answer_of, quantile_of
from cmdfd_nb.models.visemes import expected_lips
from cmdfd_nb.models.weights import find_weights, weights_of_kind

WEIGHTS = find_weights('articulation')
CONFIG = replace(WEIGHTS.preprocess, views=WEIGHTS.views)
LIPS = [81, 82, 13, 312, 311], [178, 87, 14, 317, 402]


def puppet(phones, n, seed=0):
    "A face (n, 468, 3) whose lips are as open as phones want, and which moves otherwise by noise."
    rng = np.random.default_rng(seed)
    base = rng.uniform(60, 160, (468, 3))
    base[[33, 263, 10, 152, 61, 291], :2] = [[70, 90], [150, 90], [110, 40], [110, 180], [90, 150], [130, 150]]
    base[[33, 263, 10, 152, 61, 291], 2] = 0
    mesh = base + rng.normal(0, .02, (n, 468, 3))
    opening, width, _ = expected_lips(phones, n).T
    for upper, lower in zip(*LIPS):
        mesh[:, lower] = mesh[:, upper] + np.stack([0 * opening, 12 * opening, 0 * opening], 1)
    mesh[:, 61] = base[61] - np.stack([4 * width, 0 * width, 0 * width], 1)
    return mesh.astype(np.float32)


def speech(n, seed):
    rng = np.random.default_rng(seed)
    names = rng.choice('M AA P IY B UW F AE S OW L EH'.split(), int(n / FPS / .12) + 1)
    return [Phone(str(name), .12 * i, .12 * (i + 1)) for i, name in enumerate(names)]


def clip_of(said, shown, n=200, presence=1., start=0):
    views = dict(mesh=puppet(shown, n), presence=np.full(n, presence, np.float32), phones=phone_rows(said, n),
                 mfcc=np.random.default_rng(0).standard_normal((4 * n, 13)).astype(np.float32))
    return Clip(views, np.zeros((n, 4), np.float32), start, 0, 0, 'x.mp4', '', settings=CONFIG)


def asked(clip):
    return join_parts([(clip.start, clip.boxes, score_clip(clip, WEIGHTS))], 0, WEIGHTS)


def test_own_sound_fits_and_foreign_sound_does_not():
    own, foreign = asked(clip_of(speech(200, 1), speech(200, 1))), asked(clip_of(speech(200, 2), speech(200, 1)))
    assert own.answer == 'fits' and foreign.answer != 'fits' and own.score > foreign.score + 2
    assert own.lag_s == 0 and own.lag_range_s[0] <= 0 <= own.lag_range_s[1]
    assert (own.p_fake, own.label, own.threshold, own.why) == (None, None, None, None)
    assert own.curves['sync'].mean() > foreign.curves['sync'].mean()


@pytest.mark.parametrize('late', [-10, 5, 10])
def test_the_lag_has_its_sign(late):
    "The sound is late by so many frames: its phones are heard after the lips have moved."
    phones = speech(240, 1)
    moved = [Phone(p.symbol, p.start_s + late / FPS, p.end_s + late / FPS) for p in phones]
    heard = [p for p in moved if p.start_s >= 0]
    found = asked(clip_of(heard, phones))
    assert abs(found.lag_s - late / FPS) <= 1 / FPS and found.lag_range_s[0] <= found.lag_s <= found.lag_range_s[1]


def test_the_score_fades_with_the_lag_and_grows_with_length():
    "Four times as long, twice as sure; a sound a few frames late still counts, one half a second late does not."
    phones = speech(200, 1)
    def score(late, n=200):
        moved = [Phone(p.symbol, p.start_s + late / FPS, p.end_s + late / FPS) for p in phones]
        return asked(clip_of([p for p in moved if p.start_s >= 0], phones, n=n)).score
    at = {late: score(late) for late in (0, 3, 6, 12)}
    assert at[0] > at[3] > at[6] > at[12] and at[3] > .6 * at[0] and at[12] < .3 * at[0]
    assert abs(score(0, 50) / at[0] - .5) < .1
    profile = np.zeros(31)
    profile[15] = .5
    assert in_step(profile, 8) == 2 * in_step(profile, 2) and in_step(-profile, 8) == 0


def test_cannot_tell_has_its_reason():
    said = speech(200, 1)
    silence = [Phone('SIL', 0., 8.)]
    for clip, reason in ((clip_of(said, said, presence=.1), 'landmarks'), (clip_of(said[:8], said[:8]), 'of speech'),
                         (clip_of(silence, said), 'no phones'), (clip_of(said, said, n=60), 's of this face')):
        found = asked(clip)
        assert found.answer == 'cannot tell' and reason in found.why and found.lag_s is None
        assert np.isfinite(found.score) and found.phones is not None


def test_a_face_at_rest_fits_nothing():
    "Lips that do not move agree with no sound, and no number is not-a-number."
    rested = clip_of(speech(200, 1), [Phone('SIL', 0., 8.)])
    found = asked(rested)
    assert found.answer != 'fits' and all(np.isfinite(curve).all() for curve in found.curves.values())


def test_parts_of_a_long_track_give_the_answer_of_the_whole():
    said = speech(600, 3)
    whole = clip_of(said, said, n=600)
    def part(a, b):
        rows = {name: 4 if name in ('phones', 'mfcc') else 1 for name in whole.views}
        views = {name: view[rows[name] * a:rows[name] * b] for name, view in whole.views.items()}
        cut = replace(whole, views=views, boxes=whole.boxes[a:b], start=a)
        return a, cut.boxes, score_clip(cut, WEIGHTS)
    one, two = (join_parts(parts, 0, WEIGHTS) for parts in ([part(0, 600)], [part(0, 350), part(250, 600)]))
    assert abs(one.score - two.score) < .05 * np.sqrt(MOVES_PER_S * 24)
    assert (one.answer, one.lag_s) == (two.answer, two.lag_s) == ('fits', 0)
    assert abs(one.curves['sync'] - two.curves['sync']).mean() < .05 and set(one.curves) == set(two.curves)
    symbols = [[p[0] for p in track.phones] for track in (one, two)]
    assert abs(len(symbols[0]) - len(symbols[1])) <= 2


def test_its_name_stands_for_its_weights():
    assert weights_of_kind('articulation') == ['articulation'] and WEIGHTS.domain == 'real'
    assert answer_of(5., 8., 6.) == ('fits', None) and answer_of(5., 8., 0.)[1] and set(ANSWERS) >= {'fits'}


def test_of_a_video_and_its_record(landmark_model, real_clips):
    result = score_video(real_clips['vox_a'], WEIGHTS)
    record = json.loads(json.dumps(result.to_dict()))
    track = record['tracks'][0]
    assert track['answer'] in ANSWERS and track['p_fake'] is None and track['label'] is None and track['phones']
    assert (track['why'] is None) == (track['answer'] != 'cannot tell')
    said = ' '.join([*record['warnings'], str(track['answer']), str(track['why']), str(track['why_no_label'])]).lower()
    assert 'fake' not in said and 'real' not in said.split()


def test_computed_people_fit_their_own_sound_better(landmark_model, recogniser):
    "The procedural world goes through the same path."
    paths = [sample('speaker.mp4'), *sorted(sample('fakeavceleb').rglob('RealVideo-RealAudio/**/*.mp4'))[:3]]
    found = [next(clips(path, CONFIG)) for path in paths]
    assert len(found) > 2
    n = min(map(len, found))
    def agreement(sound, face):
        heard = expected_lips(phones_of(sound['phones'][:4 * n]), n)
        return lag_profile(heard, seen_lips(face['mesh'][:n], face['presence'][:n])[0], 3).max()
    def by_sound(sound, face):
        heard = lips_by_sound(sound['mfcc'][:4 * n])
        return lag_profile(heard, seen_lips(face['mesh'][:n], face['presence'][:n])[0], 3).max()
    for agree in agreement, by_sound:
        own = [agree(clip, clip) for clip in found]
        foreign = [agree(a, b) for a in found for b in found if a is not b]
        assert np.mean(own) > np.mean(foreign) + .1, (agree, own, foreign)


def test_without_a_recogniser():
    "By the network: an answer of the same form, without phones and Cont, by its own reference."
    weights = find_weights('articulation_by_sound')
    clip = clip_of(speech(200, 1), speech(200, 1))
    assert 'phones' not in weights.views
    found = join_parts([(0, clip.boxes, score_clip(clip, weights))], 0, weights)
    assert found.answer in ANSWERS and found.phones is None and found.p_fake is None and 'cont' not in found.curves
    assert found.detector == 'articulation_by_sound' and np.isfinite(found.score) and len(found.curves['sync']) == 200
    assert quantile_of('mismatched', .95, 8., weights.kind) != quantile_of('mismatched', .95, 8.)
