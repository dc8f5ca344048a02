"What may be opened, which of several streams is read, and what comes out of odd sound and headers."
import time, tracemalloc
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from av.stream import Disposition

from cmdfd_nb.core import CmdfdError, NoAudioStream, NoVideoStream, UnreadableMedia
from cmdfd_nb.data.audit.shortcuts import whole_file_numbers
from cmdfd_nb.data.index import index, measure
from cmdfd_nb.media.features import mfcc, stft
from cmdfd_nb.media.lockstep import lockstep
from cmdfd_nb.media.read import frames, opened, probe
from cmdfd_nb.media.sound import read_audio

from forked import run_forked

RATE = 48_000


def beep(seconds=2., at=1., rate=RATE, level=.5, pitch=1000):
    "Silence with 40 ms of a tone."
    t = np.arange(round(seconds * rate)) / rate
    return level * np.sin(2 * np.pi * pitch * t) * ((t >= at) & (t < at + .04))


def film(path, pictures=(), sounds=(), options=None):
    """Write a file. A picture: dict(n, size, gray: function of the number, and whatever its stream has);
    a sound: dict(x (N, channels), rate, codec, layout, and whatever its stream has)."""
    with av.open(str(path), 'w', options=options or {}) as out:
        videos, voices = [], []
        for about in pictures:
            about = dict(n=50, size=(64, 48), codec='libx264') | about
            stream = out.add_stream(about['codec'], rate=25)
            stream.width, stream.height = about['size']
            stream.pix_fmt = 'yuvj420p' if about['codec'] == 'mjpeg' else 'yuv420p'
            for name in ('disposition', 'sample_aspect_ratio'):
                if name in about: setattr(stream if name == 'disposition' else stream.codec_context, name, about[name])
            videos.append((stream, about))
        for about in sounds:
            about = dict(rate=RATE, codec='aac', layout='mono') | about
            stream = out.add_stream(about['codec'], rate=about['rate'], layout=about['layout'])
            if 'format' in about: stream.codec_context.format = about['format']
            if 'disposition' in about: stream.disposition = about['disposition']
            voices.append((stream, about))
        for stream, about in videos: mux_pictures(out, stream, about)
        for stream, about in voices: mux_sound(out, stream, about)
    return path


def mux_pictures(out, stream, about):
    width, height = about['size']
    for k in range(about['n']):
        gray = about.get('gray', lambda k: 255 if k == 25 else 0)(k)
        frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), gray, np.uint8))
        frame.pts, frame.time_base = k, Fraction(1, 25)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def mux_sound(out, stream, about):
    x = np.asarray(about['x'], np.float32)
    x = x[:, None] if x.ndim == 1 else x
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(x.reshape(1, -1)), 'flt', about['layout'])
    frame.sample_rate, frame.pts, frame.time_base = about['rate'], 0, Fraction(1, about['rate'])
    if not stream.codec_context.is_open: stream.codec_context.open()
    resampler = av.AudioResampler(stream.codec_context.format, stream.codec_context.layout, about['rate'],
                                  frame_size=stream.codec_context.frame_size or 4096)
    packets = [p for part in [*resampler.resample(frame), *resampler.resample(None)] for p in stream.encode(part)]
    packets += stream.encode(None)
    if about.get('last'): packets[-1].duration = about['last']
    out.mux(packets)


def flash_and_beep(path, **options):
    "Return the number of frames, and the seconds at which it gets light and loud."
    pairs = [(picture.mean(), sound) for picture, sound in lockstep(path, **options)]
    light = np.array([level for level, _ in pairs])
    sound = np.abs(np.concatenate([sound for _, sound in pairs]))
    return len(pairs), np.argmax(light > 128) / 25, np.argmax(sound > .5 * sound.max()) / 16_000


# What is opened

FOREIGN = {'self.m3u8': '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nself.m3u8\n',
           'other.mp4': '#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfilm.mp4\n#EXT-X-ENDLIST\n',
           'files.mp4': 'ffconcat version 1.0\nfile film.mp4\n',
           'dash.mp4': '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period/></MPD>\n',
           'call.mp4': 'v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n',
           'endless.mp4': 'NOW a\na: 300+10/20\n', 'notes.mov': 'not a video\n' * 99,
           'words.mkv': '1\n00:00:01,000 --> 00:00:02,000\nhi\n\n'}


