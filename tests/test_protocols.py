"Whatever manifest comes in, what a protocol lets through keeps its promises."
import numpy as np
import pandas as pd
import pytest

from cmdfd_nb.data.protocols import FOLDS, LeaveOneOut, SWAP_SIBLINGS, everybody, with_validation
from cmdfd_nb.core import BadManifest
from cmdfd_nb.data.layouts.files import video_row
from cmdfd_nb.data.layouts.fakeavceleb import FAKEAVCELEB
from cmdfd_nb.data.manifest import typed


def fakeavceleb(seed, people=60, fakes=1200, split_by='people'):
    "A random manifest in which everybody may lend a face to everybody."
    rng, rows = np.random.default_rng(seed), []
    split_of = dict(enumerate(rng.choice(['train', 'train', 'val', 'test'], people)))
    kinds = [c for c in FAKEAVCELEB.values() if c != 'real']
    for i in range(people):
        rows.append(video_row(f'r{i}', 'real', f'id{i}', split=split_of[i], source='x', has_audio=True))
    for k in range(fakes):
        i, j = rng.integers(people, size=2)
        split = split_of[i] if split_by == 'people' else rng.choice(['train', 'val', 'test'])
        rows.append(video_row(f'f{k}', kinds[k % len(kinds)], f'id{i}', target=f'id{j}', split=split, source='x',
                              has_audio=True))
    return typed(pd.DataFrame(rows, dtype=object))


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('fold', FOLDS, ids=lambda fold: fold.held_out)
def test_nobody_is_on_two_sides_and_the_forgery_is_unseen(fold, seed):
    manifest = fakeavceleb(seed)
    tables = fold.tables(manifest)
    people = [everybody(t.rows) for t in (tables.train, tables.val, tables.test)]
    assert sum(map(len, people)) == len(set().union(*people))
    assert set(tables.test.rows.category) == {'real', fold.held_out}
    learned = {*tables.train.rows.category, *tables.val.rows.category}
    assert not {fold.held_out, SWAP_SIBLINGS.get(fold.held_out)} & learned
    rows = manifest.rows
    candidates = rows[rows.split.isin(['train', 'val']) & ~rows.category.isin(fold.unseen)]
    tested = rows[(rows.split == 'test') & rows.category.isin(['real', fold.held_out])]
    kept = sum(map(len, (tables.train, tables.val, tables.test)))
    assert kept + sum(tables.left_out.values()) == len(candidates) + len(tested)
    real = rows[rows.label == 0].split.value_counts()
    assert tables.counts().loc['real'].tolist() == [real[split] for split in ('train', 'val', 'test')]


def test_a_random_split_of_files_is_refused():
    with pytest.raises(BadManifest, match="left out: from train, for people.*people='as listed'"):
        LeaveOneOut('RVFA').tables(fakeavceleb(0, split_by='files'))


def test_validation_from_training_keeps_the_test_set():
    manifest = fakeavceleb(1)
    manifest.rows.loc[manifest.rows.split == 'val', 'split'] = 'train'
    made = with_validation(manifest, .2, seed=3).rows
    assert made.path[made.split == 'test'].equals(manifest.rows.path[manifest.rows.split == 'test'])
    assert not everybody(made[made.split == 'val']) & everybody(made[made.split == 'train'])
    assert made.split.equals(with_validation(manifest, .2, seed=3).rows.split)
