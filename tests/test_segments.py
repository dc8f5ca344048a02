"""Where, not only whether: localisation agrees with the public package on the same proposals."""
import json
from pathlib import Path

import numpy as np
import pytest

from cmdfd_nb import cli
from cmdfd_nb.core import SAMPLE_RATE, sample
from cmdfd_nb.data.manifest import read_manifest
from cmdfd_nb.judge.scores import read_scores
from cmdfd_nb.judge.segments import localisation, localisation_metrics
from cmdfd_nb.media.read import frames
from cmdfd_nb.media.sound import read_audio
from cmdfd_nb.world.part import frames_inside
from cmdfd_nb.world.shoot import load_truth, truth_path

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


def test_forged_in_part_the_rest_is_the_recording():
    "As files: outside its period a fake differs from its real clip by the noise of the codec only."
    root = sample('lavdf')
    real, sound, picture = (f'train/00000{k}.mp4' for k in range(3))
    truth = load_truth(truth_path(root, picture))
    (a, b), = truth.periods['visual_periods']
    recorded, forged = (np.stack(list(frames(root/name))).astype(int) for name in (real, picture))
    lips, inside = truth.landmarks[:, 48:], frames_inside((a, b), len(forged))
    (left, top), (right, bottom) = (edge((0, 1)).astype(int) for edge in (lips.min, lips.max))
    change = abs(forged - recorded)[:, top:bottom, left:right].mean((1, 2, 3))
    start, stop = inside.argmax(), len(inside) - inside[::-1].argmax()
    assert change[:start - 5].max() < .5 and change[inside].max() > 2 * change[stop + 3:].max()   # where noise goes on
    silent, heard = (read_audio(root/name) for name in (real, sound))
    apart, into = abs(silent - heard), slice(int(a * SAMPLE_RATE), int(b * SAMPLE_RATE))
    assert apart[into].max() > 10 * apart[:int((a - .1) * SAMPLE_RATE)].max()


@pytest.fixture(scope='module')
def located(tmp_path_factory):
    "The samples of LAV-DF's layout, indexed into CSV, preprocessed and evaluated by the commands."
    folder = tmp_path_factory.mktemp('located')
    cli.cmdfd_index('lavdf', str(sample('lavdf')), out=str(folder/'lavdf.csv'))
    cli.cmdfd_preprocess(str(folder/'lavdf.csv'), str(folder/'clips'), outside=True)
    how = str(folder/'clips'), 'seeded', str(folder/'scores.parquet'), 'all'
    assert cli.cmdfd_evaluate(*how, resamples=20) == 0
    return folder


def test_periods_travel_from_the_data_set_into_scores(located):
    listed = read_manifest(located/'lavdf.csv', outside=True).rows
    scores = read_scores(located/'scores.parquet').rows
    true = {row.path: row.fake_periods for row in listed.itertuples()}
    assert [true[path] for path in scores.path] == scores.fake_periods.tolist() and sum(map(len, true.values())) == 3
    assert scores.by_frame_p_fake.map(len).tolist() == scores.frames.tolist()


def test_evaluation_says_where(located, capsys):
    scores = str(located/'scores.parquet')   # the file alone
    assert cli.cmdfd_evaluate(scores, split='all', resamples=20, json=True) == 0
    report = json.loads(capsys.readouterr().out)
    found = {(row['curve'], row['metric']): row for row in report['segments']}
    assert {curve for curve, _ in found} == {'sync', 'cont', 'gap', 'p_fake'}
    of_frames = {'frame_auc', 'frame_auc_audio', 'frame_auc_visual'}
    of_segments = {'ap@0.5', 'ap@0.75', 'ap@0.95', 'ar@100', 'ar@50', 'ar@20', 'ar@10'}
    assert {metric for _, metric in found} == of_frames | of_segments
    assert all(0 <= row['value'] <= 1 and row['periods'] == 3 for row in found.values())
    assert all(row['low'] is None for row in found.values())   # two people are too few
    cli.cmdfd_evaluate(scores, split='all', resamples=20)
    assert '3 forged periods in 5 videos' in capsys.readouterr().out