@pytest.mark.parametrize('name', FOREIGN)
def test_playlists_generators_and_text_are_refused_before_they_are_opened(tmp_path, name):
    film(tmp_path/'film.mp4', [{}])
    (tmp_path/name).write_text(FOREIGN[name])
    began = time.monotonic()
    for read in (probe, lambda path: list(frames(path)), read_audio):
        with pytest.raises(UnreadableMedia, match='it is (text|a )'): read(tmp_path/name)
    assert time.monotonic() - began < 2
    assert measure((name, str(tmp_path/name), None))[2].cause.startswith('it is ')


def test_formats_off_the_list_and_still_pictures_are_refused(tmp_path):
    for name, codec, pixels in (('a.jpg', 'mjpeg', 'yuvj420p'), ('a.png', 'png', 'rgb24'), ('a.gif', 'gif', 'rgb8')):
        with av.open(str(tmp_path/name), 'w', format='gif' if codec == 'gif' else 'image2') as out:
            stream = out.add_stream(codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
            mux_pictures(out, stream, dict(n=1, size=(64, 48)))
    for name in ('a.gif', 'a.jpg', 'a.png'):
        with pytest.raises(UnreadableMedia, match='picture'): probe(tmp_path/name)


def test_claims_out_of_bounds_are_errors_in_seconds(tmp_path):
    pal = film(tmp_path/'pal.mp4', [dict(sample_aspect_ratio=Fraction(16, 15), size=(720, 576), n=2)])
    data = bytearray(pal.read_bytes())
    at = data.index(b'pasp') + 4
    data[at:at + 8] = np.array([10_000, 1], '>i4').tobytes()
    wide = tmp_path/'wide.mp4'
    wide.write_bytes(data)
    began = time.monotonic()
    for read in (probe, lambda path: list(frames(path))):
        with pytest.raises(UnreadableMedia, match='pixel aspect of 10,000'): read(wide)
    assert time.monotonic() - began < 2
    assert probe(tmp_path/'pal.mp4').width == 768


# Which stream

MARKED, PLAIN = Disposition.default, Disposition(0)


def test_the_default_sound_is_taken_unless_another_is_asked_for(tmp_path):
    noise = np.random.default_rng(0).normal(0, .1, 2 * RATE)
    sounds = [dict(x=noise, disposition=PLAIN), dict(x=beep(), disposition=MARKED)]
    path = film(tmp_path/'two.mkv', [{}], sounds)
    notes = []
    n, light, loud = flash_and_beep(path, notes=notes)
    assert n == 50 and abs(light - loud) < .02
    assert len(notes) == 1 and '2 sound tracks, and number 1' in notes[0] and '--audio-track' in notes[0]
    assert np.abs(read_audio(path, 0)[:8000]).max() > .1 > np.abs(read_audio(path)[:8000]).max()
    assert (probe(path).n_audio_tracks, probe(path).audio_track) == (2, 1)
    with pytest.raises(NoAudioStream, match='from 0 to 1'): list(lockstep(path, 2))


@pytest.mark.parametrize('suffix', ['mp4', 'mkv', 'ts'])
def test_a_still_picture_in_front_is_not_the_film(tmp_path, suffix):
    still = dict(n=1, size=(320, 240), gray=lambda k: 90, codec='libx264' if suffix == 'ts' else 'mjpeg')
    pictures = [still | dict(disposition=PLAIN), dict(disposition=MARKED)]
    path = film(tmp_path/f'preview.{suffix}', pictures, [dict(x=beep())])
    notes = []
    n, light, loud = flash_and_beep(path, notes=notes)
    assert n >= 49 and abs(light - loud) < .05
    assert len(notes) == 1 and '2 picture tracks' in notes[0]
    assert next(frames(path, video_track=0)).shape == (240, 320, 3)
    with pytest.raises(NoVideoStream, match='from 0 to 1'): next(frames(path, video_track=2))


def test_the_largest_picture_and_the_longest_sound(tmp_path):
    pictures = [dict(size=(64, 48), disposition=PLAIN), dict(size=(128, 96), disposition=PLAIN)]
    sounds = [dict(x=beep(.5, 0), disposition=PLAIN), dict(x=beep(2), disposition=PLAIN)]
    info = probe(film(tmp_path/'several.mkv', pictures, sounds))
    assert (info.video_track, info.audio_track, info.width) == (1, 1, 128)


def test_a_cover_picture_is_no_video(tmp_path):
    cover = dict(n=1, codec='mjpeg', disposition=Disposition.attached_pic)
    path = film(tmp_path/'song.mp4', [cover], [dict(x=beep())])
    assert probe(path).n_video_tracks == 0
    assert isinstance(measure(('song', str(path), None))[2], NoVideoStream)


def crc(data):
    "The checksum of the tables in a transport stream."
    value = 0xffffffff
    for byte in data:
        value ^= byte << 24
        for _ in range(8): value = (value << 1 ^ (0x04c11db7 if value >> 31 else 0)) & 0xffffffff
    return value.to_bytes(4, 'big')


def broadcast(path, *programmes):
    "Interleave transport streams of one programme each under one table of programmes."
    streams, entries = [], b''
    for source, number, pmt in programmes:
        data = source.read_bytes()
        packets = [data[i:i + 188] for i in range(0, len(data), 188)]
        streams.append([p for p in packets if (p[1] & 0x1f) << 8 | p[2] not in (0, 17)])
        entries += number.to_bytes(2, 'big') + (0xe000 | pmt).to_bytes(2, 'big')
    table = bytes([0, 0xb0, 9 + len(entries), 0, 1, 0xc1, 0, 0]) + entries
    pat = (b'\x47\x40\0\x10\0' + table + crc(table)).ljust(188, b'\xff')
    longest = max(map(len, streams))
    def part(packets, k): return packets[k * len(packets) // longest:(k + 1) * len(packets) // longest]
    path.write_bytes(pat + b''.join(p for k in range(longest) for packets in streams for p in part(packets, k)))
    return path


def test_the_sound_is_of_the_programme_of_the_picture(tmp_path):
    def programme(name, number, pmt, first, **picture):
        options = dict(mpegts_service_id=str(number), mpegts_pmt_start_pid=str(pmt), mpegts_start_pid=str(first))
        sound = beep() if name == 'film' else np.random.default_rng(1).normal(0, .1, 3 * RATE)
        return film(tmp_path/f'{name}.ts', [picture], [dict(x=sound)], options), number, pmt
    news = programme('news', 1, 4096, 256, n=75, gray=lambda k: 90)
    wanted = programme('film', 2, 4097, 512, size=(128, 96))
    path = broadcast(tmp_path/'channel.ts', news, wanted)
    info = probe(path)
    assert (info.n_video_tracks, info.n_audio_tracks, info.width) == (2, 2, 128)
    n, light, loud = flash_and_beep(path)
    assert n >= 49 and abs(light - loud) < .05
    assert probe(path, 0).audio_track != info.audio_track


def test_manifests_name_the_tracks_of_files_with_several(tmp_path):
    (tmp_path/'real').mkdir()
    (tmp_path/'fake').mkdir()
    sounds = [dict(x=beep(), disposition=PLAIN), dict(x=beep(at=.5), disposition=MARKED)]
    film(tmp_path/'real'/'two.mkv', [{}], sounds)
    film(tmp_path/'fake'/'one.mp4', [{}], sounds[:1])
    rows = index('folder', tmp_path, probe_files=True).rows.set_index('path')
    assert rows.audio_track.to_dict() == {'real/two.mkv': 1, 'fake/one.mp4': 0}
    assert set(rows.frames) == {50} and set(rows.rate) == {25.}
    asked = index('folder', tmp_path, probe_files=True, audio_track=1)
    assert list(asked.rows.path) == ['real/two.mkv'] and 'no audio stream 1' in asked.problems[0]['message']


# Channels

def test_seven_one_with_a_short_last_block_is_read_to_its_end(tmp_path):
    x = np.zeros((2 * RATE, 8), np.float32)
    x[:, 2] = beep()
    path = film(tmp_path/'eight.mp4', [{}], [dict(x=x, layout='7.1', last=760)])
    with opened(path) as container:
        last = list(container.decode(container.streams.audio[0]))[-1]
        assert last.layout.nb_channels == 8 and last.duration < last.samples
    done = run_forked(lambda: read_audio(path))   # it died
    assert done.returncode == 0, done.stderr
    n, light, loud = flash_and_beep(path)
    assert n == 50 and abs(light - loud) < .02


CANCEL = {'upside down': ('stereo', {0: 1, 1: -1}), 'left alone': ('stereo', {0: 1}), 'right alone': ('stereo', {1: 1}),
          'middle of 5.1': ('5.1', {2: 1}), 'middle of 7.1': ('7.1', {2: 1}), 'height of 22.2': ('22.2', {11: 1}),
          'rear, upside down': ('5.1', {4: 1, 5: -1})}


@pytest.mark.parametrize('case', CANCEL)
def test_a_voice_that_the_mix_loses_comes_from_its_channel(tmp_path, case):
    layout, gains = CANCEL[case]
    x = np.zeros((16_000, av.AudioLayout(layout).nb_channels))
    for channel, gain in gains.items(): x[:, channel] = gain * beep(1, .2, 16_000)
    path = film(tmp_path/'a.wav', sounds=[dict(x=x, rate=16_000, codec='pcm_s16le', layout=layout)])
    notes = []
    found = read_audio(path, notes=notes)
    assert .5 * .5 < np.abs(found).max() < .51
    assert len(notes) == 1 and 'do not add up' in notes[0]


@pytest.mark.parametrize('layout, gains', [('mono', [1]), ('stereo', [1, 1]), ('stereo', [1, .4]), ('stereo', [0, 0])])
def test_ordinary_channels_are_mixed_without_a_note(tmp_path, layout, gains):
    path = film(tmp_path/'a.wav', sounds=[dict(x=beep(1, .2)[:, None] * gains, codec='pcm_s16le', layout=layout)])
    notes = []
    assert np.abs(read_audio(path, notes=notes)).max() == pytest.approx(.5 * np.mean(gains), rel=.02)
    assert notes == []


def test_channels_in_an_order_without_a_name(tmp_path):
    "L C R Ls Rs LFE, as QuickTime may store them: PyAV frees their list twice."
    x = np.repeat(beep(1, .2)[:, None], 6, 1)
    path = film(tmp_path/'a.mov', [dict(n=25)], [dict(x=x, codec='pcm_s16le', layout='5.1')])
    data = bytearray(path.read_bytes())
    at = data.index(b'chan') + 8
    data[at:at + 4] = (123 << 16 | 6).to_bytes(4, 'big')
    path.write_bytes(data)
    def read_twice():
        for _ in range(2): print(probe(path).audio_channels, abs(read_audio(path)).max())
    done = run_forked(read_twice)
    assert done.returncode == 0, done.stderr
    channels, peak = done.stdout.splitlines()[-1].split()
    assert channels == '6' and float(peak) == pytest.approx(.5, rel=.02)


@pytest.mark.parametrize('layout', ['FL+LFE', 'FL+FC+LFE+BC', 'FC+BC+TC'])
def test_layouts_without_a_mix(tmp_path, layout):
    x = np.repeat(beep(1, .2)[:, None], layout.count('+') + 1, 1)
    path = film(tmp_path/'a.wav', sounds=[dict(x=x, codec='pcm_s16le', layout=layout)])
    assert np.abs(read_audio(path)).max() == pytest.approx(.5, rel=.02)


# Rates, formats and numbers of channels

def tone(rate, channels, codec, path, sample_format=None):
    "Write a second of 440 Hz at .25 in all channels, and return how far from it what is read is, and its length."
    t = np.arange(rate) / rate
    x = np.repeat(.25 * np.sin(2 * np.pi * 440 * t)[:, None], channels, 1)
    about = dict(x=x, rate=rate, codec=codec, layout='stereo' if channels == 2 else f'{channels} channels')
    if sample_format: about['format'] = sample_format
    found = read_audio(film(path, sounds=[about]))
    want = .25 * np.sin(2 * np.pi * 440 * np.arange(len(found)) / 16_000)
    middle = slice(1600, 14_400)
    return np.abs(found - want)[middle].max(), len(found)


@pytest.mark.parametrize('rate', [4000, 11_025, 48_000, 384_000])
def test_all_sampling_rates(tmp_path, rate):
    off, n = tone(rate, 2, 'pcm_s16le', tmp_path/'a.wav')
    assert off < .005 and abs(n - 16_000) < 40


@pytest.mark.parametrize('codec, name, sample_format', [
    ('pcm_u8', 'a.wav', None), ('pcm_s24le', 'a.wav', None), ('pcm_s32le', 'a.wav', None), ('pcm_f32le', 'a.wav', None),
    ('pcm_f64le', 'a.wav', None), ('pcm_s16be', 'a.aiff', None), ('flac', 'a.flac', 's32'), ('alac', 'a.m4a', 's16p'),
    ('alac', 'a.m4a', 's32p'), ('pcm_s16le_planar', 'a.nut', None), ('libmp3lame', 'a.mp3', 'fltp')])
def test_all_formats_planar_and_packed(tmp_path, codec, name, sample_format):
    off, n = tone(44_100, 2, codec, tmp_path/name, sample_format)
    assert off < (.02 if codec in ('pcm_u8', 'libmp3lame') else .001)
    assert abs(n - 16_000) < (900 if 'mp3' in name else 40)


@pytest.mark.parametrize('channels', [1, 2, 3, 6, 8, 9, 16, 17, 24])
def test_all_numbers_of_channels(tmp_path, channels):
    off, n = tone(16_000, channels, 'pcm_s16le', tmp_path/'a.wav')
    assert off < .005 and n == 16_000


def test_what_is_not_a_number_is_an_error_and_silence_is_not(tmp_path):
    x = beep(1, .2)
    x[1000:1010] = np.nan
    for layout, samples in ('mono', x), ('stereo', np.stack([beep(1, .2), x], 1)):
        path = film(tmp_path/f'{layout}.wav', sounds=[dict(x=samples, codec='pcm_f32le', layout=layout)])
        with pytest.raises(UnreadableMedia, match='not numbers'): read_audio(path)
    silent = torch.zeros(16_000)
    assert all(feature(silent).isfinite().all() for feature in (mfcc, stft))


# Headers

def test_lengths_are_counted_not_guessed(tmp_path):
    "The header of raw AAC says no length: FFmpeg guesses it from the first bit rate, here that of silence."
    sound = np.concatenate([np.zeros(RATE), np.random.default_rng(0).normal(0, .2, 2 * RATE)])
    adts = film(tmp_path/'a.aac', sounds=[dict(x=sound)])
    (tmp_path/'a.wav').write_bytes(adts.read_bytes())
    video = film(tmp_path/'long.mp4', [dict(n=200)])
    with opened(tmp_path/'a.wav') as container: assert container.duration / av.time_base > 4
    _, facts, error = measure(('long', str(video), str(tmp_path/'a.wav')))
    assert error is None and facts['frames'] == 200 and facts['audio_s'] == pytest.approx(3, abs=.15)
    assert abs(len(list(lockstep(video, audio_path=tmp_path/'a.wav'))) - 75) <= 3


def test_long_sound_is_not_held_by_the_audit(tmp_path):
    sound = np.tile(beep(1, .5, 8000), 600)
    path = film(tmp_path/'long.mkv', [dict(n=2)], [dict(x=sound, rate=8000, codec='pcm_s16le')])
    tracemalloc.start()
    numbers = whole_file_numbers(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert numbers['leading silence'] == pytest.approx(.5, abs=.02)
    assert peak < 600 * 16_000 * 4 / 3     # a third of what the sound alone would take


# The cases from the field, where they are

WANT = {'eight_channels.mp4': 115, 'default_second_sound.mkv': 115, 'thumbnail_first.mp4': 115, 'antiphase.mov': 65}


@pytest.mark.parametrize('name', WANT)
def test_cases_from_the_field(cases, name):
    n, light, loud = flash_and_beep(cases[name])
    assert n >= WANT[name] and abs(light - loud) <= .02
    assert .05 < read_audio(cases[name]).std() < .15


@pytest.mark.parametrize('name', ['endless_demuxer.mp4', 'm3u8_selfmaster.m3u8', 'pasp_10000_1.mp4'])
def test_hostile_cases_are_refused_in_seconds(cases, name):
    began = time.monotonic()
    with pytest.raises(CmdfdError): list(lockstep(cases[name]))
    assert time.monotonic() - began < 2


def test_a_cut_copy_is_counted_as_shown(cases):
    _, facts, _ = measure(('cut', str(cases['cut_copy.mp4']), None))
    assert facts['frames'] == 77 and abs(facts['frames'] / facts['audio_s'] - 25) < .5 and facts['rate'] == 25
