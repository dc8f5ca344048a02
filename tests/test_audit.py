"The audit finds what is known to be wrong with published lists, and nothing in a data set that was made with care."
import html, json, re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from cmdfd_nb.data.audit.findings import GRAVE
from cmdfd_nb.cli import cmdfd_audit
from cmdfd_nb.data.audit.report import as_html, as_json, audit
from cmdfd_nb.data.audit.shortcuts import media_numbers
from cmdfd_nb.core import sample
from cmdfd_nb.data.layouts.files import video_row
from cmdfd_nb.data.index import index, unusable
from cmdfd_nb.data.manifest import read_manifest, typed, write_manifest


@pytest.fixture(scope='session')
def lists(official_lists, tmp_path_factory):
    "Their manifest, without any media."
    folder = tmp_path_factory.mktemp('lists')
    (folder/'media').mkdir()
    made = index('official-csv', folder/'media', lists=official_lists)
    assert not unusable(made)
    write_manifest(folder/'lists.parquet', made)
    return folder/'lists.parquet'


@pytest.fixture(scope='session')
def findings(lists): return audit(read_manifest(lists))


def of(findings, check, text=''): return next(f for f in findings if f.check == check and text in f.found)


def test_the_lists_are_read_as_they_are(lists):
    manifest = read_manifest(lists)
    table = manifest.rows
    assert table.groupby(['source', 'split']).size().to_dict() == {
        ('CMDFD', 'test'): 8792, ('FakeAVCeleb 1.0', 'test'): 4266, ('FakeAVCeleb 1.0', 'train'): 14987}
    cmdfd, fav = (table[table.source.str.startswith(s)] for s in ('CMDFD', 'Fake'))
    assert cmdfd.category.value_counts().to_dict() == dict(
        real=1000, A2H=1000, A2H_Self=1000, MIT=978, MIT_Self=978, VRT=918, VRT_Self=924, W2L=998, W2L_Self=996)
    counts = {c: (s['test'], s['train']) for c, s in fav.groupby(['category', 'split']).size().unstack().T.items()}
    assert counts == {'real': (99, 390), 'RVFA': (99, 360), 'FVRA-FS': (99, 450), 'FVRA-GAN': (440, 1884),
                      'FVRA-W2L': (1400, 3900), 'FVFA-FS': (528, 2256), 'FVFA-GAN': (601, 1847),
                      'FVFA-W2L': (1000, 3900)}
    missing = {p['file'] for p in manifest.problems if 'published loader' in p['message']}
    assert missing == {'My_test.csv', 'FAV_train.csv'}
    assert not [p for p in manifest.problems if 'says otherwise' in p['message']]


def test_files_that_are_trained_on_and_tested(findings):
    f = of(findings, 'files', 'also in train')
    assert f.grave == GRAVE and '784 of 4,266' in f.found
    assert f.table.files.to_dict() == {'FVRA-W2L': 400, 'FVFA-GAN': 197, 'FVFA-FS': 96, 'FVRA-FS': 80, 'RVFA': 10,
                                       'FVRA-GAN': 1}


def test_people_who_are_trained_on_and_tested(findings):
    f = of(findings, 'people', 'FakeAVCeleb')
    assert '180 of 187' in f.found and f.table.loc['seen in real videos'].tolist() == [0, 99]


def test_one_number_that_solves_the_benchmark(findings):
    found = of(findings, 'shortcuts').table['distance from the stated rate']
    for category, auc in dict(MIT=1., VRT=.988, W2L=.915, A2H=.577).items():
        assert found[f'CMDFD: {category}'] == pytest.approx(auc, abs=5e-4)
    for category in ('FVRA-W2L', 'FVFA-W2L', 'FVFA-FS', 'FVFA-GAN'): assert found[f'FakeAVCeleb 1.0: {category}'] > .999
    rates = of(findings, 'frame rate').table
    assert rates.index.tolist() == ['MIT', 'MIT_Self'] and 59 < rates.frames_per_second_of_sound['MIT'] < 60


