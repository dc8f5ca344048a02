"Experiments: the notebooks run on a few clips, what is finished is found again, what they conclude is computed."
import json, re, shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import matplotlib
import papermill
import pytest
from IPython.display import display

from cmdfd_nb.media.clip import PreprocessConfig, clips
from cmdfd_nb.core import BadArgument, sample
from cmdfd_nb.paper.studies import Study, sample_study
from cmdfd_nb.paper.mispair import mispair, shift_of
from cmdfd_nb.paper.jobs import Job, method_of
from cmdfd_nb.paper.conclusions import conclusion
from cmdfd_nb.show.fit import fit_wording
from cmdfd_nb.data.protocols import CATEGORIES, Cross
from films import begin

matplotlib.use('Agg')
NOTEBOOKS = Path(__file__).parents[1]/'nbs'/'experiments'


pytestmark = pytest.mark.usefixtures('one_thread')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    "Data sets of sample clips, and where results go."
    folder = tmp_path_factory.mktemp('experiments')
    sample_study(folder, few=False)
    return folder


SMALL = dict(visual_widths=[4, 4, 4, 8], visual_hidden=8, temporal_blocks=1, audio_filters=[8, 8, 8, 8], heads=2)
QUICK = dict(epochs=1, budget=60, window=10, sampling='each', detector=SMALL)   # three small steps


def given(name, folder, **parameters):
    "What a notebook is asked to do, those of its parameters that it has."
    study = dict(out=str(folder/'out'), data=str(folder/'data'), teachers='seeded:tiny', training=QUICK, workers=1,
                 device='cpu', resamples=20)
    return {k: v for k, v in (study | parameters).items() if k in papermill.inspect_notebook(NOTEBOOKS/f'{name}.ipynb')}


def executed(name, folder, **parameters):
    "Everything a notebook shows, run by papermill as `make reproduce` does."
    papermill.execute_notebook(NOTEBOOKS/f'{name}.ipynb', folder/f'{name}.ipynb', given(name, folder, **parameters),
                               kernel_name='python3', cwd=NOTEBOOKS, progress_bar=False)
    outputs = [o for c in json.loads((folder/f'{name}.ipynb').read_text())['cells'] for o in c.get('outputs', [])]
    return '\n'.join(''.join(o.get('text', o.get('data', {}).get('text/markdown', ''))) for o in outputs)


def run(name, folder, **parameters):
    "The cells of a notebook, run in this process: no kernel to wait for."
    names, chosen = dict(display=display), given(name, folder, **parameters)
    for cell in json.loads((NOTEBOOKS/f'{name}.ipynb').read_text())['cells']:
        if cell['cell_type'] == 'code': exec(''.join(cell['source']), names)
        if 'parameters' in cell['metadata'].get('tags', []): names |= chosen
    return names


def runs(folder): return {p.parent.name: p.stat().st_mtime_ns for p in folder.rglob('scores.parquet')}


def test_ablation_then_the_tables_that_share_its_runs(folder, monkeypatch):
    monkeypatch.setattr('matplotlib.pyplot.show', lambda: None)
    methods = ['full', 'full + band', 'cont_alone']
    text = executed('table4', folder, methods=methods, seeds=[1, 2])
    made = runs(folder)
    assert len(made) == 2 * 2 + 1
    assert all(f'| {name} |' in text for name in (*methods, 'paper')) and 'Untrained weights' in text
    assert 'Split by splits.csv: train' in text and 'fake for train' in text
    assert 'Seeds: 1 or 2' in text
    assert 'too few people' in text and 'times the computation' in text
    assert '| full, labels shuffled |' in (folder/'out'/'table4.md').read_text()   # `make confirm` prints it
    both = 'full & cont_alone by rank'
    table = run('table3', folder, seeds=[1, 2], methods=['full', 'full + band', both])['table']
    assert table.cells.method.tolist()[:6:2] == ['full', 'full + band', both]
    assert 'paper' in set(table.cells.method)
    run('fig1', folder, above='full', below='full + band', seeds=[1, 2], umap=False)
    assert runs(folder) == made   # a combination trains nothing
    assert {p.name for p in (folder/'out').glob('*.*')} >= {'table4.md', 'table4.csv', 'table4-2.csv', 'table3.md',
                                                            'fig1.md', 'fig1.png'}


def test_folds_and_counts(folder, monkeypatch):
    monkeypatch.setattr('matplotlib.pyplot.show', lambda: None)
    table = run('table2', folder, methods=['without both', 'cont_alone'])['table']
    assert len([name for name in runs(folder) if 'held-out' in name]) == 2 * 5
    assert set(table.numbers.category) == {*CATEGORIES, 'AVG-FV', 'mean'}
    assert set(table.numbers.row) == {'without both', 'cont_alone'}
    text = run('table1', folder)['table'].to_markdown()
    assert '| counted, miniature | FakeAVCeleb |' in text and '| published (a) | DefakeAVMiT |' in text


