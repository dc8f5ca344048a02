"The lessons with other parameters than their own: a small size, your own files. `nbdev_test` runs them as they are."
import json, shutil
from pathlib import Path

import papermill, pytest

from cmdfd_nb.core import sample
from cmdfd_nb.models.checkpoint import load_weights

TUTORIALS = Path(__file__).parents[1]/'nbs'/'tutorials'


@pytest.fixture
def lesson(tmp_path, monkeypatch):
    "Runs a lesson like `make demo` does, and gives what it leaves: texts, and kinds of pictures."
    monkeypatch.setenv('JUPYTER_PATH', '')
    def run(name, **parameters):
        done = papermill.execute_notebook(TUTORIALS/f'{name}.ipynb', tmp_path/f'{name}.ipynb', parameters,
                                          cwd=TUTORIALS, kernel_name='python3', progress_bar=False)
        outputs = [o for cell in done.cells for o in cell.get('outputs', [])]
        texts = [o.get('text', '') + o.get('data', {}).get('text/plain', '') for o in outputs]
        return '\n'.join(texts), [kind for o in outputs for kind in o.get('data', {}) if kind.startswith('image/')]
    return run


@pytest.mark.parametrize('path', sorted(TUTORIALS.glob('*.ipynb')), ids=lambda p: p.stem)
def test_lessons_have_parameters_and_the_name_of_a_lesson(path):
    cells = [c for c in json.loads(path.read_text('utf-8'))['cells'] if c['cell_type'] != 'raw']
    assert ''.join(cells[0]['source']).startswith('# ') and '\n> ' in ''.join(cells[0]['source'])
    assert sum('parameters' in c['metadata'].get('tags', ()) for c in cells) == 1


def test_a_small_detector_is_trained_at_a_smaller_size(lesson, tmp_path):
    size = dict(people=6, seconds=1.2, forgeries=['Audio2Head_Self'], epochs=2, workers=1)
    said, pictures = lesson('train_a_small_detector', **size, out=str(tmp_path/'kept'))
    assert 'domain: synthetic' in said and 'not valid for real media' in said and 'Scrubber(' in said
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
    said, pictures = lesson('scrub_a_video', video=str(sample('speaker.mp4')), at=20, out=str(tmp_path/'report.html'))
    assert 'frame 20, 0.80 s' in said and (tmp_path/'report.html').stat().st_size > 100_000
    assert pictures.count('image/jpeg') == 1
