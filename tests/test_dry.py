"Real names: every file is placed, every caption counts what its split leaves, and nothing is decoded to know it."
import json, re, subprocess
from pathlib import Path

import numpy as np
import papermill
import pytest
import torch
import yaml

import names
from cmdfd_nb.cli import cmdfd_index
from cmdfd_nb.core import BadArgument
from cmdfd_nb.data.index import counts, describe_split, index
from cmdfd_nb.data.lists import FACTOR
from cmdfd_nb.data.protocols import CATEGORIES, FOLDS, TYPES, Cross
from cmdfd_nb.paper.jobs import method_of
from cmdfd_nb.paper.questions import QUESTIONS
from cmdfd_nb.paper.studies import SIZES, Study, clips_of

ROOT = Path(__file__).parents[1]
CATEGORY = dict(real=500, RVFA=500) | {'FVRA-W2L': 5015, 'FVRA-GAN': 4315, 'FVRA-FS': 379, 'FVFA-W2L': 5519,
                                       'FVFA-GAN': 3553, 'FVFA-FS': 1763}
FAKES = dict(zip(TYPES, names.TYPES.values())) | dict(real=1000)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    "21,544 and 8,792 empty videos."
    root = tmp_path_factory.mktemp('data')
    names.write_fakeavceleb(root/'FakeAVCeleb', list(names.by_rule()))
    names.touch(root/'CMDFD', list(names.cmdfd_by_rule()))
    return root


@pytest.fixture(scope='module')
def manifests(data):
    "By rule of the split; CMDFD beside them."
    fav = {rule: index('fakeavceleb', data/'FakeAVCeleb', split=rule) for rule in ('source', 'person')}
    return fav | dict(CMDFD=index('cmdfd', data/'CMDFD'))


def sizes(manifest): return manifest.rows.split.fillna('none').value_counts().to_dict()


def test_every_name_has_its_place(manifests):
    fav, cmdfd = manifests['source'], manifests['CMDFD']
    assert fav.rows.category.value_counts().to_dict() == CATEGORY and len(fav) == 21544
    assert cmdfd.rows.category.value_counts().to_dict() == FAKES and len(cmdfd) == 8792
    assert fav.rows.identity.nunique() == 500 and cmdfd.rows.identity.nunique() == 1000
    assert len(fav.problems) == names.TWICE and not cmdfd.problems and cmdfd.rows.has_audio.all()
    assert fav.domain == cmdfd.domain == 'real'


def test_by_source_nothing_is_lost_and_by_person_more_than_half(manifests):
    by_source, by_person = sizes(manifests['source']), sizes(manifests['person'])
    filmed = manifests['source'].rows.groupby('split').identity.nunique().to_dict()
    assert filmed == dict(train=300, val=50, test=150) and set(by_source) == set(filmed)
    assert sum(by_source.values()) == sum(by_person.values()) == 21544 and by_person['none'] > 21544 / 2
    said = describe_split(manifests['source'])
    assert all(f'{name} {n:,}' in said for name, n in by_source.items()) and 'none 0 of 21,544 videos' in said
    assert 'On two sides: 0 people filmed, 500 filmed or lending' in said
    assert f'none {by_person["none"]:,} of' in describe_split(manifests['person'])
    assert 'On two sides: 0 people filmed, 0 filmed or' in describe_split(manifests['person'])


@pytest.mark.parametrize('rule', ['source', 'person'])
def test_protocols_count_what_they_take(manifests, rule):
    fav, cmdfd = manifests[rule], manifests['CMDFD']
    tables = Cross().tables(fav, cmdfd)
    assert tables.counts().test.drop('real').sum() == len(cmdfd) - 1000 - (rule == 'person') * tables.left_out.get(
        'from test, for people of another table', 0)
    kept = len(tables.train) + len(tables.val)
    lost = sum(n for why, n in tables.left_out.items() if 'test' not in why)
    assert kept + lost == fav.rows.split.isin(['train', 'val']).sum() and lost
    assert not set(tables.train.rows.identity) & set(tables.test.rows.identity)
    assert f'{(tables.train.rows.label == 1).sum():,} fake for train' in tables.describe()
    for fold in FOLDS:
        cut = fold.tables(fav)
        assert cut.left_out == {} and set(cut.test.rows.category) == {'real', fold.held_out}
        assert not set(cut.train.rows.category) & fold.unseen


