"Any name of a file, any folder, any table: each video has results of its own, and what cannot be read is named."
import csv, json, os, shutil, subprocess, sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from cmdfd_nb import cli
from cmdfd_nb.core import BadArgument, BadManifest, NotFinite, printable, sample
from cmdfd_nb.data.index import index
from cmdfd_nb.data.layouts.files import SUFFIXES
from cmdfd_nb.data.manifest import read_manifest
from cmdfd_nb.judge import score as judge
from cmdfd_nb.judge.score import score_or_error, score_video
from cmdfd_nb.models.weights import find_weights
from cmdfd_nb.show.plots import plot_curves, plot_learning
from cmdfd_nb.show.records import asked_of, score_table, scored_files, track_of
from cmdfd_nb.show.style import literal
from cmdfd_nb.store import sha256_of

ROOT = Path(__file__).parents[1]
EVIL = [b'cost $5_{ of $6.mp4', b'x' * 236 + b'.mp4', b'x' * 250 + b'.mp4', b'caf\xe9.mp4', b'clip.mp4',
        b'clip-face1.mp4', b'two\nlines.mp4', b'\x1b[2J.mp4', b'.hidden.mp4', '語🎬\u202e.mp4'.encode(),
        b'q\'"<b>&.mp4', b'-o.mp4', b'%s{0}.mp4', b' .mp4', b'CLIP.mp4', b'clip.mov', b'\\x41.mp4']


@pytest.fixture(scope='module')
def weights(): return find_weights('seeded')


@pytest.fixture(scope='module')
def asked(weights): return asked_of(weights, weights.preprocess)


@pytest.fixture(scope='module')
def scorer(weights):
    "Scores the sample once, and gives every other file its numbers."
    record = json.loads(json.dumps(score_or_error(sample('speaker.mp4'), weights)))
    def score(paths):
        score.calls.append(list(paths))
        for path in paths: yield path, dict(record, file=path, sha256=sha256_of(path))
    score.calls = []
    return score


def made(folder, *names):
    "Small files of these names, as bytes or text; their paths."
    for name in names:
        path = os.path.join(os.fsencode(folder), name if isinstance(name, bytes) else name.encode())
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb') as f: f.write(os.path.basename(path))
    return [os.path.join(folder, os.fsdecode(name)) for name in names]


@pytest.fixture
def small(monkeypatch):
    "Pictures that are drawn at once: their titles only."
    def draw(track, title, note):
        fig = plt.figure(figsize=(2, 1), dpi=30)
        fig.suptitle(literal(title))
        return fig
    monkeypatch.setattr('cmdfd_nb.show.plots.plot_curves', draw)
    return draw


# Results

def test_any_legal_name_has_results_of_its_own_and_keeps_them(tmp_path, asked, scorer, small):
    videos, out = made(tmp_path/'in', *EVIL), tmp_path/'out'
    out.mkdir()
    first = list(scored_files(videos, scorer, out, asked))
    assert [failed for *_, failed in first] == [None] * len(EVIL)
    written = {path.stem: json.loads(path.read_text())['file'] for path in out.glob('*.json')}
    assert sorted(written.values()) == sorted(videos)
    assert {path.name for path in out.glob('*.png')} == {f'{stem}-face0.png' for stem in written}
    assert all(printable(path.name) == path.name and path.name[0] not in '.-' for path in out.iterdir())
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    again = list(scored_files(videos, scorer, out, asked))
    assert scorer.calls[-1] == [] and [record for _, record, *_ in again] == [record for _, record, *_ in first]
    assert before == {path: path.stat().st_mtime_ns for path in out.iterdir()}
    table = score_table([record for _, record, *_ in first]).splitlines()
    assert len(table) == 2 + len(EVIL) and all(printable(line) == line for line in table)


def test_folders_scored_one_after_the_other_keep_their_results(tmp_path, asked, scorer, small):
    videos = made(tmp_path, 'wav2lip/id1-id2.mp4', 'Audio2Head/id1-id2.mp4')
    for video in videos: assert list(scored_files([video], scorer, tmp_path, asked))
    assert {json.loads(path.read_text())['file'] for path in tmp_path.glob('*.json')} == set(videos)


