"Metrics and intervals where the truth is known, and scoring of any detector that may be interrupted."
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cmdfd_nb.cli import cmdfd_evaluate
from cmdfd_nb.core import BadArgument, sample
from cmdfd_nb.data.clips import ClipTable, preprocess_all
from cmdfd_nb.data.index import index
from cmdfd_nb.judge import evaluate as evaluation
from cmdfd_nb.judge.evaluate import groups_of, score_clips, score_group
from cmdfd_nb.judge.metrics import METRICS, all_metrics, counts_by_score, threshold_metrics
from cmdfd_nb.judge.resampling import bootstrap_counts, evaluate
from cmdfd_nb.judge.scores import per_video, read_scores, write_scores
from cmdfd_nb.learn.calibration import p_fake_of
from cmdfd_nb.media.clip import Clip
from cmdfd_nb.media.preprocess import clip_path, save_clip
from cmdfd_nb.media.views import expected
from cmdfd_nb.models.correlation import CorrelationDetector
from cmdfd_nb.models.detectors import all_detectors, configure
from cmdfd_nb.models.weights import find_weights, seeded_weights, weights_of_kind
from cmdfd_nb.paper.tables import table_three

from forked import run_script


def people(rng, n=20, clips=6, spread=.7, apart=1.):
    "Scores of n people with real and fake clips; people differ by `spread`, of a total standard deviation of 1."
    label, who = np.tile([0, 1], n * clips // 2), np.repeat(np.arange(n), clips)
    score = apart * label + spread * rng.normal(size=n)[who] + np.sqrt(1 - spread**2) * rng.normal(size=n * clips)
    return pd.DataFrame(dict(label=label, category=np.where(label, 'W2L', 'real'), identity=[f'id{i}' for i in who],
                             score=score, p_fake=p_fake_of(score), threshold=.5, split='test',
                             path=[f'{i}.mp4' for i in range(n * clips)]))


# Metrics

@pytest.mark.parametrize('seed', range(5))
def test_metrics_of_a_resample_are_those_of_the_repeated_clips(seed):
    from sklearn.metrics import roc_auc_score   # which takes longer to import than the test does
    rng = np.random.default_rng(seed)
    p, labels = rng.integers(12, size=60) / 12, rng.integers(2, size=60)
    counts = rng.integers(3, size=(4, 60))
    found = all_metrics(p, labels, .4, counts)
    for column, times in zip(found.T, counts):
        again = all_metrics(p.repeat(times), labels.repeat(times), .4)
        assert np.allclose(column, again)
        assert np.isclose(again[0], roc_auc_score(labels.repeat(times), p.repeat(times)))


def test_auc_and_eer_depend_on_the_order_alone():
    rng = np.random.default_rng(1)
    p, labels = rng.uniform(size=500), rng.integers(2, size=500)
    assert np.allclose(all_metrics(p, labels, .5)[:3], all_metrics(p**3, labels, .5)[:3])
    auc, eer = all_metrics(p, labels, .5)[[0, 2]]
    assert np.allclose(all_metrics(1 - p, labels, .5)[[0, 2]], [1 - auc, 1 - eer], atol=.005)


# Intervals

def real_recall(p, labels, counts=None):
    "Share of the reals that pass at .5."
    return threshold_metrics(*counts_by_score(p, labels, counts), .5)[2]


def test_intervals_hold_the_truth_when_people_are_drawn_and_not_when_clips_are():
    rng, hits = np.random.default_rng(0), dict(identity=0, clip=0)
    p, y = people(rng, 4000)[['p_fake', 'label']].to_numpy().T
    truth = real_recall(p, y)
    assert truth == all_metrics(p, y, .5)[METRICS.index('real_recall')]
    for _ in range(200):
        table = people(rng)
        for unit in hits:
            recall = real_recall(table.p_fake, table.label, bootstrap_counts(table, unit, 200))
            hits[unit] += np.quantile(recall, .025) <= truth <= np.quantile(recall, .975)
    assert hits['identity'] > .87 * 200 and hits['clip'] < .85 * 200, hits


def test_categories_share_their_resamples():
    rng = np.random.default_rng(3)
    table = people(rng)
    table.loc[table.label == 1, 'category'] = np.where(np.arange((table.label == 1).sum()) % 2, 'A2H', 'W2L')
    found = evaluate(table, n=300)
    width = (found.high - found.low).set_axis(pd.MultiIndex.from_frame(found[['metric', 'category']]))['auc']
    assert width['mean'] < (width['A2H'] + width['W2L']) / 2
    assert found.equals(evaluate(table, n=300))
    assert not found.equals(evaluate(table, n=300, seed=1))


# Scoring

@pytest.fixture(scope='module')
def clips(tmp_path_factory):
    "Four sample videos as clips: two real, two forged."
    videos = index('cmdfd', sample('cmdfd'))
    some = videos.where(videos.rows.category.isin(['real', 'W2L', 'W2L_Self']))
    return preprocess_all(some, tmp_path_factory.mktemp('clips'))


@pytest.fixture(scope='module')
def whole(clips, tmp_path_factory):
    "Scores of all clips, each judged alone."
    return score_clips(clips, seeded_weights('tiny'), tmp_path_factory.mktemp('scores')/'whole.parquet', budget=1)


def same(a, b):
    columns = [c for c in a.rows if c != 'embedding']
    pd.testing.assert_frame_equal(a.rows[columns], b.rows[columns], rtol=1e-4, atol=1e-5)
    assert np.allclose(np.stack(a.rows.embedding), np.stack(b.rows.embedding), atol=1e-4)
    assert (a.curves, a.problems, a.warnings) == (b.curves, b.problems, b.warnings)


def test_a_run_that_was_stopped_goes_on_and_ends_the_same(clips, whole, tmp_path, monkeypatch):
    weights, scored = seeded_weights('tiny'), []

    def stops(weights, device, paths, **options):
        if len(scored) == 2: raise KeyboardInterrupt
        scored.append(paths)
        return score_group(weights, device, paths, **options)
    with monkeypatch.context() as m, pytest.raises(KeyboardInterrupt):
        m.setattr(evaluation, 'score_group', stops)
        score_clips(clips, weights, tmp_path/'halves.parquet', budget=60)
    assert len(read_scores(tmp_path/'halves.parquet')) == 2
    same(score_clips(clips, weights, tmp_path/'halves.parquet', budget=60), whole)


def test_worker_processes_and_batches_change_nothing(clips, whole, tmp_path):
    weights = seeded_weights('tiny')
    groups = groups_of(clips, weights, 120)
    assert len(groups) > 1 < max(map(len, groups))
    same(whole, score_clips(clips, weights, tmp_path/'two.parquet', budget=120, workers=2))


def test_a_network_that_runs_across_clips_gets_them_one_by_one(clips):
    weights = seeded_weights('tiny')
    assert max(map(len, groups_of(clips, weights, 500))) > 1
    across = replace(weights, detector=CorrelationDetector(configure('correlation', 'tiny', across_clips=True)))
    assert max(map(len, groups_of(clips, across, 500))) == 1


def test_a_detector_that_decides_by_cont_is_given_it(clips):
    weights = replace(seeded_weights('tiny'),
                      detector=CorrelationDetector(configure('correlation', 'tiny', evidence='band')))
    order = clips.rows.frames.to_numpy().argsort()
    pair = [clips.paths()[i] for i in order[[0, -1]]]
    together, alone = score_group(weights, 'cpu', pair)[0], [score_group(weights, 'cpu', [path])[0][0] for path in pair]
    assert np.allclose([row['score'] for row in together], [row['score'] for row in alone], atol=1e-5)


def test_per_video_of_one_track_each_changes_no_score(whole):
    videos = per_video(whole).rows.set_index('path').loc[whole.rows.path]
    assert np.allclose(videos.p_fake, whole.rows.p_fake) and np.allclose(videos.sync, whole.rows['sync'])


RANKING = sorted(kind for kind, cls in all_detectors().items() if cls.question == 'fake')


@pytest.mark.parametrize('kind', RANKING)
def test_every_detector_goes_from_clips_to_a_table(kind, clips, tmp_path):
    weights, rng = find_weights(weights_of_kind(kind)[-1]), np.random.default_rng(0)
    rows = clips.rows.assign(clip=[f'{i}.safetensors' for i in range(len(clips))], frames=25)
    for path in ClipTable(rows, tmp_path).paths():
        shapes = {name: expected(name, 25) for name in weights.views}
        views = {name: rng.integers(200, size=shape).astype(dtype) for name, (shape, dtype) in shapes.items()}
        save_clip(Clip(views, np.zeros((25, 4), 'float32'), 0, 0, 0, 'x.mp4', '', settings=weights.preprocess), path)
    scores = score_clips(ClipTable(rows, tmp_path), weights, tmp_path/'scores.parquet')
    assert not scores.problems, scores.problems
    assert len(scores) == len(rows) and set(scores.rows.detector) == {kind}
    kept = {*weights.detector.shows} - {'p_fake'}   # of each frame: not in a table of clips
    assert kept <= set(scores.curves) <= {*kept, 'gap'}
    videos = per_video(scores)
    assert set(evaluate(videos, None, n=5).metric) == set(METRICS)
    assert table_three({'any name': [videos]}, columns=('W2L', 'W2L_Self'), n=5).cells.method[0] == 'any name'


@pytest.mark.parametrize('weights', ['articulation', 'seeded:tiny:articulation'])
def test_what_asks_for_a_fit_ranks_no_fakes(weights, clips, tmp_path, capsys):
    out = tmp_path/'scores.parquet'
    with pytest.raises(BadArgument, match='higher for a yes.*cmdfd_score VIDEO --detector articulation'):
        score_clips(clips, find_weights(weights), out)
    assert cmdfd_evaluate(str(clips.root), weights=weights, out=str(out)) == 2
    shown = capsys.readouterr()
    assert 'higher for a yes' in shown.err and not shown.out and not list(tmp_path.iterdir())


# The command

def test_command(clips, whole, tmp_path, capsys):
    out = tmp_path/'scores.parquet'
    write_scores(out, whole.where(whole.rows.index > 0))      # one clip is left to score
    assert cmdfd_evaluate(clips.root, weights='seeded', out=str(out), split='all', json=True) == 0
    report = json.loads(capsys.readouterr().out)
    assert report['videos'] == len(clips) and {r['metric'] for r in report['rows']} == set(METRICS)
    same(read_scores(out), whole)
    assert cmdfd_evaluate(str(out), split='all') == 0
    shown = capsys.readouterr().out
    assert 'W2L_Self' in shown and 'untrained' in shown
    for source, options, said in ((clips.root, {}, 'no file for the scores'),
                                  (clips.root, dict(out=str(out), weights='absent'), 'absent: no such file'),
                                  (out, dict(split='val'), '--split val: there are no such rows'),
                                  (out, dict(resamples=0), 'a bootstrap interval needs at least 1')):
        assert cmdfd_evaluate(str(source), **options) == 2
        printed = capsys.readouterr()
        assert said in printed.err and not printed.out


def test_command_refuses_an_unknown_unit(tmp_path):
    script = tmp_path/'cmdfd_evaluate'                        # as pip installs it
    script.write_text('import sys\nfrom cmdfd_nb.cli import cmdfd_evaluate\n'
                      "if __name__ == '__main__': sys.exit(cmdfd_evaluate())\n")
    failed = run_script(script, 'scores.parquet', '--unit', 'frame')
    assert failed.returncode == 2 and 'invalid choice' in failed.stderr and not failed.stdout


def test_command_lists_clips_that_cannot_be_read(clips, whole, tmp_path, capsys):
    copy, out = tmp_path/'clips', tmp_path/'s.parquet'
    copy.mkdir()
    places = [clip_path(copy, file.name) for file in clips.paths()]
    for place, file in zip(places, clips.paths()):
        place.parent.mkdir(exist_ok=True)
        if place != places[0]: place.symlink_to(file)
    (copy/'clips.parquet').write_bytes((Path(clips.root)/'clips.parquet').read_bytes())
    broken = clips.rows['clip'][0]
    places[0].write_bytes(b'no clip')
    write_scores(out, whole.where(whole.rows['clip'].isin(clips.rows['clip'][2:])))
    assert cmdfd_evaluate(str(copy), weights='seeded', out=str(out), split='all') == 1
    shown = capsys.readouterr().out
    assert 'it is not a preprocessed clip' in shown and broken in shown
