"Tables: seeds and differences where the truth is known, and numbers that name their source."
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cmdfd_nb.data.manifest import Manifest
from cmdfd_nb.judge.scores import Scores
from cmdfd_nb.learn.calibration import p_fake_of
from cmdfd_nb.data.protocols import CATEGORIES, TYPES
from cmdfd_nb.paper.datasets import table_one
from cmdfd_nb.paper.published import ABSENT, FIELDS, PUBLISHED, misprints
from cmdfd_nb.paper.folds import table_two
from cmdfd_nb.paper.tables import (MINIATURE, SharedResamples, home_numbers, over_seeds, paired_difference,
                                   shared_resamples, table_four, table_three)


def scores(rng, hard, apart, noise=.5):
    "Scores of a method on videos that are easy or hard for every method."
    labels = np.arange(len(hard)) % 2
    score = hard + noise * rng.normal(size=len(hard)) + apart * labels
    return Scores(pd.DataFrame(dict(path=[f'{i}.mp4' for i in range(len(hard))], label=labels,
                                    identity=[f'id{i // 4}' for i in range(len(hard))],
                                    category=np.where(labels, 'W2L', 'real'), p_fake=p_fake_of(score), threshold=.5,
                                    domain='real', source='CMDFD', weights='w')))


def test_the_spread_of_few_seeds_is_not_too_small():
    "With the videos fixed, the interval is that of a mean of S values: standard deviation s / sqrt(S)."
    rng = np.random.default_rng(0)
    runs = [scores(rng, rng.normal(size=400), apart) for apart in (.5, 1., 1.8)]
    fixed = SharedResamples({path: i for i, path in enumerate(runs[0].rows.path)}, np.ones((4000, 400)), 'clip', 0)
    _, many = over_seeds(runs, fixed)
    each = [over_seeds([run], replace(fixed, counts=fixed.counts[:1]))[0].loc[('W2L', 'auc')].item() for run in runs]
    assert many.loc[('W2L', 'auc')].std() == pytest.approx(np.std(each, ddof=1) / np.sqrt(3), rel=.05)
    assert many.loc[('W2L', 'auc')].mean() == pytest.approx(np.mean(each), abs=.005)


def test_methods_that_are_alike_are_rarely_found_to_differ():
    rng, p = np.random.default_rng(0), []
    for _ in range(80):
        hard = rng.normal(size=100)
        a, b = ([scores(rng, hard, 1.)] for _ in range(2))
        p.append(paired_difference(a, b, shared_resamples(a, 'clip', 200)).set_index('metric').p['auc'])
    assert np.mean(np.less(p, .05)) < .13 and np.mean(np.less(p, .5)) > .3


def test_pairing_sees_what_separate_intervals_do_not():
    rng = np.random.default_rng(0)
    hard = rng.normal(size=400)
    a, b = [scores(rng, hard, 1.4, .1)], [scores(rng, hard, 1., .1)]
    resamples = shared_resamples(a, 'clip', 400)
    ends = {name: np.quantile(over_seeds(runs, resamples)[1].loc[('W2L', 'auc')], [.025, .975])
            for name, runs in dict(a=a, b=b).items()}
    assert ends['a'][0] < ends['b'][1]                                             # they overlap
    assert paired_difference(a, b, resamples).set_index('metric').low['auc'] > 0   # and yet


def test_published_numbers_name_a_source_and_agree_with_each_other():
    assert all(len(p) == len(FIELDS) and p[-1] for p in PUBLISHED)
    w2l = {p[3]: p[4] for p in PUBLISHED if p[:3] == ('III', "authors' result file", 'W2L')}
    right, fakes, reals = dict(real=643, fake=996), 998, 1000                      # TN and TP of that file
    assert w2l['real_recall'] == right['real'] / reals
    assert w2l['fake_recall'] == pytest.approx(right['fake'] / fakes, abs=1e-6)
    assert w2l['accuracy'] == pytest.approx(sum(right.values()) / (fakes + reals), abs=1e-6)
    assert w2l['balanced_accuracy'] == pytest.approx((w2l['real_recall'] + w2l['fake_recall']) / 2, abs=1e-6)


