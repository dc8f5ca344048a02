"Metrics and intervals where the truth is known, and scoring that may be interrupted."
import json, subprocess, sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from cmdfd_nb.judge import evaluate as evaluation
from cmdfd_nb.judge.scores import read_scores
from cmdfd_nb.learn.calibration import p_fake_of
from cmdfd_nb.core import sample
from cmdfd_nb.data.index import index
from cmdfd_nb.models.correlation import Detector, detector_config
from cmdfd_nb.judge.metrics import METRICS, measures
from cmdfd_nb.judge.resampling import evaluate, resamples
from cmdfd_nb.judge.scores import per_video
from cmdfd_nb.judge.evaluate import cmdfd_evaluate, groups_of, read_clip, score_batch, score_clips
from cmdfd_nb.data.clips import preprocess_all
from cmdfd_nb.models.weights import seeded_weights


def people(rng, n=20, clips=6, spread=.7, apart=1.):
    "Scores of n people with real and fake clips; people differ by `spread`, of a total standard deviation of 1."
    label, who = np.tile([0, 1], n * clips // 2), np.repeat(np.arange(n), clips)
    logit = apart * label + spread * rng.normal(size=n)[who] + np.sqrt(1 - spread**2) * rng.normal(size=n * clips)
    return pd.DataFrame(dict(label=label, category=np.where(label, 'W2L', 'real'), identity=[f'id{i}' for i in who], logit=logit,
                             p_fake=p_fake_of(logit), threshold=.5, split='test', path=[f'{i}.mp4' for i in range(n * clips)]))


# Measures

@pytest.mark.parametrize('seed', range(5))
def test_measures_of_a_resample_are_those_of_the_repeated_clips(seed):
    rng = np.random.default_rng(seed)
    p, labels = rng.integers(12, size=60) / 12, rng.integers(2, size=60)
    counts = rng.integers(3, size=(4, 60))
    found = measures(p, labels, .4, counts)
    for column, times in zip(found.T, counts):
        again = measures(p.repeat(times), labels.repeat(times), .4)
        assert np.allclose(column, again)
        assert np.isclose(again[0], metrics.roc_auc_score(labels.repeat(times), p.repeat(times)))


def test_auc_and_eer_depend_on_the_order_alone():
    rng = np.random.default_rng(1)
    p, labels = rng.uniform(size=500), rng.integers(2, size=500)
    assert np.allclose(measures(p, labels, .5)[:3], measures(p**3, labels, .5)[:3])
    auc, eer = measures(p, labels, .5)[[0, 2]]
    assert np.allclose(measures(1 - p, labels, .5)[[0, 2]], [1 - auc, 1 - eer], atol=.005)


# Intervals

def test_intervals_hold_the_truth_when_people_are_drawn_and_not_when_clips_are():
    rng, hits = np.random.default_rng(0), dict(identity=0, clip=0)
    p, y = people(rng, 4000)[['p_fake', 'label']].to_numpy().T
    truth = measures(p, y, .5)[METRICS.index('real_recall')]
    for _ in range(200):
        table = people(rng)
        for unit in hits:
            recall = measures(table.p_fake, table.label, .5, resamples(table, unit, 200))[METRICS.index('real_recall')]
            hits[unit] += np.quantile(recall, .025) <= truth <= np.quantile(recall, .975)
    assert hits['identity'] > .87 * 200 and hits['clip'] < .85 * 200, hits


def test_categories_share_their_resamples():
    rng = np.random.default_rng(3)
    table = people(rng)
    table.loc[table.label == 1, 'category'] = np.where(np.arange((table.label == 1).sum()) % 2, 'A2H', 'W2L')
    rows = evaluate(table, n=300).set_index(['metric', 'category'])
    width = (rows.high - rows.low)['auc']
    assert width['mean'] < (width['A2H'] + width['W2L']) / 2
    assert evaluate(table, n=300).equals(evaluate(table, n=300))
    assert not evaluate(table, n=300).equals(evaluate(table, n=300, seed=1))


# Scoring

@pytest.fixture(scope='module')
def clips(tmp_path_factory):
    "The samples as clips: (table, folder)."
    folder = tmp_path_factory.mktemp('clips')
    return preprocess_all(index('cmdfd', sample('cmdfd')), folder), folder


def same(a, b):
    columns = [c for c in a if c != 'embedding']
    pd.testing.assert_frame_equal(a[columns], b[columns], rtol=1e-4, atol=1e-5)
    assert np.allclose(np.stack(a.embedding), np.stack(b.embedding), atol=1e-4)


def test_a_run_that_was_stopped_goes_on_and_ends_the_same(clips, tmp_path, monkeypatch):
    table, folder = clips
    weights, scored = seeded_weights('tiny'), []
    whole = score_clips(table, folder, weights, tmp_path/'whole.parquet', budget=60)

    def stops(weights, device, paths):
        if len(scored) == 4: raise KeyboardInterrupt
        scored.append(paths)
        return group(weights, device, paths)
    group = evaluation.score_group
    with monkeypatch.context() as m, pytest.raises(KeyboardInterrupt):
        m.setattr(evaluation, 'score_group', stops)
        score_clips(table, folder, weights, tmp_path/'halves.parquet', budget=60)
    assert len(read_scores(tmp_path/'halves.parquet')) == 4
    same(score_clips(table, folder, weights, tmp_path/'halves.parquet', budget=60), whole)


def test_worker_processes_and_batches_change_nothing(clips, tmp_path):
    table, folder = clips
    weights = seeded_weights('tiny')
    one = score_clips(table, folder, weights, tmp_path/'one.parquet', budget=1)
    same(one, score_clips(table, folder, weights, tmp_path/'two.parquet', budget=200, workers=2))


def test_a_network_that_runs_across_clips_gets_them_one_by_one(clips):
    table, _ = clips
    weights = seeded_weights('tiny')
    assert max(map(len, groups_of(table, weights, 500))) > 1
    across = replace(weights, detector=Detector(detector_config('tiny', across_clips=True)))
    assert max(map(len, groups_of(table, across, 500))) == 1


def test_a_detector_that_decides_by_cont_is_given_it(clips):
    table, folder = clips
    weights = replace(seeded_weights('tiny'), detector=Detector(detector_config('tiny', evidence='band')))
    pair = [read_clip(folder/name, weights) for name in table.sort_values('frames')['clip'].iloc[[0, -1]]]
    together, alone = score_batch(pair, weights), [score_batch([c], weights)[0] for c in pair]
    assert np.allclose([s['logit'] for s in together], [s['logit'] for s in alone], atol=1e-5)


def test_per_video_of_one_track_each_changes_no_score(clips, tmp_path):
    scores = score_clips(*clips, seeded_weights('tiny'), tmp_path/'s.parquet')
    videos = per_video(scores).set_index('path').loc[scores.path]
    assert np.allclose(videos.p_fake, scores.p_fake) and np.allclose(videos.sync, scores['sync'])


# The command

COMMAND = Path(sys.executable).with_name('cmdfd_evaluate')


def command(*args, cwd=None):
    return subprocess.run([COMMAND, *map(str, args)], capture_output=True, text=True, cwd=cwd)


def test_command(clips, tmp_path, capsys):
    table, folder = clips
    out = tmp_path/'scores.parquet'
    done = command(folder, '--weights', 'seeded', '-o', out, '--split', 'all', '--json')
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report['videos'] == len(table) and {r['metric'] for r in report['rows']} == set(METRICS)
    shown = command(out, '--split', 'all')
    assert shown.returncode == 0 and 'W2L_Self' in shown.stdout and 'untrained' in shown.stdout
    for source, options, said in ((folder, {}, 'no file for the scores'), (folder, dict(out=str(out), weights='absent'), 'absent: no such file'),
                                 (out, dict(split='val'), 'none of')):
        assert cmdfd_evaluate(str(source), **options) == 2
        printed = capsys.readouterr()
        assert said in printed.err and not printed.out
    failed = command(out, '--unit', 'frame', cwd=tmp_path)
    assert failed.returncode == 2 and 'invalid choice' in failed.stderr and not failed.stdout


def test_command_lists_clips_that_cannot_be_read(clips, tmp_path):
    table, folder = clips
    copy = tmp_path/'clips'
    copy.mkdir()
    for file in folder.iterdir(): (copy/file.name).symlink_to(file)
    (copy/table['clip'][0]).unlink()
    (copy/table['clip'][0]).write_bytes(b'no clip')
    done = command(copy, '--weights', 'seeded', '-o', tmp_path/'s.parquet', '--split', 'all')
    assert done.returncode == 1 and 'it is not a preprocessed clip' in done.stdout and table['clip'][0] in done.stdout