@pytest.mark.parametrize('change', ['bytes', 'weights', 'settings', 'half', 'error', 'picture', 'again'])
def test_a_result_is_reused_only_for_the_same_bytes_weights_and_settings(tmp_path, asked, scorer, change, small):
    (video,), out = made(tmp_path, 'a.mp4'), tmp_path/'out'
    out.mkdir()
    list(scored_files([video], scorer, out, asked))
    record, = out.glob('*.json')
    if change == 'bytes': Path(video).write_text('other')
    if change in asked: asked = asked | {change: dict(asked[change], new=1)}
    if change == 'half': record.write_text(record.read_text()[:100])
    if change == 'error': record.write_text(json.dumps(dict(file=video, error=dict(type='NoFace', message='x'))))
    if change == 'picture': next(out.glob('*.png')).unlink()
    list(scored_files([video], scorer, out, asked, change == 'again'))
    assert scorer.calls[-1] == [video]
    assert len(list(out.glob('*.json'))) == (2 if change in asked else 1)


def test_what_fails_after_scoring_costs_one_file(tmp_path, asked, scorer, monkeypatch, small):
    videos = made(tmp_path, 'a.mp4', 'b.mp4')
    def draw(track, title, note):
        if 'a.mp4' in title: raise RuntimeError('no such font')
        return small(track, title, note)
    monkeypatch.setattr('cmdfd_nb.show.plots.plot_curves', draw)
    found = list(scored_files(videos, scorer, tmp_path, asked))
    assert [failed and type(failed) for *_, failed in found] == [BadArgument, None]
    assert len(list(tmp_path.glob('*.json'))) == 2 and len(list(tmp_path.glob('*.png'))) == 1


def test_the_command_on_a_terminal_of_ascii_reuses_and_writes_tables(tmp_path, capsys):
    video, = made(tmp_path, b'$caf\xe9\n.mp4')
    shutil.copy(sample('speaker.mp4'), video)
    code = '''import sys
from cmdfd_nb.cli import cmdfd_score
if __name__ == '__main__': sys.exit(cmdfd_score(sys.argv[2:], weights='seeded', out=sys.argv[1], workers=0))
'''
    (tmp_path/'run.py').write_text(code)
    ascii_only = dict(LC_ALL='C', PYTHONUTF8='0', PYTHONCOERCECLOCALE='0', PYTHONIOENCODING='')
    env = os.environ | ascii_only | dict(PYTHONPATH=str(ROOT))
    call = [sys.executable, 'run.py', 'night.csv', video, str(tmp_path/'absent.mp4')]
    done = subprocess.run(call, capture_output=True, cwd=tmp_path, env=env)
    assert done.returncode == 1 and b'Traceback' not in done.stderr and done.stdout.isascii()
    assert len(done.stdout.splitlines()) == 4 and rb'$caf\xe9\n.mp4' in done.stdout
    rows = list(csv.DictReader((tmp_path/'night.csv').open(newline='')))
    assert [row['error_type'] for row in rows] == ['', 'UnreadableMedia'] and float(rows[0]['p_fake']) > 0
    out = str(tmp_path/'night.json')   # its folder is 'night', too
    assert cli.cmdfd_score([video], weights='seeded', out=out, workers=0) == 0
    assert json.loads((tmp_path/'night.json').read_text())[0]['file'] == video
    assert 'its result is reused' in capsys.readouterr().err


@pytest.mark.parametrize('out, says', [('scores.xlsx', 'choose .parquet'), ('taken/x', 'nothing can be written'),
                                       ('taken/x.csv', 'nothing can be written')])
def test_places_are_checked_before_anything_is_scored(tmp_path, capsys, out, says):
    (tmp_path/'taken').touch()
    assert cli.cmdfd_score(['absent.mp4'], weights='seeded', out=str(tmp_path/out), workers=0) == 2
    said = capsys.readouterr().err
    assert says in said and '[1/1]' not in said and [path.name for path in tmp_path.iterdir()] == ['taken']


def test_names_are_drawn_as_they_are_spelled(tmp_path, scorer):
    record, = (record for _, record in scorer([str(sample('speaker.mp4'))]))
    fig = plot_curves(track_of(record['tracks'][0]), 'cost $5_{ of $6.mp4', 'worth $1_{ or $2')
    fig.canvas.draw()
    title = fig.axes[0].get_title('left')
    assert title.replace(r'\$', '$') == 'cost $5_{ of $6.mp4'
    run = dict(history=[dict(epoch=1, classification=.5, auc=.9)], best=dict(epoch=1, auc=.9))
    plot_learning([run], '$runs_{$').canvas.draw()


