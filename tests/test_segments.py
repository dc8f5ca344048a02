"""Where, not only whether: localisation agrees with the public package on the same proposals."""
import json
from pathlib import Path

import numpy as np
import pytest

from cmdfd_nb.judge.segments import localisation, localisation_metrics

GOLDEN = json.loads((Path(__file__).parent/'parity'/'avdeepfake1m.json').read_text())
FIRST = (100, 50, 20, 10, 5, 1)


def metrics(case, counts=None, whole=False):
    found = [np.array(case['proposals'][file]) for file in GOLDEN['labels']]
    matched = localisation(found, list(GOLDEN['labels'].values()), (.5, .75, .9, .95), FIRST)
    return localisation_metrics(matched, counts, whole)


@pytest.mark.parametrize('case', GOLDEN['cases'], ids=lambda case: case['name'])
def test_ap_and_ar_of_the_public_package(case):
    found = metrics(case)
    assert found.keys() == case['metrics'].keys()
    for name, value in case['metrics'].items(): assert float(found[name]) == pytest.approx(value, abs=1e-6), name


def test_all_periods_found_reach_one_only_where_the_first_counts():
    exact = next(case for case in GOLDEN['cases'] if case['name'] == 'exact')
    n = sum(map(len, GOLDEN['labels'].values()))
    assert float(metrics(exact)['ap@0.95']) == pytest.approx(1 - 1 / n)
    assert float(metrics(exact, whole=True)['ap@0.95']) == pytest.approx(1)


def test_a_video_drawn_twice_is_a_video_listed_twice():
    labels, rng = list(GOLDEN['labels'].values()), np.random.default_rng(0)
    proposals = [np.array(GOLDEN['cases'][0]['proposals'][file]) for file in GOLDEN['labels']]
    for rows in proposals: rows[:, 0] = -np.sort(-rng.random(len(rows)))    # ties would be drawn in another order
    counts = rng.integers(0, 3, len(labels))
    twice = [k for k, n in enumerate(counts) for _ in range(n)]
    drawn = localisation_metrics(localisation(proposals, labels), counts[None])
    listed = localisation_metrics(localisation([proposals[k] for k in twice], [labels[k] for k in twice]))
    for name, value in listed.items(): assert float(drawn[name][0]) == pytest.approx(float(value)), name
