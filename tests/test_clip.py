"Preprocessing of real clips, and of a video that is too long to be held in memory."
import subprocess, sys

import numpy as np
import pytest
from safetensors.numpy import save_file

from cmdfd_nb.costs import lengthened
from cmdfd_nb.media.clip import PreprocessConfig, clips
from cmdfd_nb.media.preprocess import bytes_per_frame, load_clip, preprocess, read_part
from cmdfd_nb.core import NoAudioStream, UnreadableMedia
from cmdfd_nb.data.clips import clip_summary
from cmdfd_nb.media.features import mfcc, stft
from cmdfd_nb.media.sound import read_audio

FRAMES = {'h264_700px_30fps_44k.mp4': 164, 'hevc_1080x1920_small_face.mp4': 100, 'mpeg4_512px.mp4': 200,
          'vox_a.mp4': 174, 'vox_b.mp4': 130, 'vox_c.mp4': 100, 'vox_d.mp4': 158, 'vox_e.mp4': 100,
          'wide_844px_25fps.mp4': 125}


@pytest.fixture
def files(real_clips):
    "File name to path."
    return {path.name: path for path in real_clips.values()}


@pytest.mark.parametrize('name', FRAMES)
def test_one_speaker_is_one_track(files, scored_clips, name):
    clip, = scored_clips.cut[files[name].stem]
    assert len(clip) >= .95 * FRAMES[name]
    assert (clip.track, clip.part, clip.source) == (0, 0, name)
    first, last = clip.start * 640, (clip.start + len(clip)) * 640
    np.testing.assert_array_equal(clip['audio'], read_audio(files[name])[first:last])
    np.testing.assert_array_equal(clip['mfcc'], mfcc(clip['audio'], .040))
    np.testing.assert_array_equal(clip['stft'], stft(clip['audio']))
    sides = clip.boxes[:, 2:] - clip.boxes[:, :2]
    np.testing.assert_allclose(sides[:, 0], sides[:, 1], atol=.01)
    assert sides.min() > .9 * np.median(sides) / 1.5
    assert np.abs(np.diff(clip.boxes, axis=0)).max() < .25 * np.median(sides)
    assert clip['faces'].std() > 15 and clip['lips'].std() > 5


def test_a_clip_without_sound_is_refused(files):
    with pytest.raises(NoAudioStream): next(clips(files['no_audio_704x1216.mp4']))


def test_preprocess_twice(files, scored_clips, tmp_path):
    paths = preprocess(files['vox_b.mp4'], tmp_path)
    before = [path.stat().st_mtime_ns for path in paths]
    assert preprocess(files['vox_b.mp4'], tmp_path) == paths
    assert [path.stat().st_mtime_ns for path in paths] == before
    clip = load_clip(paths[0])
    assert clip.settings == PreprocessConfig() and clip.source == 'vox_b.mp4'
    np.testing.assert_array_equal(clip['faces'], scored_clips.cut['vox_b'][0]['faces'])


@pytest.mark.parametrize('name', ('vox_a.mp4', 'mpeg4_512px.mp4'))
def test_packed_a_real_clip_takes_a_third_and_loses_nothing(files, tmp_path, name):
    path, = preprocess(files[name], tmp_path, PreprocessConfig(faces='whole'), packed=True)
    kept, clip = load_clip(path), next(clips(files[name], PreprocessConfig(faces='whole')))
    arrays = sum(array.nbytes for array in clip.views.values())
    for view in clip.views: np.testing.assert_array_equal(kept[view], clip[view])
    assert path.stat().st_size < .42 * arrays
    part = read_part(path, ('faces', 'lips', 'stft'), 61, 86)
    np.testing.assert_array_equal(part['faces'], clip['faces'][61:86])
    np.testing.assert_array_equal(part['stft'], clip['stft'][4 * 61:4 * 86])
    assert abs(bytes_per_frame(clip.views, packed=True) * len(clip) / path.stat().st_size - 1) < .35


def test_an_older_file_of_clips_is_named_with_its_remedy(tmp_path):
    save_file(dict(boxes=np.zeros((25, 4), np.float32)), tmp_path/'old.safetensors', metadata=dict(clip='{}'))
    for read in load_clip, clip_summary, lambda path: read_part(path, ['faces']):
        with pytest.raises(UnreadableMedia, match='cmdfd_preprocess'): read(tmp_path/'old.safetensors')


def test_parts_of_a_real_clip_join_seamlessly(files, scored_clips):
    whole, = scored_clips.cut['vox_a']
    parts = list(clips(files['vox_a.mp4'], PreprocessConfig(max_frames=60)))
    assert [len(part) for part in parts] == [58, 58, 58]
    np.testing.assert_array_equal(np.concatenate([part.boxes for part in parts]), whole.boxes)
    for name in 'faces', 'lips', 'audio':
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), whole[name])


MEMORY = '''
import psutil, sys
from cmdfd_nb.costs import lengthened
from cmdfd_nb.media.clip import PreprocessConfig, clips
for path in sys.argv[1:]:
    n, most = 0, 0
    for clip in clips(path, PreprocessConfig(max_frames=125)):
        n, most = n + len(clip), max(most, psutil.Process().memory_info().rss)
    print(n, most // 2**20)
'''  # memory of the moment, not its peak: importing torch takes more for an instant, which would hide a difference


def test_memory_does_not_grow_with_length(tmp_path):
    args = [sys.executable, '-c', MEMORY, *(str(lengthened(tmp_path/f'{s}.mp4', s)) for s in (10, 25))]
    out = subprocess.run(args, capture_output=True, text=True, check=True).stdout.split()
    (n_short, short), (n_long, long) = (map(int, out[:2]), map(int, out[2:]))
    assert (n_short, n_long) == (250, 625)
    print(f'{short} MB in 10 s, {long} MB in 25 s, ratio {long / short:.3f}')
    # kept in memory, the crops of the further 15 s would be 18 MB, the pictures that were searched for faces 11
    assert long < short + 12