def test_a_score_that_is_no_number_is_an_error(monkeypatch, weights):
    real = judge.score_clip
    monkeypatch.setattr(judge, 'score_clip', lambda *args: dict(real(*args), score=float('nan')))
    with pytest.raises(NotFinite, match='speaker.mp4: p_fake, score came out infinite'):
        score_video(sample('speaker.mp4'), weights)


# Folders

@pytest.mark.parametrize('real, fake, category, splits', [
    ('Real', 'Fake', 'fake', ()), ('REAL', 'FAKE', 'fake', ()), ('0_real', '1_fake', 'fake', ()),
    ('train/real', 'test/fake', 'fake', ('train', 'test')), ('real/train', 'fake/train', 'fake', ('train', 'train')),
    ('Validation/Real', 'Validation/Fake/W2L', 'W2L', ('val', 'val')),
    ('data/original_videos', 'data/Manipulated', 'fake', ()), ('real', 'wav2lip', 'wav2lip', ())])
def test_real_and_fake_in_any_spelling(tmp_path, real, fake, category, splits):
    made(tmp_path, f'{real}/a.mp4', f'{fake}/b.mp4')
    rows = index('folder', tmp_path).rows.set_index('path')
    assert rows.label.to_dict() == {f'{real}/a.mp4': 0, f'{fake}/b.mp4': 1}
    assert rows.category[f'{fake}/b.mp4'].lower() in (category.lower(), 'manipulated')
    for path, split in zip((f'{real}/a.mp4', f'{fake}/b.mp4'), splits):
        if split: assert rows.split[path] == split


@pytest.mark.parametrize('names', [('a/1.mp4', 'b/2.mp4'), ('wav2lip/1.mp4',), ('real_or_fake/1.mp4',), ('1.mp4',),
                                   ('real_fake/real/1.mp4', 'real_fake/other/2.mp4')])
def test_folders_that_do_not_say_what_they_hold_are_refused(tmp_path, names):
    made(tmp_path, *names)
    with pytest.raises(BadManifest, match='do not say whether it is real or fake'): index('folder', tmp_path)
    made(tmp_path, 'real/x.mp4', 'fake/y.mp4')
    found = index('folder', tmp_path)
    assert len(found.rows) == 2 and {p['file'] for p in found.problems} == set(names)


def test_every_suffix_and_every_file_once(tmp_path):
    names = [f'real/{i}{suffix.upper() if i % 2 else suffix}' for i, suffix in enumerate(SUFFIXES)]
    made(tmp_path/'set', *names, 'real/notes.txt', 'real/.half.mp4')
    made(tmp_path, 'private.mp4')
    (tmp_path/'set/real/up').symlink_to('..')
    (tmp_path/'set/a_link').symlink_to('real')
    (tmp_path/'set/real/out').symlink_to(tmp_path)
    (tmp_path/'set/real/lost.mp4').symlink_to('nowhere')
    found = index('folder', tmp_path/'set')
    assert sorted(found.rows.path) == sorted(names)
    assert {p['file'] for p in found.problems} == {'real/out', 'real/lost.mp4'}
    assert set(index('folder', tmp_path/'set', outside=True).rows.path) - set(names) == {'real/out/private.mp4'}
    assert {'.mpg', '.m4v', '.ts', '.wmv', '.flv', '.3gp', '.mts', '.m2ts', '.ogv', '.mpeg'} <= set(SUFFIXES)


def test_fakeavceleb_with_files_in_capitals(tmp_path):
    shutil.copytree(sample('fakeavceleb'), tmp_path/'set')
    for path in (tmp_path/'set').rglob('*.mp4'): path.rename(path.with_suffix('.MP4'))
    found = index('fakeavceleb', tmp_path/'set')
    assert not found.problems and set(found.rows.label) == {0, 1} and found.rows.path.str.endswith('.MP4').all()