def printed(table):
    "The AUCs of a table of the paper: row to column to value."
    rows = {}
    for of, row, column, metric, value, source in PUBLISHED:
        if of == table and metric == 'auc' and source.startswith('arXiv'): rows.setdefault(row, {})[column] = value
    return rows


def test_printed_means_are_those_of_the_printed_cells_but_one():
    "Recomputed here from the numbers alone; half a unit of the last digit in cells and half in the mean is rounding."
    nine = ('FAV', *TYPES)
    wrong = []
    for table, mean, columns, unit in (('II', 'AVG-FV', CATEGORIES[1:], 1e-3), ('III', 'AVG', nine, 1e-4),
                                       ('IV', 'AVG', nine, 1e-4)):
        for row, cells in printed(table).items():
            again = sum(cells[name] for name in columns) / len(columns)
            if abs(again - cells[mean]) > unit: wrong.append((table, row, mean, cells[mean], round(again, 4)))
    assert wrong == [('III', 'AVAD', 'AVG', .5493, .5447)]
    assert [(*number[:3], number[4], round(mean, 4)) for number, mean in misprints().items()] == wrong
    assert printed('IV')['paper'] == printed('III')['paper']
    assert {table: len(printed(table)) for table in ('II', 'III', 'IV')} == dict(II=9, III=3, IV=3)
    assert len({number[1] for number in PUBLISHED if number[0] == 'I' and number[5].startswith('arXiv')}) == 10


def test_the_mean_of_the_eight_types_is_not_the_printed_average():
    eight = {row: sum(cells[name] for name in TYPES) / 8 for table in ('III', 'IV')
             for row, cells in printed(table).items()}
    assert {row: round(100 * mean, 2) for row, mean in eight.items()} == {
        'AVAD': 49.98, 'JointAV': 56.31, 'paper': 85.52, 'w/o Cons&Dis': 68.26, 'w/o Cons': 84.63}


def of_types(run, types, prefix=''):
    "Deal the fakes of a run to some types."
    rows = run.rows.copy()
    fake = rows.label == 1
    rows.loc[fake, 'category'] = [types[i % len(types)] for i in range(fake.sum())]
    return run.where(rows.assign(path=prefix + rows.path))


def test_ours_and_theirs_stand_in_the_columns_of_the_paper():
    rng = np.random.default_rng(0)
    def run(types, prefix=''): return of_types(scores(rng, rng.normal(size=160), 1.), types, prefix)
    ours, home = dict(mine=[run(TYPES)]), dict(mine=[run(CATEGORIES, 'home/')])
    three = table_three(ours, n=20, home=home)
    assert list(three.cells) == ['numbers', 'method', 'metric', 'FAV', *TYPES, 'AVG', 'mean of 8']
    assert three.cells.numbers.tolist() == ['ours, 1 seed', *['published (a)'] * 3, 'published (b)']
    paper = three.cells.set_index('method').loc['paper']
    assert paper[['FAV', 'A2H_Self', 'AVG', 'mean of 8']].tolist() == ['0.989', '0.680', '0.870', '0.855']
    assert three.cells.set_index('method').AVG['AVAD'] == '0.549*'
    assert '* AVAD, AVG: printed so; the mean of the printed cells is 0.545.' in three.caption
    auc = three.numbers[three.numbers.metric == 'auc'].set_index('category').value
    assert auc['AVG'] == pytest.approx(np.mean([auc[name] for name in ('FAV', *TYPES)]))
    assert auc['mean'] == pytest.approx(np.mean([auc[name] for name in TYPES]))
    four, _ = table_four(ours | dict(other=ours['mine']), n=20)
    assert four.cells.method.tolist() == ['mine', 'other', 'w/o Cons&Dis', 'w/o Cons', 'paper']
    assert four.cells.FAV.tolist() == [ABSENT, ABSENT, '0.785', '0.982', '0.989']
    folds = {name: [of_types(scores(rng, rng.normal(size=80), 1.), [name])] for name in CATEGORIES}
    two = table_two(dict(mine=folds), ('auc',), n=20)
    assert list(two.cells)[3:] == [*CATEGORIES, 'AVG-FV', 'mean of 5'] and len(two.cells) == 1 + 9
    auc = two.numbers[two.numbers.metric == 'auc'].set_index('category').value
    assert auc['AVG-FV'] == pytest.approx(np.mean([auc[name] for name in CATEGORIES[1:]]))


