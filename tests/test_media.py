"Decoding on real files, and what notebooks cannot show: that memory does not grow with the length of a video."
import subprocess, sys

import numpy as np
import pytest

from cmdfd_nb.core import NoAudioStream, UnreadableMedia
from cmdfd_nb.media.read import frames, probe
from cmdfd_nb.media.sound import read_audio
from cmdfd_nb.media.lockstep import windows
from cmdfd_nb.media.write import write_video

FRAMES = {'h264_700px_30fps_44k.mp4': 164, 'hevc_1080x1920_small_face.mp4': 100, 'mpeg4_512px.mp4': 200,
          'vox_a.mp4': 174, 'vox_b.mp4': 130, 'vox_c.mp4': 100, 'vox_d.mp4': 158, 'vox_e.mp4': 100,
          'wide_844px_25fps.mp4': 125}


@pytest.fixture
def clips(real_clips):
    "File name to path."
    return {path.name: path for path in real_clips.values()}


@pytest.mark.parametrize('name', FRAMES)
def test_real_clip(clips, scored_clips, name):
    info = probe(clips[name])
    kinds, sound = scored_clips.read[clips[name].stem]
    assert kinds == {((info.height, info.width, 3), np.dtype(np.uint8), (640,), np.dtype(np.float32)): FRAMES[name]}
    assert abs(FRAMES[name] / 25 - info.duration_s) < .1
    assert .01 < np.sqrt((sound**2).mean()) < .5 and np.abs(sound).max() <= 1
    np.testing.assert_array_equal(sound, read_audio(clips[name])[:len(sound)])


def test_real_clip_without_sound(clips):
    path = clips['no_audio_704x1216.mp4']
    assert probe(path).n_audio_tracks == 0
    assert sum(1 for _ in frames(path)) == 100
    with pytest.raises(NoAudioStream, match='no_audio_704x1216.mp4: it has no audio stream'): windows(path)


@pytest.mark.parametrize('part', [.05, .5, .97])
def test_broken_download_of_a_real_clip(clips, tmp_path, part):
    data = clips['vox_a.mp4'].read_bytes()
    broken = tmp_path/'broken.mp4'
    broken.write_bytes(data[:int(len(data) * part)])
    with pytest.raises(UnreadableMedia): list(windows(broken))


@pytest.mark.parametrize('part', [.3, .6, .8])
def test_broken_download_with_the_index_in_front(tmp_path, part):
    whole, broken = tmp_path/'whole.mp4', tmp_path/'broken.mp4'
    noise = np.random.default_rng(0).integers(0, 255, (250, 48, 64, 3), dtype=np.uint8)
    write_video(whole, noise, np.zeros(160_000, np.float32))
    broken.write_bytes(whole.read_bytes()[:int(whole.stat().st_size * part)])
    with pytest.raises(UnreadableMedia, match='breaks off|damaged'): list(windows(broken))


def test_noise_in_the_middle_is_not_scored(tmp_path):
    path = tmp_path/'noise.mp4'
    noise = np.random.default_rng(0).integers(0, 255, (250, 48, 64, 3), dtype=np.uint8)
    write_video(path, noise, np.zeros(160_000, np.float32))
    data = bytearray(path.read_bytes())
    a, b = int(len(data) * .4), int(len(data) * .6)
    data[a:b] = np.random.default_rng(1).bytes(b - a)
    path.write_bytes(data)
    with pytest.raises(UnreadableMedia): list(windows(path))


MEMORY = '''
import psutil, sys
from cmdfd_nb.media.lockstep import windows
for path in sys.argv[1:]:
    n, most = 0, 0
    for window in windows(path):
        n, most = n + len(window.frames), max(most, psutil.Process().memory_info().rss)
    print(n, most // 2**20)
'''  # memory of the moment, not its peak: importing torch takes more for an instant, which would hide a difference


def test_memory_does_not_grow_with_length(tmp_path):
    def make(name, seconds):
        rng = np.random.default_rng(0)
        base = rng.integers(0, 255, (12, 16, 3), dtype=np.uint8).repeat(10, 0).repeat(10, 1)
        moving = (np.roll(base, k, 1) for k in range(25 * seconds))
        write_video(tmp_path/name, moving, rng.normal(0, .1, 16_000 * seconds), crf=40)
        return tmp_path/name
    paths = [str(make('short.mp4', 10)), str(make('long.mp4', 50))]
    done = subprocess.run([sys.executable, '-c', MEMORY, *paths], capture_output=True, text=True, check=True)
    out = done.stdout.split()
    (n_short, short), (n_long, long) = (map(int, out[:2]), map(int, out[2:]))
    assert (n_short, n_long) == (250, 1250)
    print(f'{short} MB in 10 s, {long} MB in 50 s, ratio {long / short:.3f}')
    assert long < short + 24  # kept in memory, the pictures of the further 40 s would be 55 MB
