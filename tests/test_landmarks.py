"Landmarks of real and computed faces, and the views mesh and presence."
import functools
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from cmdfd_nb import cli
from cmdfd_nb.core import BadArgument, BadWeights, sample
from cmdfd_nb.media.clip import PreprocessConfig, clips, mesh_of
from cmdfd_nb.media.faces import make_detector
from cmdfd_nb.media.landmarks import LEFT_EYE, RIGHT_EYE, aligned, landmark_network, landmarks_of, lip_shapes
from cmdfd_nb.media.preprocess import clip_key, load_clip, preprocess, read_part
from cmdfd_nb.media.read import frames
from cmdfd_nb.media.tracks import smooth_boxes, track_faces

POINTS = PreprocessConfig(views=('mesh', 'presence'))


@functools.cache
def cut(path, config=POINTS):
    "Cut a video once for all tests."
    return list(clips(path, config))


def likeness(a, b): return [float(np.corrcoef(x, y)[0, 1]) for x, y in zip(a.T, b.T)]


def test_a_real_face(landmark_model, real_clips):
    clip, = cut(real_clips['vox_a'])
    assert clip['mesh'].shape == (len(clip), 468, 3) and (clip['presence'] > .5).all()
    assert (clip['mesh'][:, LEFT_EYE, 0] < clip['mesh'][:, RIGHT_EYE, 0]).all()
    assert (clip['mesh'][..., :2] > -20).all() and (clip['mesh'][..., :2] < 244).all()   # of the crop
    assert 10 < np.median(clip['mesh'][:, 17, 1] - clip['mesh'][:, 0, 1]) < 50           # height of the lips, pixels


def test_crops_show_the_same_lips_as_frames(landmark_model, real_clips):
    path = real_clips['vox_c']
    film = list(islice(frames(path), 100))
    track, = track_faces(film, make_detector())
    whole = landmarks_of(film[track.start:], smooth_boxes(track.boxes), landmark_network())
    clip, = clips(path, POINTS)
    stop = len(whole)
    agree = likeness(lip_shapes(aligned(whole.points)), lip_shapes(aligned(clip['mesh'][:stop])))
    assert agree[0] > .9 and agree[1] > .8, agree


def test_a_cropped_video_is_its_own_crop(landmark_model, real_clips):
    whole, = clips(real_clips['vox_b'], replace(POINTS, faces='whole'))
    assert (whole['presence'] > .5).mean() > .95
    found, = cut(real_clips['vox_b'])
    stop = found.start + len(found)
    agree = likeness(lip_shapes(aligned(whole['mesh'][found.start:stop])), lip_shapes(aligned(found['mesh'])))
    assert agree[0] > .9, agree


def test_parts_are_followed_one_by_one(landmark_model):
    config = replace(POINTS, max_frames=60)
    parts = list(clips(sample('speaker.mp4'), config))
    one, = cut(sample('speaker.mp4'))
    assert len(parts) == 2 and all((part['presence'] > .5).all() for part in parts)
    last = parts[1]
    agree = likeness(lip_shapes(aligned(last['mesh'])), lip_shapes(aligned(one['mesh'][last.start - one.start:])))
    assert min(agree) > .95, agree


def test_saved_and_read_back(landmark_model, tmp_path):
    path, = preprocess(sample('speaker.mp4'), tmp_path, POINTS, packed=True)
    clip, = cut(sample('speaker.mp4'))
    assert np.array_equal(load_clip(path)['mesh'], clip['mesh'])
    assert np.array_equal(read_part(path, ['presence'], 10, 20)['presence'], clip['presence'][10:20])


def test_the_key_knows_the_model_by_its_content(landmark_model, tmp_path):
    video = sample('speaker.mp4')
    copy = tmp_path/'copy.tflite'
    copy.write_bytes(landmark_model.read_bytes())
    again = tmp_path/'again.tflite'
    again.write_bytes(copy.read_bytes())
    keys = [clip_key(video, replace(POINTS, landmarks=str(path))) for path in (copy, again)]
    again.write_bytes(b'other')
    keys.append(clip_key(video, replace(POINTS, landmarks=str(again))))
    assert keys[0] == keys[1] != keys[2]
    assert clip_key(video, POINTS) not in keys
    test = next(clips(video, replace(POINTS, landmarks=str(copy))))
    assert np.array_equal(test['mesh'], cut(video)[0]['mesh'])


def test_a_wall_has_no_face(landmark_model):
    film = np.full((3, 200, 200, 3), 128, np.uint8)          # three frames
    found = landmarks_of(film, [[50, 50, 150, 150]] * 3, landmark_network())
    assert len(found) == 3 and not found.seen.any() and np.isfinite(found.points).all()
    with pytest.raises(BadArgument, match='no frame shows a face'): aligned(found.points[found.seen])


def test_points_that_are_no_numbers():
    with pytest.raises(BadArgument, match='not numbers'): aligned(np.full((3, 468, 3), np.nan, np.float32))


@pytest.mark.parametrize('content', [None, b'', b'no network'])
def test_a_model_that_is_none_is_named_before_the_video_is_read(content, tmp_path):
    path = tmp_path/'mine.tflite'
    if content is not None: path.write_bytes(content)
    with pytest.raises(BadWeights, match=r'mine\.tflite.*cmdfd_models landmarks'):
        next(clips('no-such-video.mp4', replace(POINTS, landmarks=str(path))))


def test_nothing_is_loaded_unless_asked(monkeypatch, tmp_path):
    monkeypatch.setenv('CMDFD_CACHE', str(tmp_path))
    assert mesh_of(PreprocessConfig()) is None
    clip, = clips(sample('speaker.mp4'))
    assert 'mesh' not in clip.views
    with pytest.raises(BadWeights, match='Run cmdfd_models landmarks, or name a file with --landmarks'):
        next(clips(sample('speaker.mp4'), POINTS))


# cmdfd_models

def test_models_are_listed_with_source_and_licence(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv('CMDFD_CACHE', str(tmp_path))
    assert cli.cmdfd_models() == 0
    landmarks, phones = capsys.readouterr().out.splitlines()
    for word in ('1.2 MB', 'Apache-2.0', 'mediapipe 0.10.14', '36 MB', 'missing', 'cmdfd_models landmarks'):
        assert word in landmarks
    assert 'BSD' in phones and 'present' in phones


def test_a_model_that_is_there_needs_no_network(landmark_model, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv('CMDFD_CACHE', str(tmp_path))
    monkeypatch.setenv('PIP_NO_INDEX', '1')
    monkeypatch.setenv('PIP_FIND_LINKS', str(tmp_path))
    assert cli.cmdfd_models(['landmarks']) == 2
    message = capsys.readouterr().err
    assert len(message.splitlines()) == 1 and 'PIP_INDEX_URL' in message and str(tmp_path) in message
    (tmp_path/landmark_model.name).write_bytes(landmark_model.read_bytes()[:-1])      # damaged
    assert cli.cmdfd_models(['landmarks']) == 2
    capsys.readouterr()
    (tmp_path/landmark_model.name).write_bytes(landmark_model.read_bytes())
    assert cli.cmdfd_models(['landmarks']) == 0
    assert str(tmp_path) in capsys.readouterr().out


def test_an_unknown_model_is_named(capsys):
    assert cli.cmdfd_models(['ears']) == 2
    assert 'ears' in capsys.readouterr().err
