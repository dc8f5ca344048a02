"Perturbations: what they change, what they leave alone, and that the clip is cut as ever."
from dataclasses import replace

import numpy as np
import pytest

from cmdfd_nb.core import BadArgument, CmdfdError, TooShort
from cmdfd_nb.media.clip import PreprocessConfig, clips
from cmdfd_nb.media.write import write_video, write_wav
from cmdfd_nb.models.weights import find_weights, seeded_weights
from cmdfd_nb.show import uncropped
from cmdfd_nb.show.uncropped import Footage, clip_of, footage_of
from cmdfd_nb.show.perturb import (AREAS, PERTURBATIONS, add_noise, face_boxes, freeze_end, lower_frame_rate,
                                   mask_face, mute_end, perturbed, reencode_pictures, scores_under, shift_sound,
                                   swap_sound)

WHOLE = PreprocessConfig(faces='whole')
COLOURFUL = PreprocessConfig(faces='whole', views=(*PreprocessConfig().views, 'rgb_64'))


def moving(n, height=47, width=65, seed=0):
    "Pictures in which something moves."
    rng = np.random.default_rng(seed)
    wall = rng.integers(0, 255, (8, 10, 3), dtype=np.uint8).repeat(10, 0).repeat(10, 1)[:height, :width]
    return np.stack([np.roll(wall, 2 * k, 1) for k in range(n)])


@pytest.fixture
def footage():
    "60 frames from the hundredth on, of odd size, the box wandering."
    rng = np.random.default_rng(1)
    boxes = np.float32([15, 4, 45, 34]) + np.linspace(0, 8, 60, dtype=np.float32)[:, None]
    return Footage(moving(60), rng.normal(0, .1, 60 * 640).astype(np.float32), boxes, 100, 0, 'made.mp4', '')


@pytest.fixture
def other(tmp_path):
    "A file with 50 and a half frames of sound."
    write_wav(tmp_path/'other.wav', np.random.default_rng(2).uniform(-.5, .5, 50 * 640 + 320))
    return tmp_path/'other.wav'


@pytest.mark.parametrize('name', PERTURBATIONS)
def test_the_other_stream_is_never_changed(footage, other, name):
    for value in PERTURBATIONS[name].values or (other,):
        after = perturbed(footage, name, value)
        first = after.start - footage.start
        if PERTURBATIONS[name].stream == 'sound':
            for stream in 'frames', 'boxes':
                np.testing.assert_array_equal(getattr(after, stream),
                                              getattr(footage[first:first + len(after)], stream))
        else: np.testing.assert_array_equal(after.audio, footage.audio)
        assert after.frames.shape == (len(after), 47, 65, 3) and after.audio.shape == (640 * len(after),)
        assert (after.frames.dtype, after.audio.dtype, after.boxes.dtype) == (np.uint8, np.float32, np.float32)


def test_no_perturbation_touches_its_input(footage, other):
    before = [footage.frames.copy(), footage.audio.copy(), footage.boxes.copy()]
    for name, known in PERTURBATIONS.items(): perturbed(footage, name, known.values[-1] if known.values else other)
    for was, stays in zip(before, (footage.frames, footage.audio, footage.boxes)):
        np.testing.assert_array_equal(was, stays)


@pytest.mark.parametrize('by', [1, 7, 15, 29])
def test_shift_and_back_gives_the_common_part(footage, by):
    for there in by, -by:
        back = shift_sound(shift_sound(footage, there), -there)
        common = footage[by:len(footage) - by]
        for stream in 'frames', 'audio', 'boxes', 'start':
            np.testing.assert_array_equal(getattr(back, stream), getattr(common, stream))


def test_a_shifted_frame_hears_what_another_heard(footage):
    for by in -15, -1, 0, 4, 15:
        after, k = shift_sound(footage, by), 11
        frame = after.start - footage.start + k
        np.testing.assert_array_equal(after.audio[640 * k:640 * (k + 1)],
                                      footage.audio[640 * (frame - by):640 * (frame - by + 1)])
        np.testing.assert_array_equal(after.frames[k], footage.frames[frame])
    assert len(shift_sound(footage, 60)) == len(shift_sound(footage, -90)) == 0


@pytest.mark.parametrize('snr', [40, 12.5, 0, -10])
def test_noise_has_the_ratio_asked_for(footage, snr):
    added = add_noise(footage, snr).audio - footage.audio.astype(float)
    signal = np.square(footage.audio, dtype=float).mean()
    assert 10 * np.log10(signal / np.square(added).mean()) == pytest.approx(snr, abs=1e-2)
    np.testing.assert_array_equal(add_noise(footage, snr).audio, add_noise(footage, snr).audio)


def test_a_swap_is_cut_to_the_shorter_one(footage, other):
    dubbed = swap_sound(footage, other)
    assert (len(dubbed), dubbed.audio_source) == (50, 'other.wav')
    assert len(swap_sound(footage[:30], other)) == 30


def test_coarser_quantisation_costs_more(footage):
    error = [np.abs(reencode_pictures(footage, crf).frames.astype(float) - footage.frames).mean()
             for crf in (0, 18, 28, 38, 48, 51)]
    assert error == sorted(error) and error[-1] > 2 * error[0]


@pytest.mark.parametrize('faces', ['track', 'whole'])
def test_a_mask_stays_within_the_face(footage, faces):
    footage = replace(footage, settings=PreprocessConfig(faces=faces))
    for area in AREAS:
        after = mask_face(footage, area)
        for k, (x0, y0, x1, y1) in enumerate(face_boxes(footage)):
            ys, xs = np.nonzero((after.frames[k] != footage.frames[k]).any(-1))
            assert x0 - 1 <= xs.min() and xs.max() <= x1 and y0 - 1 <= ys.min() and ys.max() <= y1