def test_fav_is_measured_against_the_reals_of_its_own_data_set():
    rng = np.random.default_rng(0)
    types = dict(mine=[scores(rng, rng.normal(size=80) + 50, 0.)])            # these reals look more fake than any fake
    home = dict(mine=[of_types(scores(rng, np.zeros(80), 9.), CATEGORIES, 'home/')])
    fav = home_numbers(types, home, n=20).set_index(['category', 'metric']).loc[('FAV', 'auc')]
    assert fav.value == 1 and (fav.reals, fav.fakes) == (40, 40)


def test_a_table_says_what_it_is():
    rng = np.random.default_rng(0)
    runs = [scores(rng, rng.normal(size=80), 1.) for _ in range(2)]
    real = table_three(dict(ours=runs), ('auc',), ('W2L',), n=50)
    made = table_three(dict(ours=[run.where(run.rows.assign(domain='synthetic')) for run in runs]), ('auc',), ('W2L',),
                       n=50)
    assert made.caption[0] == MINIATURE and MINIATURE not in real.caption
    assert 'Ours: tested on CMDFD: 40 real and 40 fake videos of 20 people. Seeds: 2.' in real.caption
    assert 'Domain of our weights: real.' in real.caption
    lines = [line for line in real.to_markdown().splitlines() if line.startswith('|')]
    assert len({line.count('|') for line in lines}) == 1 and len(lines) == 2 + len(real.cells)
    assert real.cells.set_index('method').loc['paper', 'W2L'] == '0.968'
    more = PUBLISHED + (('III', 'paper', 'W2L', 'auc', .9, 'a page'),)
    table = table_three(dict(ours=runs), ('auc',), ('W2L',), more, n=50)
    assert table.cells.set_index('method').loc['paper', 'W2L'].tolist() == ['0.968', '0.900']   # a row per source
    assert '(c) a page.' in table.caption


def test_any_method_has_a_row():
    "The name is free, the number of seeds differs, and neither curves nor a source are needed."
    rng = np.random.default_rng(0)
    hard = rng.normal(size=80)
    ours = [scores(rng, hard, 1.) for _ in range(2)]
    mine = [run.where(run.rows.drop(columns=['source', 'domain'])) for run in [scores(rng, hard, 2.)]]
    table = table_three({'ours, full': ours, 'cont_alone': ours[:1], 'my | detector': mine}, ('auc', 'eer'), ('W2L',),
                        n=50)
    assert table.cells.method.tolist()[:6:2] == ['ours, full', 'cont_alone', 'my | detector']
    alone = table_three({'x': mine}, ('auc', 'eer'), ('W2L',), n=50).numbers
    together = table.numbers[table.numbers.row == 'my | detector'].assign(row='x')
    pd.testing.assert_frame_equal(together.reset_index(drop=True), alone)   # a row does not depend on the other rows


def test_data_sets_without_a_published_count_are_counted():
    rows = pd.DataFrame(dict(source='mine', label=[0, 1], method=['real', 'x'], identity=['a', 'b'], has_audio=True,
                             own_voice=pd.array([None, True], 'boolean')))
    table = table_one([Manifest(rows, '.')])
    row = table.numbers.iloc[0]
    assert row['data set'] == 'mine' and (row.real, row.fake, row['own voice']) == (1, 1, 1)
    assert table.cells.iloc[0].public == ABSENT and 'mine' not in set(table.cells['data set'][1:])