def test_lavdf_without_splits_and_dfdc_with_labels_as_fractions(tmp_path):
    made(tmp_path, 'lav/test/1.mp4', 'lav/dev/2.mp4', 'dfdc/test/a.mp4', 'dfdc/test/b.mp4')
    untouched = dict(modify_video=False, modify_audio=False, video_frames=60, audio_frames=38400)
    forged = dict(original='test/1.mp4', modify_video=True, modify_audio=0.0, audio_channels=1)
    entries = [dict(file='test/1.mp4', original=None, **untouched), dict(file='dev/2.mp4', **forged), dict(file='x')]
    (tmp_path/'lav/metadata.json').write_text(json.dumps(entries))
    found = index('lavdf', tmp_path/'lav')
    rows = found.rows[['path', 'label', 'split']].values.tolist()
    assert rows == [['test/1.mp4', 0, 'test'], ['dev/2.mp4', 1, 'val']]
    assert [p['file'] for p in found.problems] == [f'{tmp_path}/lav/metadata.json, entry 3']
    (tmp_path/'dfdc/test/labels.csv').write_text('filename,label\na.mp4,1.0\nb.mp4,0.0\nc.mp4,2\n')
    found = index('dfdc', tmp_path/'dfdc')
    assert found.rows.set_index('path').label.to_dict() == {'test/a.mp4': 1, 'test/b.mp4': 0}
    assert [p['type'] for p in found.problems] == ['BadManifest']


@pytest.mark.parametrize('kind, name, text', [
    ('lavdf', 'metadata.min.json', '{"a": 1}'), ('lavdf', 'metadata.min.json', '[1, null]'),
    ('lavdf', 'metadata.json', '['),
    ('av1m', 'train_metadata.json', '[{"file": "x", "modify_type": "odd"}]'), ('av1m', 'other.json', '[]'),
    ('dfdc', 'train/dfdc_train_part_0/metadata.json', '[]'), ('dfdc', 'test/labels.csv', 'a\nb\n'),
    ('dfdc', 'train/p/metadata.json', '{"a.mp4": {"label": "MAYBE"}}'), ('ffpp', 'train.json', '{"a": 1}'),
    ('fakeavceleb', 'meta_data.csv', 'source,target1,target2,method,category,type,race,gender,path,\nid1\n'),
    ('official-csv', 'W2L.csv', 'ID_Name,Audio_Path\nx\n'), ('lrs2', 'train.txt', 'nothing\n')])
def test_tables_that_differ_are_named_with_their_entry(tmp_path, kind, name, text):
    made(tmp_path, 'x.mp4', name)
    (tmp_path/name).write_text(text)
    with pytest.raises(BadManifest): index(kind, tmp_path)


# Formats

def test_the_suffix_of_a_manifest_decides_its_format(tmp_path, capsys):
    tables = {}
    for suffix in ('.parquet', '.csv', '.json'):
        out = tmp_path/f'm{suffix}'
        assert cli.cmdfd_index('cmdfd', str(sample('cmdfd')), out=str(out)) == 0
        tables[suffix] = read_manifest(out)
    assert (tmp_path/'m.csv').read_text().startswith('path,') and (tmp_path/'m.json').read_text().startswith('{')
    for found in tables.values():
        assert found.rows.equals(tables['.parquet'].rows)
        assert (found.root, found.domain) == (str(sample('cmdfd')), 'synthetic')
    for command, args in ((cli.cmdfd_index, ['cmdfd', str(sample('cmdfd'))]), (cli.cmdfd_evaluate, [str(tmp_path)])):
        assert command(*args, out=str(tmp_path/'m.xlsx')) == 2
    assert cli.cmdfd_report('x.mp4', out=str(tmp_path/'m.pdf'), weights='seeded', workers=0) == 2
    assert capsys.readouterr().err.count('names no format') == 3 and len(list(tmp_path.iterdir())) == 3


# Leftovers

def test_a_world_that_was_killed_goes_on(tmp_path, capsys):
    world = tmp_path/'world'
    shutil.copytree(sample('cmdfd'), world)
    truth = next((world/'truth').rglob('*.safetensors'))
    truth.with_name(f'.{truth.stem}-x1y2z3w4.safetensors').write_bytes(b'half')
    (truth.parent/'.cmdfd-0123abcd').mkdir()
    (truth.parent/'.cmdfd-0123abcd'/truth.name).write_bytes(b'half')
    assert cli.cmdfd_synth(str(world), clips=1, seed=9, kind='cmdfd', seconds=2., splits='train', workers=1) == 0
    assert len((world/'splits.csv').read_text().splitlines()) == len(list(world.rglob('*.mp4'))) + 1


def test_json_has_no_word_for_odd_numbers():
    from cmdfd_nb.command import json_text
    from cmdfd_nb.show.report import escaped_json
    odd = dict(auc=float('nan'), all=[np.float64('inf'), 1])
    for text in (json_text(odd), escaped_json([odd])):
        json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert json.loads(json_text(dict(auc=float('nan')))) == dict(auc=None, auc_why_null='1 not finite')
