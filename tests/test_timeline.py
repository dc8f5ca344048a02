"What time stamps, headers and matrices may claim: files with one lie each, written here, and cases from the field."
import hashlib, subprocess, sys, time
from fractions import Fraction

import av
import numpy as np
import pandas as pd
import pytest
from av.bitstream import BitStreamFilterContext

from cmdfd_nb.core import CmdfdError, TooShort, UnreadableMedia, sample
from cmdfd_nb.judge import score
from cmdfd_nb.judge.score import score_clip, score_video
from cmdfd_nb.media.clip import PreprocessConfig, clips, cut_tracks, find_tracks
from cmdfd_nb.media.lockstep import lockstep
from cmdfd_nb.media.preprocess import load_clip, preprocess
from cmdfd_nb.media.read import frames
from cmdfd_nb.media.sound import read_audio
from cmdfd_nb.models.weights import find_weights
from cmdfd_nb.show.records import write_score_table
from cmdfd_nb.show.report import page
from cmdfd_nb.show.uncropped import footage_of
from cmdfd_nb.show.viewer import shown_picture
from cmdfd_nb.show.views import view

RATE = 48_000
WHOLE = PreprocessConfig(faces='whole', views=('faces', 'audio'))


def picture(k, size=(64, 48)):
    "Draw picture k: gray, brighter to the lower right, white for a frame at every full second."
    if k % 25 == 0 and k: return np.full((size[1], size[0], 3), 255, np.uint8)
    y, x = np.mgrid[:size[1], :size[0]]
    return np.repeat((40 + 30 * (x >= size[0] // 2) + 60 * (y >= size[1] // 2))[..., None], 3, 2).astype(np.uint8)


def beeps(seconds):
    "Return silence with 40 ms of 1 kHz at every full second."
    t = np.arange(round(seconds * RATE)) / RATE
    return (.5 * np.sin(2000 * np.pi * t) * ((t % 1 < .04) & (t >= .5))).astype(np.float32)


def film(path, seconds=2.6, shift=0., sound_shift=0., sound=True, codec='libx264', size=(64, 48), times=None,
         mark=picture, options=None, output=None):
    "Write flashes and beeps, all stamps shifted by some seconds, those of the sound by more."
    audio = 'libopus' if str(path).endswith('webm') else 'aac'
    times = np.arange(round(seconds * 25)) / 25 if times is None else times
    with av.open(str(path), 'w', options=output or {}) as out:
        fast = dict(deadline='realtime', **{'cpu-used': '8'}) if codec == 'libvpx' else {}
        video = out.add_stream(codec, rate=25, options=fast | (options or {}))
        video.width, video.height = size
        video.pix_fmt = 'yuv420p'
        video.codec_context.time_base = Fraction(1, 1000)
        track = out.add_stream(audio, rate=RATE, layout='mono') if sound else None
        for k, t in enumerate(times):
            frame = av.VideoFrame.from_ndarray(mark(k, size))
            frame.pts, frame.time_base = round((t + shift) * 1000), Fraction(1, 1000)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        samples = beeps(seconds if sound else 0)[None]
        for i in range(0, samples.shape[1], 960):
            frame = av.AudioFrame.from_ndarray(samples[:, i:i + 960], 'fltp', 'mono')
            frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
            frame.pts = i + round((shift + sound_shift) * RATE)
            out.mux(track.encode(frame))
        if sound: out.mux(track.encode(None))
    return path


def in_step(path, notes=None):
    "Return the frames of a file, and the seconds of each flash and of the beep next to it."
    pictures, sound = zip(*lockstep(path, notes=notes))
    level = np.array([p.mean() for p in pictures])
    flashes = np.flatnonzero(level > 200) / 25
    x = np.concatenate(sound)
    tone = x * np.exp(-2j * np.pi * 1000 * np.arange(len(x)) / 16_000)
    spectrum = np.abs(np.convolve(tone, np.ones(160) / 160, 'same'))
    loud = spectrum > .5 * spectrum.max()
    begins = np.flatnonzero(loud[1:] & ~loud[:-1]) / 16_000
    return len(pictures), flashes, [begins[np.abs(begins - t).argmin()] for t in flashes]


def appended(path, *parts):
    path.write_bytes(b''.join(part.read_bytes() for part in parts))
    return path


@pytest.fixture(scope='module')
def folder(tmp_path_factory): return tmp_path_factory.mktemp('timeline')


def in_four_ways(folder):
    "Write two recordings of 2.6 s one behind the other in four ways: name, file, note."
    first = film(folder/'first.ts')
    yield 'restart', appended(folder/'restart.ts', first, first), 'begins anew at 2.6 s'
    yield 'jump', appended(folder/'jump.ts', first, film(folder/'later.ts', shift=40)), 'A gap of 37.'
    yield 'hours', appended(folder/'hours.ts', first, film(folder/'much later.ts', shift=36_000)), 'A gap of 35997'
    yield 'third', appended(folder/'third.ts', first, first, first), 'begins anew at 5.2 s'


@pytest.fixture(scope='module')
def broken_clocks(folder): return {name: (path, note) for name, path, note in in_four_ways(folder)}


def test_two_recordings_in_one_file_stay_in_step(broken_clocks):
    for name, (path, note) in broken_clocks.items():
        start, notes = time.time(), []
        n, flashes, heard = in_step(path, notes)
        assert abs(n - (195 if name == 'third' else 130)) <= 2, (name, n)
        assert len(flashes) == (6 if name == 'third' else 4), (name, flashes)
        assert np.abs(flashes - heard).max() <= .02, (name, flashes, heard)
        assert any(note in text for text in notes) and len(set(notes)) == len(notes), (name, notes)
        assert time.time() - start < 10, name
        assert abs(len(read_audio(path)) / 640 - n) < 2                        # on the same timeline
        assert abs(sum(1 for _ in frames(path)) - n) < 2


def test_a_gap_ends_a_track_and_a_restart_is_followed(folder, broken_clocks):
    found = {name: list(clips(broken_clocks[name][0], WHOLE)) for name in ('restart', 'hours')}
    found['jump'] = [load_clip(path) for path in preprocess(broken_clocks['jump'][0], folder/'clips', WHOLE)]
    for name, begin in dict(jump=40, hours=36_000).items():   # seconds of the file: the gap counts
        first, second = found[name]
        assert (first.start, len(first), len(second)) == (0, 65, 65)
        assert second.start == 25 * begin - 2   # FFmpeg writes the first file two frames late
    clip, = found['restart']
    assert clip.start == 0 and abs(len(clip) - 130) <= 2
    assert 'A gap of 37.' in found['jump'][0].notes[0] and 'A gap of 35997' in found['hours'][0].notes[0]


def test_a_gap_in_one_stream_is_cut_from_both(folder):
    times = np.arange(200) / 25
    seen = times[(times < 2.4) | (times >= 5.4)]
    path = film(folder/'hole.mkv', 8, times=seen, mark=lambda k, size: picture(k + 75 * (k >= 60), size))
    n, flashes, heard = in_step(path, notes := [])
    assert abs(n - 125) <= 2 and np.abs(flashes - heard).max() <= .02 and len(flashes) >= 3, (n, flashes, heard)
    assert any('A gap of 3.0 s at 2.4 s' in text for text in notes), notes
    short = film(folder/'short hole.mkv', 8, times=times[(times < 2.4) | (times >= 4.2)])
    assert abs(in_step(short)[0] - 200) <= 2                          # less than two seconds: the picture stays


@pytest.mark.parametrize('shift', (3., -3.))
def test_nothing_is_scored_before_both_streams_are_there(folder, shift):
    path = film(folder/f'late {shift}.mkv', 6, shift=max(0., -shift), sound_shift=shift)
    clip, = clips(path, WHOLE, notes=(notes := []))
    assert abs(clip.start - 75) <= 2 and abs(len(clip) - 75) <= 3
    assert any('lack picture or sound' in text for text in notes), notes


def test_streams_that_never_meet_are_named(folder):
    for apart in (20., 5000.):
        with pytest.raises(TooShort): list(clips(film(folder/'apart.mkv', 2, sound_shift=apart), WHOLE))


def test_work_is_bounded_by_what_the_file_holds(broken_clocks):
    "Ten hours of jump: seconds, and no memory for silence that is not there."
    path, _ = broken_clocks['hours']
    code = ('import sys, psutil\n'
            'from cmdfd_nb.media.lockstep import lockstep\nfrom cmdfd_nb.media.sound import read_audio\n'
            'before = psutil.Process().memory_info().rss\n'
            'n, m = sum(1 for _ in lockstep(sys.argv[1])), len(read_audio(sys.argv[1]))\n'
            'print(n, m, (psutil.Process().memory_info().rss - before) >> 20)')
    done = subprocess.run([sys.executable, '-c', code, path], capture_output=True, text=True, timeout=60, check=True)
    n, samples, grown = map(int, done.stdout.split())
    assert abs(n - 130) <= 2 and abs(samples / 640 - n) < 2 and grown < 100, done.stdout


# Headers

def test_one_picture_is_too_short_in_every_container(folder):
    for name in ('still.mkv', 'still.mp4', 'still.webm'):
        path = film(folder/name, 4, times=[0.], codec='libvpx' if name.endswith('webm') else 'libx264')
        with pytest.raises(TooShort): list(clips(path, WHOLE))


def test_a_picture_that_is_never_on_screen_is_a_named_problem(folder):
    path = folder/'blink.mp4'
    with av.open(str(path), 'w') as out:
        video = out.add_stream('libx264', rate=10_000, width=64, height=48)
        out.mux(video.encode(av.VideoFrame.from_ndarray(picture(1))))
        out.mux(video.encode(None))
    with pytest.raises(TooShort, match='none of its pictures'): next(frames(path))


def test_a_picture_shorter_than_its_container_does_not_break_off(folder):
    path = film(folder/'short picture.wmv', 4.6, times=np.arange(72) / 25, codec='wmv2')
    assert abs(sum(1 for _ in lockstep(path)) - 72) <= 1
    flash = film(folder/'short picture.flv', 4.6, times=np.arange(72) / 25, codec='flv')
    assert abs(sum(1 for _ in lockstep(flash)) - 72) <= 1


def test_encrypted_and_undecodable_say_so(folder):
    key = '0123456789abcdef0123456789abcdef'
    how = dict(encryption_scheme='cenc-aes-ctr', encryption_key=key, encryption_kid=key)
    path = film(folder/'cenc.mp4', output=how)
    with pytest.raises(UnreadableMedia, match='its video is encrypted'): list(clips(path, WHOLE))
    data = film(folder/'strange.mkv', 2, codec='mpeg4').read_bytes()
    assert data.count(b'V_MPEG4/ISO/ASP') == 1
    (folder/'strange.mkv').write_bytes(data.replace(b'V_MPEG4/ISO/ASP', b'V_STRANGE/CODEC'))
    with pytest.raises(CmdfdError, match='video.*decode'): list(clips(folder/'strange.mkv', WHOLE))


# Orientation

MATRICES = {(1, 0, 0, 1): lambda x: x, (-1, 0, 0, 1): lambda x: x[:, ::-1], (1, 0, 0, -1): lambda x: x[::-1],
            (-1, 0, 0, -1): lambda x: x[::-1, ::-1], (0, 1, -1, 0): lambda x: np.rot90(x, -1), (0, -1, 1, 0): np.rot90,
            (0, 1, 1, 0): lambda x: x.swapaxes(0, 1), (0, -1, -1, 0): lambda x: np.rot90(x, 2).swapaxes(0, 1)}


@pytest.mark.parametrize('matrix', MATRICES)
def test_all_eight_matrices_of_a_container(folder, matrix):
    path = film(folder/'straight.mp4', 1, sound=False)
    stored = list(frames(path))
    data = bytearray(path.read_bytes())
    at = data.index(b'tkhd') + 44
    a, b, c, d = (x << 16 for x in matrix)
    data[at:at + 36] = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], '>i4').tobytes()
    (folder/'turned.mp4').write_bytes(data)
    shown = list(frames(folder/'turned.mp4'))
    assert len(shown) == 25
    for one, other in zip(stored, shown): np.testing.assert_array_equal(MATRICES[matrix](one), other)


def with_sei(source, path, rotate, flip):
    "Copy an H.264 video with a display orientation message in front of its key pictures."
    how = ':'.join(['display_orientation=insert', *[f'rotate={rotate}'] * bool(rotate), *[f'flip={flip}'] * bool(flip)])
    with av.open(str(source)) as src, av.open(str(path), 'w') as out:
        copy = out.add_stream_from_template(src.streams.video[0])
        add = BitStreamFilterContext(f'h264_metadata={how}', src.streams.video[0], copy)
        for packet in [*(packet for packet in src.demux(video=0) if packet.size), None]:
            for filtered in add.filter(packet):
                filtered.stream = copy
                out.mux(filtered)
    return path


@pytest.mark.parametrize('rotate, flip, expected', [
    (90, '', np.rot90), (180, '', lambda x: x[::-1, ::-1]), (270, '', lambda x: np.rot90(x, -1)),
    (0, 'horizontal', lambda x: x[:, ::-1]), (0, 'vertical', lambda x: x[::-1])])
def test_orientation_by_messages_in_h264(folder, rotate, flip, expected):
    path = film(folder/'plain.mp4', 1, sound=False)
    shown = list(frames(with_sei(path, folder/'sei.mp4', rotate, flip)))
    assert len(shown) == 25
    for one, other in zip(frames(path), shown):     # not the first alone
        np.testing.assert_array_equal(expected(one), other)


def test_orientation_by_messages_in_h265(folder):
    "A quarter turn to the left in a message of the first picture holds for all that follow."
    path = film(folder/'plain hevc.mp4', 1, sound=False, codec='libx265', options={'x265-params': 'log-level=none'})
    # not cancelled, no flips, 90 degrees, persists; a stop bit
    bits = '0' + '0' + '0' + f'{1 << 14:016b}' + '1' + '1000'
    payload = int(bits, 2).to_bytes(len(bits) // 8, 'big')
    message = bytes([39 << 1, 1, 47, len(payload)]) + payload.replace(b'\0\0\1', b'\0\0\3\1') + b'\x80'
    with av.open(str(path)) as src, av.open(str(folder/'sei hevc.mp4'), 'w') as out:
        copy = out.add_stream_from_template(src.streams.video[0])
        for k, packet in enumerate(src.demux(video=0)):
            if packet.dts is None: continue
            new = av.Packet((len(message).to_bytes(4, 'big') + message if k == 0 else b'') + bytes(packet))
            for name in 'pts', 'dts', 'time_base', 'is_keyframe': setattr(new, name, getattr(packet, name))
            new.stream = copy
            out.mux(new)
    shown = list(frames(folder/'sei hevc.mp4'))
    assert len(shown) == 25 and shown[0].shape == (64, 48, 3)
    for one, other in zip(frames(path), shown): np.testing.assert_array_equal(np.rot90(one), other)


# Sizes

def test_a_picture_that_is_turned_in_the_middle_keeps_its_shape(folder):
    "Half of it lying, half of it upright: both whole, circles stay circles."
    def ball(size):
        y, x = np.mgrid[:size[1], :size[0]]
        inside = np.hypot(x - size[0] / 2, y - size[1] / 2) < 40
        return np.repeat(np.where(inside, 220, 60)[..., None], 3, 2).astype(np.uint8)
    slow = np.arange(13) * .08
    parts = [film(folder/f'{w}.webm', 1, sound=False, codec='libvpx', size=(w, h), times=slow,
                  mark=lambda k, size: ball(size)) for w, h in ((320, 180), (180, 320))]
    path = folder/'turned.webm'
    with av.open(str(parts[0])) as first, av.open(str(path), 'w') as out:
        copy = out.add_stream_from_template(first.streams.video[0])
        for shift, part in enumerate(parts):
            with av.open(str(part)) as src:
                for packet in src.demux(video=0):
                    if packet.dts is None: continue
                    after = round(shift / packet.time_base)
                    packet.pts, packet.dts, packet.stream = packet.pts + after, packet.dts + after, copy
                    out.mux(packet)
    pictures = list(frames(path, notes=(notes := [])))
    assert abs(len(pictures) - 50) <= 1 and {p.shape for p in pictures} == {(180, 320, 3)}
    for p in pictures[10], pictures[-10]:
        y, x = np.nonzero(p[..., 0] > 140)
        assert abs(np.ptp(x) / np.ptp(y) - 1) < .05, (np.ptp(x), np.ptp(y))
    assert any('180x320' in text for text in notes)


# Damage

@pytest.fixture(scope='module')
def damaged(folder):
    "A video with flipped bits in its pictures."
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (18, 24, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    path = film(folder/'whole.mp4', 4, size=(192, 144), options=dict(bf='3', g='50'),
                mark=lambda k, size: np.roll(noise, 3 * k, 1))
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as src: packets = [(p.pos, p.size) for p in src.demux(video=0) if p.size]
    for pos, size in packets[3::7]:
        for at in rng.integers(pos + size // 2, pos + size, 4): data[at] ^= 1 << int(rng.integers(8))
    (folder/'damaged.mp4').write_bytes(data)
    return folder/'damaged.mp4'


def digest(path, notes=None): return hashlib.md5(b''.join(map(bytes, frames(path, notes=notes)))).hexdigest()


def test_a_damaged_video_gives_the_same_pictures_on_every_run(damaged):
    code = ('import sys, hashlib\nfrom cmdfd_nb.media.read import frames\nh = hashlib.md5()\nnotes = []\n'
            'for frame in frames(sys.argv[1], notes=notes): h.update(frame)\nprint(h.hexdigest(), *notes)')
    call = [sys.executable, '-c', code, damaged]
    runs = [subprocess.run(call, capture_output=True, text=True, check=True) for _ in range(2)]
    here = [digest(damaged, notes := []) for _ in range(3)]
    said = {run.stdout.split()[0] for run in runs} | set(here)
    assert len(said) == 1 and 'pictures were damaged' in notes[0], (said, notes)


def test_notes_become_warnings(broken_clocks):
    path, _ = broken_clocks['jump']
    result = score_video(path, find_weights('seeded'), config=PreprocessConfig(faces='whole'))
    assert any('A gap of' in text for text in result.warnings) and len(result.tracks) == 2


def test_times_after_a_gap_are_those_of_a_player(folder):
    "Flash and beep of 1.0 s are cut out, those of 11.0 s are shown and heard at 11.0 s, and all pages tell it so."
    path = appended(folder/'ten.ts', film(folder/'begin.ts', .9, shift=10.), film(folder/'end.ts', 2.6, shift=20.))
    result = score_video(path, find_weights('seeded'), config=PreprocessConfig(faces='whole', min_frames=20))
    assert [(t.start_s, t.end_s) for t in result.tracks] == [(0, 22 / 25), (10, 12.6)]
    shown = view(result, span=(0, 12))
    level = np.array([shown_picture(shown, k).mean() for k in range(shown['frames'])])
    assert np.flatnonzero(level > 200).tolist() == [275] and not level[25:250].any()
    heard = np.frombuffer(shown['sound'], '<i2').reshape(-1, 640)
    assert abs(np.abs(heard).max(1).argmax() - 275) <= 1 and not heard[26:249].any()
    assert [(face['start'], len(face['boxes'])) for face in shown['tracks']] == [(0, 22), (250, 50)]
    late = view(result, span=(10.5, 60))
    assert (late['first'], late['frames']) == (262, 53) and shown_picture(late, 13).mean() > 200
    assert '10.00 to 12.60 s' in page(result)
    write_score_table(folder/'ten.csv', [result.to_dict()])
    assert pd.read_csv(folder/'ten.csv').start_s.tolist() == [0, 10]
    footage = footage_of(path, PreprocessConfig(faces='whole', min_frames=20), face=1, span=(10.5, 12))
    assert footage.start == 262 and footage.frames[13].mean() > 200


# Windows

def test_windows_do_not_show(folder):
    "A track that is cut into parts for training is judged as if it were not."
    weights = find_weights()
    config = PreprocessConfig(faces='whole', max_frames=60)
    path = sample('speaker.mp4')
    assert len(cut_tracks(find_tracks(path, config), config.max_frames)) > 1
    one, = score_video(path, weights, config=PreprocessConfig(faces='whole')).tracks
    two, = score_video(path, weights, config=config).tracks
    assert one.score == two.score
    for name, curve in one.curves.items(): np.testing.assert_allclose(two.curves[name], curve, atol=1e-3)


def test_a_face_of_hours_is_not_held_at_once(monkeypatch):
    "With 60 frames in place of two hours, and an overlap of 10 in place of 250, a clip of 117 comes in parts."
    lengths = []
    def ask(clip, *args): return lengths.append(len(clip)) or score_clip(clip, *args)
    for name, value in dict(score_clip=ask, _AT_ONCE=40, _OVERLAP=10, _LONGEST=60).items():
        monkeypatch.setattr(score, name, value)
    config = PreprocessConfig(faces='whole', max_frames=60)
    track, = score_video(sample('speaker.mp4'), find_weights('seeded'), config=config).tracks
    assert lengths == [46, 45, 46] and track.frames == 117 and np.isfinite(track.curves['sync']).all()


# Cases from the field

STEP = {'cat_restart.ts': 130, 'jump40s.ts': 130, 'clock_wraps.ts': 115, 'fragmented.mp4': 117, 'null_chunks.avi': 115,
        'piped_no_duration.webm': 115, 'eight_channels.mp4': 115, 'short_picture.wmv': 72}


@pytest.mark.parametrize('name', STEP)
def test_cases_are_in_step(cases, name):
    n, flashes, heard = in_step(cases[name])
    assert abs(n - STEP[name]) <= 2 and len(flashes) >= 2
    assert np.abs(flashes - heard).max() <= .02, (flashes, heard)


def test_cases_with_an_error_or_a_note(cases):
    with pytest.raises(TooShort): list(clips(cases['still.mkv'], WHOLE))
    with pytest.raises(TooShort): next(frames(cases['no_picture_on_grid.mp4']))
    with pytest.raises(TooShort): list(clips(cases['sound_leads_4s.mkv'], WHOLE))   # they share .7 s
    notes = []
    assert [(c.start, len(c)) for c in clips(cases['gap_both_1e4.ts'], WHOLE, notes=notes)] == [(1, 75), (250_077, 98)]
    assert 'A gap of 10000.0 s' in notes[0]
    assert len({digest(cases['damaged_packets.mp4']) for _ in range(3)}) == 1
    assert sum(1 for _ in lockstep(cases['cut_copy.mp4'])) == 77
    assert sum(1 for _ in frames(cases['timelapse_half_fps.mp4'])) == 100
    turned = list(clips(cases['webrtc_turned.webm'], PreprocessConfig(views=('audio',))))
    assert [(c.start, len(c)) for c in turned] == [(0, 50), (50, 50)]


def restamped(path, kind, number, seconds):
    "Add seconds to the time stamps of one PES packet of a transport stream: 0xe0 are pictures, 0xc0 sound."
    data = bytearray(path.read_bytes())
    at = -1
    for _ in range(number + 1): at = data.index(bytes([0, 0, 1, kind]), at + 1)
    for field in range(1 + (data[at + 7] >> 6 == 3)):
        b = data[at + 9 + 5 * field:][:5]
        ticks = (b[0] >> 1 & 7) << 30 | b[1] << 22 | b[2] >> 1 << 15 | b[3] << 7 | b[4] >> 1
        t = ticks + round(90_000 * seconds)
        data[at + 9 + 5 * field:at + 14 + 5 * field] = bytes([
            b[0] & 0xf1 | (t >> 30 & 7) << 1, t >> 22 & 255, t >> 14 & 0xfe | 1, t >> 7 & 255, t << 1 & 0xfe | 1])
    path.write_bytes(data)
    return path


@pytest.mark.parametrize('kind, number, seconds', [(0xe0, 30, 500.), (0xe0, 30, -1.1), (0xc0, 8, 500.), (0xc0, 9, -1.)])
def test_one_wild_stamp_is_no_new_clock(tmp_path, kind, number, seconds):
    plain = list(lockstep(film(tmp_path/'plain.ts', shift=10.)))
    said = []
    got = list(lockstep(restamped(film(tmp_path/'wild.ts', shift=10.), kind, number, seconds), notes=said))
    assert len(got) == len(plain) and any('did not fit' in sentence for sentence in said), said
    assert not [sentence for sentence in said if 'anew' in sentence or 'gap' in sentence]
    assert max(abs(a.astype(int) - b).max() for (a, _), (b, _) in zip(got, plain)) == 0
    assert max(abs(a - b).max() for (_, a), (_, b) in zip(got, plain)) < 1e-3


def test_half_a_download_without_a_length_per_stream_is_told(tmp_path):
    whole = film(tmp_path/'whole.mkv', seconds=5.)
    (tmp_path/'half.mkv').write_bytes(whole.read_bytes()[:whole.stat().st_size // 2])
    said = {name: [] for name in ('whole', 'half')}
    counts = {name: sum(1 for _ in lockstep(tmp_path/f'{name}.mkv', notes=said[name])) for name in said}
    assert counts['whole'] >= 124 and 25 < counts['half'] < 100
    assert 'promises 5.0 s' in ' '.join(said['half']) and 'promises' not in ' '.join(said['whole'])
