"Indexers on whole small data sets: every file becomes a row or a problem."
import csv, json

import pytest

from cmdfd_nb.cli import cmdfd_index
from cmdfd_nb.data.index import index
from cmdfd_nb.data.layouts.authors import clip_identity
from cmdfd_nb.data.layouts.fakeavceleb import FAKEAVCELEB, one_spelling
from cmdfd_nb.data.splits import people_in
from cmdfd_nb.core import BadManifest, sample
from cmdfd_nb.data.manifest import read_manifest
from cmdfd_nb.world.build import write_tables
from cmdfd_nb.world.people import make_person
from cmdfd_nb.world.plan import WITH_WAV, World, shots


@pytest.fixture
def tree(tmp_path):
    "Make small files below a folder."
    def make(*names, **texts):
        for name in names:
            (tmp_path/name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path/name).write_text('')
        for name, text in texts.items(): (tmp_path/name.replace('__', '.')).write_text(text)
        return tmp_path
    return make


def plan(kind, clips=12): return shots(World(kind, 5), clips)


def every_wav(kind, shots):
    if kind != 'cmdfd': return []
    return [s.path[:-4] + '.wav' for s in shots if s.path.split('/')[0] in WITH_WAV]


@pytest.fixture(params=['fakeavceleb', 'cmdfd'])
def planned(request, tree):
    "A data set of the procedural world without pictures, and its plan."
    kind, shots = request.param, plan(request.param)
    root = tree(*(s.path for s in shots), *every_wav(kind, shots))
    write_tables(root, World(kind, 5), shots)
    return kind, root, shots


def test_the_procedural_layouts_become_what_they_are(planned):
    kind, root, shots = planned
    made = index(kind, root)
    table = made.rows.set_index('path')
    assert not made.problems and len(table) == len(shots)
    for s in shots:
        row, one, heard = table.loc[s.path], make_person(5, s.person).name, make_person(5, s.voice).name
        assert (row.split, row.identity, row.label) == (s.split, one, int(s.type != 'real')) and row.has_audio
        if kind == 'fakeavceleb': assert row.category == FAKEAVCELEB[s.category, s.method]
        elif s.type != 'real':
            assert row.target == heard and row.own_voice == (one == heard) == row.category.endswith('_Self')
            beside = s.path.split('/')[0] in WITH_WAV
            assert row.audio_path.startswith(s.path[:-4] if beside else f'origin/{heard}_')


def test_without_splits_csv_people_are_dealt_and_cmdfd_is_for_testing(planned):
    kind, root, shots = planned
    (root/'splits.csv').unlink()
    made = index(kind, root)
    table = made.rows
    if kind == 'cmdfd': assert set(table.split) == {'test'}
    else:
        assert not made.problems and made.about == dict(split='source', split_seed=42)
        assert table.groupby('identity').split.nunique().max() == 1 and set(table.split) == {'train', 'val', 'test'}
        strict = index(kind, root, split='person')
        people = {split: set().union(*map(people_in, part.itertuples()))
                  for split, part in strict.rows.groupby('split')}
        assert set(people) == {'train', 'val', 'test'}
        assert sum(map(len, people.values())) == len(set().union(*people.values()))
        assert f'meet in {strict.rows.split.isna().sum()} videos' in strict.problems[0]['message']
        assert index(kind, root).rows.split.equals(table.split)
        assert not index(kind, root, seed=1).rows.split.equals(table.split)


def test_lrs2_of_the_procedural_world(tree):
    shots = plan('lrs2')
    root = tree(*(s.path for s in shots))
    for s in shots: (root/s.path).with_suffix('.txt').write_text('Text:  WE MEET AGAIN\nConf:  3\n')
    for split in ('train', 'val', 'test'):
        (root/f'{split}.txt').write_text('\n'.join(s.path[5:-4] for s in shots if s.split == split))
    made = index('lrs2', root)
    table = made.rows
    assert not made.problems and set(table.text) == {'WE MEET AGAIN'} and set(table.label) == {0}
    assert table.set_index('path').split.to_dict() == {s.path: s.split for s in shots}


def test_fakeavceleb_in_either_spelling(tree):
    shots = plan('fakeavceleb')
    root = tree(*(one_spelling(s.path) for s in shots))
    write_tables(root, World('fakeavceleb', 5), shots)
    (root/'splits.csv').unlink()
    table = index('fakeavceleb', root).rows
    assert len(table) == len(shots) and not table.path.str.contains(r'\(').any()


