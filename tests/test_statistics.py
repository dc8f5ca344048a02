"Statistics of an experiment on data whose truth is known: errors where nothing differs, power where something does."
import numpy as np
import pandas as pd
import pytest

from cmdfd_nb.judge.resampling import bootstrap_counts, resampling_unit
from cmdfd_nb.judge.scores import Scores
from cmdfd_nb.judge.testing import degrees_of_freedom, holm, student_p
from cmdfd_nb.paper.questions import Question, corrected
from cmdfd_nb.paper.tables import paired_difference, shared_resamples

TYPES = 'W2L', 'A2H'
QUESTION = Question('Is a better than b?', 'a', 'b')


def cast(people):
    "Videos of people in pairs who lend each other everything: a real one, and a fake of each type."
    rows = [dict(path=f'{kind}/{i}', identity=f'id{i:04}', target=None if kind == 'real' else f'id{i ^ 1:04}',
                 category=kind, label=int(kind != 'real')) for i in range(people) for kind in ('real', *TYPES)]
    return pd.DataFrame(rows).assign(threshold=.5)


def experiment(rng, people=60, seeds=3, a=1., b=1., own=.7, spread=.1):
    "Scores of two methods from several seeds; methods, people and pairs differ in what is hard for them."
    rows, person = cast(people), np.arange(people).repeat(1 + len(TYPES))
    hard = rng.normal(size=len(rows)) + rng.normal(size=people // 2)[person // 2]
    def runs(apart):
        odd = own * (rng.normal(size=people // 2)[person // 2] + rng.normal(size=len(rows))) * rows.label
        for _ in range(seeds):
            better = apart + spread * rng.normal()
            score = hard + odd + .3 * rng.normal(size=len(rows)) + better * rows.label
            yield Scores(rows.assign(p_fake=1 / (1 + np.exp(-score))))
    return list(runs(a)), list(runs(b))


def found_in(rng, resamples=100, **how):
    "Test the difference of the mean and, as a family, of each type; return both kinds of row."
    a, b = experiment(rng, **how)
    rows = paired_difference(a, b, shared_resamples(a, n=resamples), ('auc',)).assign(row='a − b')
    rows = corrected(rows[rows.category != 'all'], QUESTION)
    return rows[rows.role == 'primary'].iloc[0], rows[rows.role == 'corrected']


def simulated(rng, n=1000, groups=65, seeds=5, own=1., spread=1., there=0.):
    "p of n experiments: a difference of each group and seed, of which seeds bring the share that `spread` gives."
    gaps = there + own * rng.normal(size=(n, 1, groups)) + spread * rng.normal(size=(n, seeds, 1))
    gaps = gaps + rng.normal(size=(n, seeds, groups))
    of_groups = rng.multinomial(groups, np.full(groups, 1 / groups), 200) / groups
    of_seeds = rng.multinomial(seeds - 1, np.full(seeds, 1 / seeds), 200) / (seeds - 1)   # as `tables.over_seeds` draws
    sd = np.stack([np.einsum('sg,bs,bg->b', one, of_seeds, of_groups).std(ddof=1) for one in gaps])
    value, seeds_bring = gaps.mean((1, 2)), gaps.mean(2).var(1, ddof=1) / seeds
    return student_p(value, sd, degrees_of_freedom(sd ** 2, seeds_bring, groups, seeds)), value / sd


@pytest.mark.parametrize('own, spread', [(3., 0.), (1., .3), (.3, 1.)])
def test_the_primary_test_errs_in_one_of_twenty(own, spread):
    p, z = simulated(np.random.default_rng(0), own=own, spread=spread)
    assert .025 < np.mean(p < .05) < .075, np.mean(p < .05)
    if spread > own: assert np.mean(abs(z) > 1.96) > .08   # percentiles of the normal would not do


def test_holm_keeps_a_family_of_tests_that_hang_together():
    rng = np.random.default_rng(1)
    shared = rng.normal(size=(2000, 1))
    z = .7 * shared + .51 ** .5 * rng.normal(size=(2000, 44))
    errors = [(holm(row) < .05).any() for row in student_p(z, np.ones_like(z), 1e6)]
    assert .01 < np.mean(errors) < .06


def test_nothing_is_found_in_a_table_where_nothing_differs():
    rng = np.random.default_rng(0)
    found = [found_in(rng) for _ in range(25)]
    assert sum(one.p < .05 for one, _ in found) <= 5            # .05 expected; 6 or more come once in 1,000
    assert sum((rest.p < .05).any() for _, rest in found) <= 5
    for one, rest in found:
        for row in (one, *rest.itertuples()): assert (row.low > 0 or row.high < 0) == (row.p < .05)


def test_130_people_and_five_seeds_see_a_difference_of_5_points():
    rng = np.random.default_rng(2)
    found = [found_in(rng, a=1.3, own=.4, spread=.05, people=130, seeds=5)[0] for _ in range(8)]
    assert .03 < np.mean([one.value for one in found]) < .08
    assert sum(one.p < .05 for one in found) >= 5 and all(one.df > 4 for one in found)


def test_pairs_are_drawn_together():
    rows = cast(40)
    assert resampling_unit(rows) == 'group'
    counts = bootstrap_counts(rows, n=20).reshape(20, 20, -1)
    assert (counts == counts[:, :, :1]).all() and (counts.sum((1, 2)) == len(rows)).all()


def test_groups_hold_the_truth_where_people_do_not():
    "The mean of what both of a pair share has the spread of 30 groups, not of 60 people."
    rng, hits = np.random.default_rng(3), dict(group=0, identity=0)
    rows = cast(60)
    for _ in range(150):
        shared = rng.normal(size=30).repeat(2 * (1 + len(TYPES)))
        for unit in hits:
            counts = bootstrap_counts(rows, unit, 200)
            low, high = np.quantile(counts @ shared / counts.sum(1), [.025, .975])
            hits[unit] += low <= 0 <= high
    assert hits['group'] > .88 * 150 > hits['identity'], hits