def test_published_lists_work_on_names(data, tmp_path):
    rows = index('fakeavceleb', data/'FakeAVCeleb').rows
    kinds = ['real', 'RVFA', 'FVRA-W2L', 'FVFA-W2L', 'FVFA-FS', 'FVFA-GAN']
    for name, category in zip(FACTOR, kinds):
        np.save(tmp_path/f'{name}.npy', rows.path[rows.category == category].head(40).to_numpy(str))
    made = index('fakeavceleb', data/'FakeAVCeleb', split='factor', lists=tmp_path)
    assert sizes(made)['test'] == 240 and made.rows.category[made.rows.split == 'test'].value_counts().nunique() == 1
    tested = set(made.rows.identity[made.rows.split == 'test'])
    assert not tested & set(made.rows.identity[made.rows.split.isin(['train', 'val'])])
    assert Cross().tables(made, index('cmdfd', data/'CMDFD')).left_out
    with pytest.raises(BadArgument, match='needs a folder with lists'):
        index('fakeavceleb', data/'FakeAVCeleb', split='authors')


def test_the_command_counts(data, tmp_path, capsys):
    assert cmdfd_index('fakeavceleb', str(data/'FakeAVCeleb'), str(tmp_path/'m.parquet'), split='person') == 0
    said = capsys.readouterr().out
    assert '21544' in said and 'Split by person, seed 42' in said


def test_real_data_and_synthetic_teachers_are_refused_before_a_video_is_opened(data, tmp_path):
    study = Study(str(tmp_path/'out'), str(data))
    assert (study.domain, study.preset) == ('real', 'paper')
    with pytest.raises(BadArgument, match='teachers are synthetic.*force=synthetic-teachers'):
        clips_of(study, 'CMDFD')
    with pytest.raises(BadArgument, match='force=seeded-teachers'):
        clips_of(Study(str(tmp_path/'out'), str(data), teachers='seeded:tiny', force='synthetic-teachers'), 'CMDFD')
    assert not (tmp_path/'out').exists()


def notebook(name, **chosen):
    "The cells of an experiment, run in this process."
    there = ROOT/'nbs'/'experiments'/f'{name}.ipynb'
    assert set(chosen) <= set(papermill.inspect_notebook(there))
    said = {}
    for cell in json.loads(there.read_text())['cells']:
        if cell['cell_type'] == 'code': exec(''.join(cell['source']), said)
        if 'parameters' in cell['metadata'].get('tags', []): said |= chosen
    return said


@pytest.mark.usefixtures('one_thread')
def test_a_dry_run_tells_what_would_be_done(data, manifests, tmp_path, capsys):
    asked = dict(out=str(tmp_path/'out'), data=str(data), preset='tiny', workers=2, device='cpu', seeds=[1, 2])
    with pytest.raises(BadArgument, match='synthetic'): notebook('dry', **asked)
    found = notebook('dry', **asked, force='synthetic-teachers', split='source')['found']
    text = (tmp_path/'out'/'dry.md').read_text()
    assert text.strip() in capsys.readouterr().out
    assert counts(manifests['source']) in text and describe_split(manifests['source']) in text
    assert all(fold.tables(manifests['source']).describe() in text for fold in FOLDS)
    assert Cross().tables(manifests['source'], manifests['CMDFD']).describe() in text
    assert found.frames == 21544 * 136 + 8792 * 185 and f'{found.frames:,} frames' in text
    assert 10e9 < found.bytes_ < 300e9 and found.cut_hours > 1
    runs = {row[:3] for row in found.runs}
    assert {(f'{c} held out', 'full', 2) for c in CATEGORIES} < runs
    assert ('FakeAVCeleb to CMDFD', 'cont_alone', 1) in runs
    assert [p.name for p in (tmp_path/'out').iterdir()] == ['dry.md']
    assert torch.get_num_threads() == 1


