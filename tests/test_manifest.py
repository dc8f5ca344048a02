"What a manifest promises: nothing wrong gets in, everything comes out again, and a run survives bad videos."
import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cmdfd_nb.media.clip import PreprocessConfig
from cmdfd_nb.core import BadManifest, sample
from cmdfd_nb.data.layouts.files import video_row
from cmdfd_nb.data.index import index
from cmdfd_nb.data.manifest import VIDEO, Manifest, read_manifest, typed, write_manifest
from cmdfd_nb.data.clips import CLIP, preprocess_all, read_clips
from cmdfd_nb.media.write import write_wav

WHOLE = PreprocessConfig(faces='whole')


def table(n=3, **changes):
    rows = [video_row(f'{i}.mp4', 'real', f'id{i}', split='train', source='toy', has_audio=True) for i in range(n)]
    return pd.DataFrame(rows, dtype=object).assign(**changes)


@pytest.mark.parametrize('column', VIDEO)
def test_every_column_is_needed(column, tmp_path):
    with pytest.raises(BadManifest, match=f'column {column} is missing'):
        write_manifest(tmp_path/'m.parquet', Manifest(table().drop(columns=column), '.'))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('changes, said', [
    (dict(label=-1), 'label is not 0 or 1'), (dict(visual_label=[0, 3, 0]), 'visual_label is not 0 or 1 in row 1'),
    (dict(label=['0', '1', 'real']), 'label is not int8'), (dict(label=[0, 1, .5]), 'label is not int8'),
    (dict(split='validation'), 'unknown split'),
    (dict(path='same.mp4'), r'path of an earlier row in row 1 \(2 such rows\)'),
    (dict(path=[None, 'a', 'b']), 'path has no value in row 0'), (dict(frames='many'), r'frames is not int32'),
    (dict(own_voice='yes'), 'own_voice is not bool'), (dict(identity=7), 'identity is not string'),
    (dict(has_audio=None), 'has_audio has no value')])
def test_nonsense_is_refused(changes, said, tmp_path):
    with pytest.raises(BadManifest, match=said): write_manifest(tmp_path/'m.parquet', Manifest(table(**changes), '.'))


def test_types_survive(tmp_path):
    full = table(audio_path=['a.wav', None, None], own_voice=[True, None, False], frames=[10, None, 30],
                 rate=[25., None, 29.97], mine=[1, 2, 3])
    write_manifest(tmp_path/'m.parquet', Manifest(full, tmp_path, 'toy'))
    schema = pq.read_schema(tmp_path/'m.parquet')
    assert {n: str(schema.field(n).type) for n in VIDEO} == {n: kind.rstrip('?') for n, kind in VIDEO.items()}
    manifest = read_manifest(tmp_path/'m.parquet')
    read = manifest.rows
    assert read.audio_path.tolist() == ['a.wav', None, None] and read.mine.tolist() == [1, 2, 3]
    for column in 'own_voice', 'frames', 'rate':
        assert read[column].isna().tolist() == [False, True, False]
    write_manifest(tmp_path/'again.parquet', manifest)
    pd.testing.assert_frame_equal(read_manifest(tmp_path/'again.parquet').rows, read)
    assert json.loads(schema.metadata[b'cmdfd']) == dict(root='.', kind='toy', domain='real', problems=[], version=1)


def test_wider_types_of_other_libraries_are_taken(tmp_path):
    wide = pa.Table.from_pandas(table(frames=5), preserve_index=False)
    wide = wide.set_column(wide.column_names.index('path'), 'path', wide['path'].cast(pa.large_string()))
    pq.write_table(wide, tmp_path/'wide.parquet')
    assert read_manifest(tmp_path/'wide.parquet').rows.frames.tolist() == [5, 5, 5]
    assert read_manifest(tmp_path/'wide.parquet').root == str(tmp_path.resolve())


def test_a_newer_format_is_refused(tmp_path):
    pq.write_table(pa.table({'a': [1]}, metadata={'cmdfd': json.dumps(dict(version=99))}), tmp_path/'m.parquet')
    with pytest.raises(BadManifest, match='newer version'): read_manifest(tmp_path/'m.parquet')


def test_pandas_own_missing_words_become_none():
    assert typed(table(target=['a', float('nan'), None])).rows.target.tolist() == ['a', None, None]


def test_preprocessing_takes_the_named_sound_and_survives_bad_files(tmp_path):
    videos = index('cmdfd', sample('cmdfd'), match='_Self')
    assert any(videos.rows.audio_path.str.startswith('origin/'))
    bad = {'empty.mp4': b'', 'text.mp4': b'not a video' * 99}
    for name, data in bad.items(): (tmp_path/name).write_bytes(data)
    write_wav(tmp_path/'brief.wav', [.1] * 3200)
    odd = [video_row(str(tmp_path/name), 'real', 'x', source='x', has_audio=True) for name in (*bad, 'absent.mp4')]
    odd += [video_row(str(sample('speaker.mp4')), 'real', 'x', source='x', has_audio=True,
                      audio_path=str(tmp_path/'brief.wav'))]
    both = pd.concat([videos.rows, pd.DataFrame(odd, dtype=object)], ignore_index=True)
    both = videos.where(both)
    made = preprocess_all(both, tmp_path/'clips', WHOLE, workers=2)
    clips = made.rows
    assert clips.path.tolist() == videos.rows.path.tolist() and list(clips)[:len(CLIP)] == list(CLIP)
    problems = {p['file'].split('/')[-1]: p['type'] for p in made.problems}
    assert problems == dict.fromkeys([*bad, 'absent.mp4'], 'UnreadableMedia') | {'speaker.mp4': 'TooShort'}
    pd.testing.assert_frame_equal(read_clips(tmp_path/'clips'/'clips.parquet').rows, clips)
    assert made.root == str((tmp_path/'clips').resolve())
    # whatever the number of processes
    pd.testing.assert_frame_equal(preprocess_all(both, tmp_path/'one', WHOLE).rows, clips)