def test_a_mispaired_clip_differs_in_nothing_but_when_it_is_heard():
    clip = next(clips(sample('speaker.mp4'), PreprocessConfig()))
    for shift in (-9, 12):
        odd = mispair(clip, shift)
        assert len(odd) == len(odd.boxes) == len(clip) - abs(shift)
        rows = dict(lips=1, mfcc=4, stft=4, audio=640)
        assert {name: len(odd[name]) / len(odd) for name in rows} == rows
        back = max(-shift, 0)
        np.testing.assert_array_equal(odd['faces'][0], clip['faces'][back])
        np.testing.assert_array_equal(odd['mfcc'][:4], clip['mfcc'][4 * (back + shift):][:4])
    shifts = [shift_of(f'{i}') for i in range(200)]
    assert {abs(s) for s in shifts} == set(range(8, 16)) and .3 < np.mean(np.array(shifts) > 0) < .7


def test_what_changes_the_outcome_changes_the_folder(folder):
    study = Study(str(folder/'out'), data=str(folder/'data'), teachers='seeded:tiny')
    job = Job(study, Cross(), 'full', 1)
    others = [replace(job, seed=2), replace(job, method='full + band'),
              replace(job, protocol=Cross(people='as listed')), replace(job, study=replace(study, preset='paper')),
              replace(job, study=replace(study, training=dict(lr=.1))),
              replace(job, study=replace(study, split='person')),
              replace(job, study=replace(study, faces='whole')), replace(job, study=replace(study, start='teacher'))]
    assert len({job.folder, *(o.folder for o in others)}) == 9
    assert replace(job, study=replace(study, workers=1, device='cpu')).folder == job.folder
    with pytest.raises(BadArgument): Study('out', size='tiny')
    with pytest.raises(BadArgument): method_of('half')


def test_a_conclusion_says_what_the_numbers_say():
    def said(a, b, gain): return dict(a=a, b=b, difference=gain, p=.01)
    assert re.search('do not overlap.* better', conclusion(said((.9, .88, .92), (.7, .68, .72), (.2, .15, .25))))
    assert re.search('intervals overlap.* worse', conclusion(said((.7, .6, .8), (.75, .7, .81), (-.05, -.08, -.02))))
    assert 'beyond chance' in conclusion(said((.7, .6, .8), (.72, .7, .81), (-.02, -.08, .02)))
    assert 'is reached' in conclusion(said((.9, .88, .92), (.7, .68, .72), (.2, .15, .25)), .05)
    assert 'not reached' in conclusion(said((.74, .72, .76), (.7, .68, .71), (.04, .01, .06)), .05)
    assert 'nothing follows' in conclusion(said((.9, np.nan, np.nan), (.7, .68, .72), (.2, .15, .25)), .05)


WILD = ('real/r000', 'real/r015', 'lipsync/l136', 'talkinghead/t232')   # real ones of two sources


def test_what_an_answer_about_filmed_people_is_worth(wild_clips, landmark_model, recogniser, tmp_path):
    "On a few short clips: the table, what is found again, and a reference that fills the wording of a report."
    data, out, reference = (tmp_path/name for name in ('data', 'out', 'reference.json'))
    for name in WILD: begin(wild_clips/f'{name}.mp4', data/f'{name}.mp4')
    shutil.copy(wild_clips/'sources.csv', data)
    chosen = dict(data=str(data), out=str(out), reference=str(reference))
    first = run('wild', tmp_path, **chosen)
    assert [one['name'] for one in first['every']] == [*WILD] and len(first['real']) == 2
    views = {p: p.stat().st_mtime_ns for p in out.rglob('*.npz')}
    assert len(views) == len(WILD)
    table = first['table']
    assert {'Sync: phones to mouth', 'demonstration weights: 1 - p_fake'} <= set(table)
    for value, low, high in (values for row in table.values() for values in row.values() if len(values) == 3):
        assert 0 <= low <= high <= 1 and 0 <= value <= 1
    own, foreign = first['scores_at'](50)
    assert own.score.mean() > foreign.score.mean() + .3
    numbers = json.loads(reference.read_text())
    assert numbers['seconds'] == [2]
    for some in numbers, numbers['by_sound']: assert len(some['own'][0]) == len(some['mismatched'][0]) == 9
    assert numbers['measured']['real_clips'] == 2 and numbers['measured']['fits'].keys() >= {'real', 'generated'}
    said = fit_wording(numbers['measured'])
    assert f"Measured on 2 real clips: AUC {numbers['measured']['mismatch_clip']} against" in said
    assert all(name in (out/'table.md').read_text() for name in table)
    again = run('wild', tmp_path, shipped=False, **chosen)
    assert {p: p.stat().st_mtime_ns for p in out.rglob('*.npz')} == views
    assert all(again['table'][name] == table[name] for name in again['table'])