def test_a_mask_outside_the_picture_covers_nothing(footage):
    away = replace(footage, boxes=footage.boxes - 100)
    np.testing.assert_array_equal(mask_face(away, 'eyes').frames, footage.frames)


@pytest.mark.parametrize('fps', [1, 3, 7, 12, 24, 25])
def test_a_slower_camera_shows_fewer_pictures_and_none_too_early(footage, fps):
    numbered = replace(footage,
                       frames=np.arange(60, dtype=np.uint8)[:, None, None, None] + np.zeros((1, 8, 8, 3), np.uint8))
    shown = lower_frame_rate(numbered, fps).frames[:, 0, 0, 0].astype(int)
    assert len(set(shown)) == 59 * fps // 25 + 1
    assert (shown <= np.arange(60)).all() and (np.arange(60) - shown < 25 / fps + 1).all()


def test_what_is_frozen_and_muted_is_the_end(footage):
    still, quiet = freeze_end(footage, 75), mute_end(footage, 75)
    np.testing.assert_array_equal(still.frames[:16], footage.frames[:16])
    assert (still.frames[15:] == footage.frames[15]).all() and (still.boxes[15:] == footage.boxes[15]).all()
    np.testing.assert_array_equal(quiet.audio[:15 * 640], footage.audio[:15 * 640])
    assert not quiet.audio[15 * 640:].any()
    faces = clip_of(freeze_end(footage, 100))['faces']
    assert (faces == faces[0]).all()


@pytest.mark.parametrize('name, value', [('shift', 2.5), ('shift', '3'), ('noise', 60), ('mask', 3), ('blur', -1),
                                         ('blur', float('nan')), ('reencode', 52), ('frame_rate', 0), ('freeze', 101),
                                         ('rotate', 1)])
def test_nonsense_is_refused(footage, name, value):
    with pytest.raises(BadArgument, match='Give|Choose from'): perturbed(footage, name, value)


def test_what_is_left_must_be_a_clip(footage):
    with pytest.raises(TooShort, match='leaves 24 frames, a clip needs 25'): perturbed(footage[:35], 'shift', 11)


# From a file

@pytest.fixture
def file(tmp_path):
    "A video of 100 frames."
    write_video(tmp_path/'film.mp4', moving(100), np.random.default_rng(3).normal(0, .1, 64_000))
    return tmp_path/'film.mp4'


def test_footage_makes_the_clip_that_is_scored(file):
    usual, = clips(file, COLOURFUL)
    ours = clip_of(footage_of(file, COLOURFUL))
    assert list(ours.views) == list(usual.views) and 'rgb_64' in ours.views
    for name in usual.views: np.testing.assert_array_equal(ours[name], usual[name])
    for name in 'start', 'track', 'part', 'source', 'source_sha256', 'settings':
        assert getattr(ours, name) == getattr(usual, name)


def test_real_footage_makes_the_clip_that_is_scored(real_clips, scored_clips):
    for name in 'vox_b', 'h264_700px_30fps_44k':
        usual, = scored_clips.cut[name]
        ours = clip_of(footage_of(real_clips[name], replace(PreprocessConfig(), views=tuple(usual.views))))
        for view in usual.views: np.testing.assert_array_equal(ours[view], usual[view])


def test_a_stretch_is_a_part_of_the_whole(file):
    whole = footage_of(file, WHOLE)
    for span in (0, 2), (1, 2.4), (2, 99):
        part = footage_of(file, WHOLE, span=span)
        expected = whole[round(span[0] * 25):round(span[1] * 25)]
        for stream in 'frames', 'audio', 'boxes', 'start':
            np.testing.assert_array_equal(getattr(part, stream), getattr(expected, stream))


def test_what_memory_cannot_hold_is_refused(file, monkeypatch):
    monkeypatch.setattr(uncropped, 'MAX_BYTES', 50 * 3 * 48 * 66)
    with pytest.raises(BadArgument, match='4.0 s of these pictures are too much .* Choose at most 2.0 s'):
        footage_of(file, WHOLE)
    assert len(footage_of(file, WHOLE, span=(1, 3))) == 50
    for span in (3, 1), (50, 60):
        with pytest.raises(TooShort, match='holds 0 frames'): footage_of(file, WHOLE, span=span)


def test_one_bad_value_costs_one_row(footage, other):
    found = scores_under(footage[:40], seeded_weights('tiny'), 'shift', (0, 15, 16, -15, 20))
    assert found.rows.value.tolist() == [0, 15, -15] and found.rows.frames.tolist() == [40, 25, 25]
    assert [p['value'] for p in found.problems] == [16, 20]
    nothing = scores_under(footage, None, 'swap', ('absent.wav',))
    assert len(nothing) == 0 and 'no such file' in nothing.problems[0]['message']
    with pytest.raises(CmdfdError, match='Choose from shift, swap'): scores_under(footage, None, 'rotate')


def test_a_sweep_has_the_columns_that_the_detector_has(footage):
    for kind, curves in dict(correlation=['sync', 'cont', 'gap'], cont_alone=['cont']).items():
        found = scores_under(footage[:30], find_weights(f'seeded:tiny:{kind}'), 'mask', (None, 'mouth'))
        assert found.curves == curves and found.rows[curves].notna().to_numpy().all()