def test_make_hands_every_choice_on(tmp_path):
    choices = ['PRESET=paper', 'TEACHERS=seeded:tiny', 'START=teacher', 'SEEDS=4 5', 'SPLIT=factor', 'FACES=whole',
               'FORCE=seeded-teachers', f'LISTS={tmp_path}', f'DATA={tmp_path}']
    def told(*more):
        command = ['make', '-n', '-o', '.venv/.dev', 'reproduce', *choices, *more]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    said = told()
    for choice in choices:
        name, value = choice.split('=')
        expected = '-y "seeds: [4, 5]"' if name == 'SEEDS' else f'-r {name.lower()} "{value}"'
        assert expected in said
    assert 'for name in table1 table2' in said and 'for name in dry' in told('DRY=1')
    for name in ('table1', 'table2', 'table3', 'table4', 'fig1', 'dry'):
        known = papermill.inspect_notebook(ROOT/'nbs'/'experiments'/f'{name}.ipynb')
        assert {'preset', 'teachers', 'start', 'split', 'faces', 'force', 'lists', 'data'} <= set(known)
        assert ('seeds' in known) == (name != 'table1')


# The names themselves

@pytest.fixture(scope='module')
def real_data(published_names, official_lists, tmp_path_factory):
    root = tmp_path_factory.mktemp('published')
    names.write_fakeavceleb(root/'FakeAVCeleb', list(names.published(published_names)))
    names.touch(root/'CMDFD', names.cmdfd_published(official_lists))
    return root


@pytest.mark.parametrize('rule, said', [
    ('source', 'train 12,902, val 2,198, test 6,444, none 0 of 21,544 videos. On two sides: 0 people filmed, 500'),
    ('person', 'train 7,389, val 336, test 1,907, none 11,912 of 21,544 videos. On two sides: 0 people filmed, 0'),
    ('authors', 'none 15,814 of 21,544 videos'), ('factor', 'test 473, none 11,482 of 21,544 videos')])
def test_the_published_names(real_data, published_names, official_lists, rule, said):
    lists = dict(authors=official_lists, factor=published_names).get(rule)
    made = index('fakeavceleb', real_data/'FakeAVCeleb', split=rule, lists=lists)
    cmdfd = index('cmdfd', real_data/'CMDFD')
    assert made.rows.category.value_counts().to_dict() == CATEGORY
    assert cmdfd.rows.category.value_counts().to_dict() == FAKES
    assert said in describe_split(made)
    said = Cross().tables(made, cmdfd).describe()
    trained = dict(source='251 real and 10,571 fake', person='251 real and 5,055 fake',
                   authors='345 real and 3,739 fake', factor='164 real and 6,915 fake')[rule]
    assert f'{trained} for train' in said and '1,000 real and 7,792 fake for test' in said
    assert any('175 videos are in a list for training and in one for testing' in p['message']
               for p in made.problems) == (rule == 'authors')


def test_confirm_asks_table_four_for_the_rows_whose_controls_it_prints():
    command = ['make', '-n', '-o', '.venv/.dev', 'confirm', 'FOR=a test']
    said = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True).stdout
    asked = yaml.safe_load(re.search(r"-y '(.*?)'", said)[1])
    assert 'nbs/experiments/table4.ipynb' in said and 'cat out/confirmed/table4.md' in said
    assert set(asked) <= set(papermill.inspect_notebook(ROOT/'nbs/experiments/table4.ipynb'))
    assert asked['purpose'] == 'a test' and SIZES[asked['size']].tested >= 130 and len(asked['seeds']) == 5
    assert all(method_of(name).seeds_matter for name in asked['methods'])
    assert {QUESTIONS['table4'].one, QUESTIONS['table4'].other} <= set(asked['methods'])   # both rows have controls
