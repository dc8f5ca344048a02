"Lessons with other parameters than their own, e.g. a small size. `nbdev_test` runs the others as they are."
import json, os, shutil
from pathlib import Path

import pytest
from execnb.nbio import read_nb, write_nb
from execnb.shell import CaptureShell

from cmdfd_nb.core import sample
from cmdfd_nb.judge.scores import read_scores
from cmdfd_nb.show.style import FIT_COLOURS
from cmdfd_nb.models.checkpoint import load_weights, read_about
from forked import run_forked

TUTORIALS = Path(__file__).parents[1]/'nbs'/'tutorials'


def play(source, target, parameters):
    "Run the cells of a notebook in its folder, as `nbdev_test` does; save it with what they show."
    os.chdir(source.parent)
    notebook = read_nb(source)
    chosen, = (cell for cell in notebook.cells if 'parameters' in cell.metadata.get('tags', ()))
    chosen.source += ''.join(f'\n{name} = {value!r}' for name, value in parameters.items())
    CaptureShell(source.parent, mpl_format='png').run_all(notebook, exc_stop=True)
    write_nb(notebook, target)


def text_of(output):
    "Return what an output says in words."
    data = output.get('data', {})
    return ''.join(map(''.join, (output.get('text', ''), data.get('text/plain', ''), data.get('text/markdown', ''))))


@pytest.fixture
def lesson(tmp_path):
    "Run a lesson in a child of this process; return its printed texts and the types of its pictures."
    def run(name, **parameters):
        target = tmp_path/f'{name}.ipynb'
        done = run_forked(lambda: play(TUTORIALS/target.name, target, parameters))
        assert done.returncode == 0, done.stderr
        cells = json.loads(target.read_text('utf-8'))['cells']
        outputs = [output for cell in cells for output in cell.get('outputs', [])]
        pictures = [kind for output in outputs for kind in output.get('data', {}) if kind.startswith('image/')]
        return '\n'.join(map(text_of, outputs)), pictures
    return run


@pytest.mark.parametrize('path', sorted(TUTORIALS.glob('*.ipynb')), ids=lambda p: p.stem)
def test_lessons_have_parameters_and_the_name_of_a_lesson(path):
    cells = [c for c in json.loads(path.read_text('utf-8'))['cells'] if c['cell_type'] != 'raw']
    assert ''.join(cells[0]['source']).startswith('# ') and '\n> ' in ''.join(cells[0]['source'])
    assert sum('parameters' in c['metadata'].get('tags', ()) for c in cells) == 1


def test_a_small_detector_is_trained_at_a_smaller_size(lesson, tmp_path):
    size = dict(people=6, seconds=1.2, forgeries=['Audio2Head_Self'], epochs=2, workers=1)
    said, pictures = lesson('train_a_small_detector', **size, out=str(tmp_path/'kept'))
    assert 'domain: synthetic' in said and 'not valid for any other media' in said and 'Scrubber(' in said
    assert pictures.count('image/png') == 4 and pictures.count('image/jpeg') == 1
    kept = load_weights(tmp_path/'kept'/'run'/'best.safetensors')
    assert kept.domain == 'synthetic' and kept.provenance['config']['epochs'] == 2


def test_a_folder_without_labels_is_scored(lesson, tmp_path):
    (tmp_path/'films').mkdir()
    shutil.copy(sample('cmdfd/origin/id00000_dDhrmb6gdji.mp4'), tmp_path/'films'/'a film.mp4')
    (tmp_path/'films'/'list.mp4').write_text('no video')
    said, _ = lesson('your_own_videos', folder=str(tmp_path/'films'), out=str(tmp_path/'kept'))
    assert 'a film.mp4' in said and 'list.mp4' in said and 'UnreadableMedia' in said
    assert (tmp_path/'kept'/'scores.csv').exists() and not (tmp_path/'kept'/'clips').exists()


def test_a_video_of_ones_own_is_scrubbed(lesson, tmp_path):
    other = str(sample('cmdfd/wav2lip_Self/id00000-id00000.mp4'))   # beside it, a clip of somebody else
    given = dict(video=str(sample('speaker.mp4')), other=other, at=20, out=str(tmp_path/'report.html'))
    said, pictures = lesson('scrub_a_video', **given)
    assert 'frame 20, 0.80 s' in said and (tmp_path/'report.html').stat().st_size > 100_000
    assert pictures.count('image/jpeg') == 2   # the viewer, and the viewer of both


def test_a_first_real_video(lesson, real_clips, landmark_model, recogniser):
    said, pictures = lesson('your_first_real_video', video=str(real_clips['vox_a']), other=str(real_clips['vox_b']),
                            shifts=[0, 10])
    for text in ('Does this sound belong to this mouth?', 'vox_a.mp4, face 0:', 'of vox_b.mp4'):
        assert text in said
    assert any(answer in said.partition('vox_a.mp4, face 0:')[2][:40] for answer in FIT_COLOURS)
    assert pictures.count('image/png') == 2 and pictures.count('image/jpeg') == 1


def test_a_detector_written_in_a_lesson_is_treated_like_any_other(lesson, tmp_path):
    size = dict(people=6, strangers=2, seconds=1.2, epochs=2, workers=1)
    said, pictures = lesson('your_own_detector', **size, out=str(tmp_path))
    assert [name in said
            for name in ('| loud_mouth | auc |', '| cont_alone | auc |', '| correlation | auc |')] == [True] * 3
    assert pictures == ['image/png', 'image/jpeg']
    weights = read_about(tmp_path/'loud_mouth'/'best.safetensors')
    assert weights['kind'] == 'loud_mouth' and weights['domain'] == 'synthetic'
    record = json.loads((tmp_path/'score.json').read_text())['tracks'][0]
    # no frame logits: no p_fake
    assert record['detector'] == 'loud_mouth' and set(record['curves']) == {'loudness', 'motion'}
    scores = read_scores(tmp_path/'loud_mouth.parquet')
    assert scores.curves == ('loudness', 'motion') and set(scores.rows.detector) == {'loud_mouth'}
    page = (tmp_path/'report.html').read_text('utf-8')
    assert 'mean loudness' in page and 'Change of the mouth since the last frame' in page
    assert '<dt>Sync</dt>' not in page


def test_the_class_of_the_lesson_is_short():
    "Under 40 lines from the imports to the verdict, blank ones included."
    cells = [''.join(c['source'])
             for c in json.loads((TUTORIALS/'your_own_detector.ipynb').read_text('utf-8'))['cells']]
    cell, = (source for source in cells if '@register' in source and 'return Verdict(' in source)
    written = cell.partition('\n\nregister_curve(')[2].partition('return Verdict(')[0]
    assert 10 < len(written.splitlines()) < 40
