"The main job as a user meets it: the command, on real clips and on everything that is not one."
import json, runpy, sys
from pathlib import Path

import numpy as np
import pytest

from cmdfd_nb.core import sample
from cmdfd_nb.media.read import frames
from cmdfd_nb.media.sound import read_audio
from cmdfd_nb.media.write import write_video
from forked import run_script

COMMAND = Path(sys.executable).with_name('cmdfd_score')


def score(*args, cwd=None): return run_script(COMMAND, *args, cwd=cwd)


def test_real_clips(scored_clips):
    "Nine results and one clear error, each curve with one value per frame."
    assert scored_clips.code == 1
    records = {Path(r['file']).stem: r for r in scored_clips.records}
    assert {k: r['error']['type'] for k, r in records.items() if 'error' in r} == {'no_audio_704x1216': 'NoAudioStream'}
    del records['no_audio_704x1216']
    assert len(records) == 9
    for r in records.values():
        assert set(r) == {'file', 'sha256', 'settings', 'weights', 'tracks', 'warnings'}
        assert set(r['weights']) == {'name', 'domain', 'sha256', 'scale', 'bias', 'threshold', 'bands', 'calibrated',
                                     'detector', 'divergence', 'blank'}
        track, = r['tracks']
        assert (track['label'], track['answer'], track['threshold']) == (None, None, None)
        assert track['why_no_label'] == 'untrained weights' and not track['calibrated']
        assert 'untrained' in r['warnings'][0]
        assert track['detector'] == 'correlation' and len(track['boxes']) == track['frames'] >= 100
        assert set(track['curves']) == {'sync', 'cont', 'p_fake'}
        for values in track['curves'].values():
            assert len(values) == track['frames'] and all(0 <= v <= 1 for v in values)
        assert track['end_s'] - track['start_s'] == pytest.approx(track['frames'] / 25)


@pytest.fixture(scope='module')
def bad(tmp_path_factory):
    "Name of the expected error to a file that deserves it."
    folder, good = tmp_path_factory.mktemp('bad'), sample('speaker.mp4')
    pictures, sound = list(frames(good))[:60], read_audio(good)[:60 * 640]
    write_video(folder/'NoAudioStream-silent.mp4', pictures)
    write_video(folder/'NoFace-wall.mp4', np.full((60, 128, 128, 3), 90, np.uint8), sound)
    write_video(folder/'TooShort-blink.mp4', pictures[:10], sound[:6400])
    (folder/'UnreadableMedia-text.mp4').write_text('not a video')
    (folder/'UnreadableMedia-empty.mp4').touch()
    (folder/'UnreadableMedia-folder.mp4').mkdir()
    (folder/'UnreadableMedia-truncated.mp4').write_bytes(good.read_bytes()[:good.stat().st_size // 2])
    return [*sorted(folder.iterdir()), folder/'UnreadableMedia-missing.mp4']


def test_bad_input_costs_nothing_else(bad, tmp_path):
    good = sample('speaker.mp4')
    done = score(*bad, good, '--weights', 'seeded', '--out', tmp_path)
    assert done.returncode == 1, done.stderr
    assert 'Traceback' not in done.stderr
    saved = {record['file']: record for record in map(json.loads, (p.read_text() for p in tmp_path.glob('*.json')))}
    records = [saved[str(path)] for path in (*bad, good)]
    assert [r['error']['type'] for r in records[:-1]] == [p.name.split('-')[0] for p in bad]
    for path, r in zip(bad, records): assert r['error']['message'].startswith(f'{path}: ')
    assert 'tracks' in records[-1] and len(list(tmp_path.glob('speaker-*-face0.png'))) == 1


@pytest.mark.parametrize('args, phrase', [
    (['x.mp4', '--weights', 'seeded', '--device', 'abacus'], 'cannot compute on that device'),
    ([], 'required'), (['x.mp4', '--wieghts', 'seeded'], 'unrecognized')])
def test_bad_usage_starts_nothing(args, phrase, tmp_path, monkeypatch, capsys):
    "The installed script, run in this process."
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'argv', [str(COMMAND), *args])
    with pytest.raises(SystemExit) as stop: runpy.run_path(str(COMMAND), run_name='__main__')
    said = capsys.readouterr()
    assert stop.value.code == 2 and phrase in said.err and not said.out
    assert not list(tmp_path.iterdir())