def test_balance_negatives_and_short_videos(findings):
    assert '99 reals against 4,167 fakes' in of(findings, 'balance', 'Test of FakeAVCeleb').found
    assert '97.7%' in of(findings, 'balance', 'Test of FakeAVCeleb').follows
    shared = of(findings, 'negatives', 'CMDFD').found
    said = '8 types of forgery (7,792 fakes) are compared with the same 1,000 reals, which stand in all of 8 lists'
    assert said in shared
    assert of(findings, 'truncated').table.wrong.to_dict() == dict(VRT=25, VRT_Self=23)
    assert of(findings, 'truncated').found.startswith('48 of')
    assert 'My_test.csv' in of(findings, 'index').found


def test_every_finding_says_what_follows(findings):
    for f in findings: assert re.fullmatch(r'[A-Z0-9].*[.!?)]', f.found) and re.fullmatch(r'[A-Z].*[.]', f.follows), f


class Page(HTMLParser):
    "Whether tags open and close in order, and what text there is."
    def __init__(self): super().__init__(); self.open, self.text = [], ''
    def handle_starttag(self, tag, attrs): self.open += [tag] if tag != 'meta' else []
    def handle_endtag(self, tag): assert self.open.pop() == tag
    def handle_data(self, data): self.text += data


def test_page_and_json(findings):
    told = json.loads(as_json(findings, 'lists.parquet'))
    page = Page()
    source = as_html(findings, 'lists.parquet')
    page.feed(source)
    assert not page.open and 'script' not in source and 'http' not in source
    for f in told['findings']: assert f['found'] in page.text and f['follows'] in page.text


def made(n=40, seed=0, **of_fakes):
    "A manifest of n reals and n fakes without shortcuts; columns of fakes may be changed."
    rng, rows = np.random.default_rng(seed), []
    for k in range(2 * n):
        seconds = round(float(rng.uniform(2, 6)), 2)
        facts = dict(frames=round(25 * seconds), rate=25., audio_s=seconds, split='test', source='made', has_audio=True)
        if k >= n: facts |= {key: f(seconds) for key, f in of_fakes.items()}
        rows.append(video_row(f'{k}.mp4', 'real' if k < n else 'W2L', f'id{k}', sha256=f'{k:064}') | facts)
    return typed(pd.DataFrame(rows, dtype=object), 'nowhere')


def test_a_fair_set_passes(): assert max(f.grave for f in audit(made())) < GRAVE


@pytest.mark.parametrize('check, changes', [
    ('frame rate', dict(frames=lambda s: round(62.5 * s))), ('shortcuts', dict(audio_s=lambda s: s + .06)),
    ('sound', dict(has_audio=lambda s: False)),
    ('labels', dict(visual_label=lambda s: 0)), ('labels', dict(label=lambda s: 0))])
def test_one_fault_is_found(check, changes):
    assert check in {f.check for f in audit(made(**changes)) if f.grave == GRAVE}


def test_the_command_prints_json_and_writes_a_page(tmp_path, capsys):
    write_manifest(tmp_path/'m.parquet', made(frames=lambda s: round(62.5 * s)))
    assert cmdfd_audit(str(tmp_path/'m.parquet'), json=True, html=str(tmp_path/'audit.html')) == 1
    told = json.loads(capsys.readouterr().out)
    assert told['findings'][0]['grave'] == 'grave' and (tmp_path/'audit.html').read_text().endswith('</html>\n')


def test_another_manifest_with_the_same_people_or_files():
    one, other = made(), made(seed=1)
    # the hashes are the same
    assert {f.check for f in audit(one, other) if f.grave == GRAVE} == {'files', 'people'}
    rows = other.rows
    strangers = other.where(rows.assign(identity=rows.identity + 'x', sha256=rows.sha256.str.replace('0', 'f')))
    assert not [f for f in audit(one, strangers) if f.grave == GRAVE]


def test_names_cannot_break_the_page():
    fair = made()
    named = fair.where(fair.rows.assign(source='<script>alert(1)</script>', identity='"><img>'))
    page = as_html(audit(named), '</title>')
    assert '<script' not in page and '<img' not in page and html.escape('<script>') in page


def test_opened_files_of_the_sample_data():
    table = index('fakeavceleb', sample('fakeavceleb'))
    opened, errors = media_numbers(table, 1)
    assert not errors and opened['leading silence'].notna().sum() == 8
    assert (opened.resolution.dropna() == 224 * 224).all()
    gone = table.where(table.rows.assign(path=['absent.mp4', *table.rows.path[1:]]))
    assert [type(e).__name__ for e in media_numbers(gone, 9)[1]] == ['UnreadableMedia']