def test_nothing_is_dropped_without_a_word(tree):
    shots = plan('fakeavceleb', 2)
    root = tree(*(s.path for s in shots))
    write_tables(root, World('fakeavceleb', 5), shots)
    (root/shots[3].path).unlink()
    tree('RealVideo-RealAudio/African/men/id09999/00001.mp4')
    rows = list(csv.reader((root/'meta_data.csv').open()))
    twice = next(r for r in rows if r[3] == 'fsgan-wav2lip')
    new = ['id1', '-', '-', 'new method', 'C', '', '', '', 'x.mp4', 'FakeAVCeleb/x']
    rows += [[*twice[:3], 'wav2lip', *twice[4:]], twice, new]
    with open(root/'meta_data.csv', 'w', newline='') as f: csv.writer(f).writerows(rows)
    made = index('fakeavceleb', root)
    table, problems = made.rows, made.problems
    assert sum(p['type'] == 'UnreadableMedia' and p['file'] == one_spelling(shots[3].path) for p in problems) == 1
    assert sum('nothing says what it is' in p['message'] for p in problems) == 1
    assert sum('3 lines' in p['message'] and 'fsgan-wav2lip and wav2lip' in p['message'] for p in problems) == 1
    assert sum('unknown method new method' in p['message'] for p in problems) == 1
    assert len(table) == len(shots) - 1 and 'FVFA-GAN' in set(table.category)


@pytest.mark.parametrize('name, text',
                         [('meta_data.csv', ''), ('meta_data.csv', 'a,b\n'), ('meta_data.csv', '\xff\xfe')])
def test_a_damaged_table_is_named(tree, name, text):
    root = tree('RealVideo-RealAudio/x.mp4')
    (root/name).write_bytes(text.encode('latin-1'))
    with pytest.raises(BadManifest, match='meta_data.csv'): index('fakeavceleb', root)


def test_sets_that_publish_nothing_get_splits_of_strangers(tree):
    fakes = 'manipulated_sequences/DeepFakeDetection/raw/videos'
    pairs = [(i, j) for i in range(28) for j in range(28) if i != j]
    names = [f'{fakes}/{i:02}_{j:02}__walk__X.mp4' for i, j in pairs]
    originals = [f'original_sequences/actors/raw/videos/{i:02}__walk.mp4' for i in range(28)]
    table = index('dfd', tree(*names, *originals), split='person').rows
    assert not table.has_audio.any() and set(table.split.dropna()) == {'train', 'val', 'test'}
    people = [set().union(*map(people_in, part.itertuples())) for _, part in table.groupby('split')]
    assert sum(map(len, people)) == len(set().union(*people)) == 28


def test_dfdc_keeps_a_fake_beside_its_original(tree):
    part = {f'{k}.mp4': dict(label='FAKE', original=f'r{k % 9}.mp4') for k in range(40)}
    part |= {f'r{k}.mp4': dict(label='REAL') for k in range(9)}
    root = tree(*(f'train/dfdc_train_part_0/{name}' for name in part))
    (root/'train/dfdc_train_part_0/metadata.json').write_text(json.dumps(part))
    table = index('dfdc', root).rows
    assert set(table.split) <= {'train', 'val'} and (table.groupby('identity').split.nunique() == 1).all()
    assert table.groupby('label').size().to_dict() == {0: 9, 1: 40}


def test_a_file_below_the_root_keeps_its_capitals_and_spaces(tree):
    table = index('folder', tree('real/A b.MP4', 'fake/My Type/c.mov', 'fake/My Type/c.wav')).rows
    assert table.set_index('path').category.to_dict() == {'real/A b.MP4': 'real', 'fake/My Type/c.mov': 'My Type'}
    assert table.audio_path.tolist() == ['fake/My Type/c.wav', None]


def test_probing_measures_what_is_there_and_reports_the_rest(tmp_path):
    (tmp_path/'real').mkdir(); (tmp_path/'fake').mkdir()
    (tmp_path/'real'/'speaker.mp4').write_bytes(sample('speaker.mp4').read_bytes())
    (tmp_path/'fake'/'cut.mp4').write_bytes(sample('speaker.mp4').read_bytes()[:3000])
    made = index('folder', tmp_path, probe_files=True)
    row, = made.rows.itertuples()
    assert (row.frames, row.rate, len(row.sha256)) == (117, 25, 64)
    assert [(p['file'], p['type']) for p in made.problems] == [('fake/cut.mp4', 'UnreadableMedia')]


def test_downloads_that_stopped_are_one_problem_each(tmp_path, capsys):
    "Half an MP4 with its index behind, or in front: the second opens, and its header promises what never came."
    whole = sample('speaker.mp4').read_bytes()
    index_at = whole.find(b'moov') - 4
    size = int.from_bytes(whole[index_at:index_at + 4], 'big')
    behind = whole[:index_at] + whole[index_at + size:]   # without its index, as if it were to come at the end
    files = {'real/a.mp4': whole, 'fake/b.mp4': whole, 'fake/front.mp4': whole[:len(whole) // 2],
             'fake/behind.mp4': behind[:len(whole) // 2], 'real/none.mp4': b'', 'real/c.mp4.part': whole[:999],
             'real/Unconfirmed 1.crdownload': whole[:999], 'real/d.mp4.download/d.mp4': whole[:999],
             'fake/e.mp4': whole[:999], 'fake/e.mp4.aria2': b'x'}
    for name, data in files.items():
        (tmp_path/'set'/name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path/'set'/name).write_bytes(data)
    assert cmdfd_index('folder', str(tmp_path/'set'), str(tmp_path/'m.parquet'), probe=True, workers=0) == 1
    found = read_manifest(tmp_path/'m.parquet')
    assert found.rows.path.tolist() == ['fake/b.mp4', 'real/a.mp4'] and set(found.rows.frames) == {117}
    names = ['fake/behind.mp4', 'fake/e.mp4', 'fake/front.mp4', 'real/Unconfirmed 1.crdownload', 'real/c.mp4.part',
             'real/d.mp4.download', 'real/none.mp4']
    assert sorted(p['file'] for p in found.problems) == names
    assert {p['type'] for p in found.problems} == {'UnreadableMedia'}
    said = {p['file']: p['message'] for p in found.problems}
    assert 'breaks off (it ends at 2.' in said['fake/front.mp4'] and 'cannot read it' in said['fake/behind.mp4']
    assert '0 bytes' in said['real/none.mp4'] and '7 problems' in capsys.readouterr().out


@pytest.mark.parametrize('name', ['interviews', 'B-roll', 'memes', 'real_wav2lip', 'class1', 'real/MakeItTalk'])
def test_an_unknown_folder_beside_real_is_never_fake(tree, name):
    made = index('folder', tree('real/a.mp4', f'{name}/b.mp4'))
    assert made.rows.set_index('path').label.to_dict() == {'real/a.mp4': 0}
    (problem,) = made.problems
    assert problem['file'] == f'{name}/b.mp4' and 'do not say whether it is real or fake' in problem['message']


def test_tables_of_spreadsheets(tree):
    "A byte order mark, semicolons, CRLF, capitals, spaces, backslashes: what spreadsheets make of a table."
    root = tree('test/a.MP4', 'train/dfdc_train_part_0/b.mp4')
    (root/'test/labels.csv').write_bytes(b'\xef\xbb\xbfFileName; LABEL\r\na.mp4 ; 1.0\r\n')
    (root/'train/dfdc_train_part_0/metadata.json').write_bytes(b'\xef\xbb\xbf{"b.mp4": {"label": "real"}}\r\n')
    (root/'splits.csv').write_bytes(b'\xef\xbb\xbfPath;Split\r\nTest\\A.mp4; Test\r\n'
                                     b'train/dfdc_train_part_0/b.mp4;TRAINING\r\n')
    made = index('dfdc', root)
    labels = made.rows.set_index('path').label.to_dict()
    assert not made.problems and labels == {'train/dfdc_train_part_0/b.mp4': 0, 'test/a.MP4': 1}
    assert made.rows.split.tolist() == ['train', 'test']


def test_the_command_says_how_it_went(tmp_path, capsys):
    out = tmp_path/'m.parquet'
    assert cmdfd_index('fakeavceleb', str(sample('fakeavceleb')), str(out)) == 0
    assert len(read_manifest(out)) == 9 and 'FVFA-GAN' in capsys.readouterr().out
    assert cmdfd_index('cmdfd', str(sample('cmdfd')), str(out), lists='x') == 2
    assert 'needs no lists' in capsys.readouterr().err
    (tmp_path/'cm'/'wav2lip').mkdir(parents=True)
    (tmp_path/'cm'/'wav2lip'/'id1-id2.mp4').write_text('')
    assert cmdfd_index('cmdfd', str(tmp_path/'cm'), str(out)) == 1
    assert 'NoAudioStream: no wav file beside it' in capsys.readouterr().err


@pytest.mark.parametrize('folder, name', [
    ('FAKE_FSGAN_D_W2L', 'id00001_id00001_wavtolip.mp4'), ('org_FAKE_W2L_D', 'id00001_wavtolip.mp4'),
    ('FAKE_FACESWAP_D_W2L', 'id00001_faceswap_id00001_wavtolip.mp4')])
def test_names_of_both_releases_lead_to_each_other(folder, name):
    v1 = f'00286_{name.replace("id00001", "id00001_8rSKsBhAaDo")}'
    v1 = clip_identity(f'DATA/TRAIN/ARRANGED_RAW_VIDEO/{folder}/AFRICANAMERICAN/MEN/id00076/GlRjXq1wWKk/{v1}')
    assert v1 and v1 == clip_identity(f'FakeVideo-FakeAudio/African/men/id00076/00286_{name}')
