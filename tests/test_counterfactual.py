"The bench: what is computed, when, and what somebody sees of it, errors included."
from dataclasses import replace

import nbformat
import numpy as np
import pytest

from cmdfd_nb.media.clip import PreprocessConfig
from cmdfd_nb.media.write import write_wav
from cmdfd_nb.models.weights import seeded_weights
from cmdfd_nb.show import bench as bench_module
from cmdfd_nb.show import counterfactual, viewer, widgets
from cmdfd_nb.show.viewer import shown_picture
from cmdfd_nb.show.uncropped import footage_of
from cmdfd_nb.show.perturb import PERTURBATIONS, perturbed
from cmdfd_nb.show.counterfactual import Bench, both_views, plot_change, plot_sweep, sweep_figure
from cmdfd_nb.show.bench import BenchPanel, bench

from screen import film, number, settled
from test_lab import PATIENT

WEIGHTS = replace(seeded_weights('tiny'), preprocess=PreprocessConfig(faces='whole'))


def make_trial(folder, n=50):
    "A bench with numbered pictures and two other sounds, one of which is none."
    write_wav(folder/'other.wav', np.random.default_rng(0).normal(0, .1, 32_000))
    (folder/'damaged.wav').write_bytes(b'no sound' * 100)
    return bench(film(folder/'film.mp4', n), WEIGHTS)


@pytest.fixture
def trial(tmp_path): return make_trial(tmp_path, 40)   # 25 are left at the largest shift


@pytest.fixture(scope='module')
def shared(tmp_path_factory):
    "One such bench for tests that count nothing and change nothing."
    return make_trial(tmp_path_factory.mktemp('shared'))


@pytest.fixture
def live(monkeypatch):
    "Players are those of a live session; no other is there to show their stills."
    for module in (viewer, widgets): monkeypatch.setattr(module, 'attended', lambda: True)


def test_every_perturbation_can_be_chosen_and_swept(trial, live):
    panel = BenchPanel(trial)
    for name, known in PERTURBATIONS.items():
        panel.name.value = name
        assert 'done' in panel.status.value and known.says == panel.control.description
        if known.values: panel.control.index = len(known.choices) - 1
        else: panel.control.value = str(trial.sounds[-1])
        assert 'done' in panel.status.value and panel.views[1]['name'] != 'as it is'
        assert panel.value() == (known.choices[-1] if known.values else str(trial.sounds[-1]))


def test_nothing_is_scored_twice(trial, live, monkeypatch):
    scored, score_footage = [], counterfactual.score_footage
    monkeypatch.setattr(counterfactual, 'score_footage', lambda *args: scored.append(1) or score_footage(*args))
    panel = BenchPanel(trial)
    assert len(scored) == 2                                                  # before, and a shift of 5
    panel.control.index += 1
    panel.control.index -= 1
    assert len(scored) == 3
    panel.name.value = 'mute'                                                # begins at 0, which is the clip as it is
    panel.sweep()
    panel.sweep()
    assert len(scored) == 3 + 4


def test_errors_are_seen_and_the_last_picture_stays(trial, live, monkeypatch):
    panel = BenchPanel(trial)
    shown = panel.screen.children
    panel.name.value = 'swap'
    panel.control.value = str(trial.sounds[0].with_name('absent.wav'))
    assert 'absent.wav: there is no such file' in panel.status.value and 'done' not in panel.status.value
    # one of the two files is damaged: the other is drawn
    panel.sweep()
    assert 'damaged.wav' in panel.status.value and list(panel.figure.children[0].data[0].x) == ['as it is', 'other.wav']

    monkeypatch.setattr(bench_module, 'both_views', lambda *args: 1 / 0)
    shown, drawn = panel.screen.children, panel.figure.children
    panel.control.value = ''
    assert 'ZeroDivisionError' in panel.status.value and 'role="alert"' in panel.status.value
    assert (panel.screen.children, panel.figure.children) == (shown, drawn)
    monkeypatch.setattr(bench_module, 'both_views', both_views)
    panel.name.value = 'shift'
    assert 'done' in panel.status.value


@pytest.mark.parametrize('by', range(-15, 16, 5))
def test_both_playheads_stand_at_the_same_picture(shared, by):
    before, after = both_views(shared, 'shift', by)
    assert [before[key] for key in ('first', 'frames', 'jpegs')] == [after[key] for key in ('first', 'frames', 'jpegs')]
    assert before['first'] == max(by, 0) and before['frames'] == 50 - abs(by)
    old, new = (np.frombuffer(view['sound'], '<i2').reshape(-1, 640) for view in (before, after))
    ahead, behind = (new, old) if by < 0 else (old, new)
    np.testing.assert_array_equal(ahead[:len(ahead) - abs(by)], behind[abs(by):])
    for view in before, after:
        assert len(view['tracks'][0]['curves']['sync']) == view['frames']
        assert view['tracks'][0]['start'] == view['first']


def test_the_pictures_on_show_are_those_that_were_scored(shared):
    for name, value in dict(mask='mouth', blur=8, reencode=48, frame_rate=5, freeze=50).items():
        view, after = both_views(shared, name, value)[1], perturbed(shared.footage, name, value)
        for k in 0, 7, 33:
            assert np.abs(shown_picture(view, k).astype(float) - after.frames[k]).mean() < 12


def test_loud_noise_does_not_wrap_around_in_the_loudspeaker(shared):
    loud = np.frombuffer(both_views(shared, 'noise', -10)[1]['sound'], '<i2').astype(float)
    assert np.abs(perturbed(shared.footage, 'noise', -10).audio).max() > 1
    assert np.abs(loud / 2**15 - perturbed(shared.footage, 'noise', -10).audio.clip(-1, 1)).max() < 1e-4


def test_figures_without_teachers(tmp_path):
    trial = Bench(footage_of(film(tmp_path/'film.mp4', 50), WEIGHTS.preprocess), replace(WEIGHTS, lips=None))
    assert [ax.get_ylabel() for ax in trial.still().axes] == ['Sync', 'score']
    found = trial.sweep('freeze')
    assert found.curves == ['sync'] and not found.rows.sync.isna().any()
    sweep_figure(found), plot_sweep(found), plot_change(trial.before, trial.before)
    assert 'done' in BenchPanel(trial).status.value


def test_a_detector_without_sync_and_p_fake_per_frame(tmp_path):
    weights = replace(seeded_weights('tiny', kind='cont_alone'), preprocess=WEIGHTS.preprocess)
    trial = bench(film(tmp_path/'film.mp4', 50), weights, 'mask', 'mouth')
    assert [ax.get_ylabel() for ax in trial.still().axes] == ['Cont']
    panel = BenchPanel(trial)
    panel.sweep()
    assert [line.name for line in panel.figure.children[0].data] == ['score', 'Cont']
    assert list(panel.views[1]['tracks'][0]['curves']) == ['cont']


CELL = """from dataclasses import replace
from cmdfd_nb.media.clip import PreprocessConfig
from cmdfd_nb.show.bench import bench
from cmdfd_nb.models.weights import seeded_weights
bench('film.mp4', replace(seeded_weights('tiny'), preprocess=PreprocessConfig(faces='whole')))"""


def test_bench_in_jupyterlab(lab_page, lab):
    (lab.folder/'bench').mkdir()
    film(lab.folder/'bench'/'film.mp4', 100)
    kernel = dict(kernelspec=dict(name='python3', display_name='python3'))
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)], metadata=kernel),
                   lab.folder/'bench'/'bench.ipynb')
    page = lab_page()
    page.set_default_timeout(240_000)
    page.add_init_script(PATIENT)
    page.goto(lab.at('bench/bench.ipynb'))
    page.locator('.jp-Notebook .jp-Cell').first.wait_for()
    page.get_by_text('Python 3 (ipykernel) | Idle').wait_for()
    page.get_by_role('menuitem', name='Run', exact=True).click()
    page.locator('.lm-Menu-itemLabel').get_by_text('Run All Cells', exact=True).click()
    page.get_by_role('status').get_by_text('shift 5: done').wait_for()
    settled(page, 5, 0)
    # the first picture that still has sound, in both
    settled(page, 5, 1)

    page.get_by_role('slider', name='Frame').focus()
    for _ in range(20): page.keyboard.press('ArrowRight')
    settled(page, 25)
    page.wait_for_timeout(1000)
    page.locator('.noUi-handle').focus()
    page.keyboard.press('ArrowRight')
    page.get_by_role('status').get_by_text('shift 6: done').wait_for()
    settled(page, 25)                                                        # one stays where one was looking

    page.locator('.widget-dropdown select').select_option(label='freeze (picture)')
    page.get_by_role('status').get_by_text('freeze 0: done').wait_for()
    page.locator('.noUi-handle').focus()
    page.keyboard.press('End')
    page.get_by_role('status').get_by_text('freeze 100: done').wait_for()
    settled(page, 25, 0)
    settled(page, 0, 1)
    assert number(page, 1) == 0

    page.get_by_role('button', name='Sweep').click()
    page.locator('.js-plotly-plot .legendtext', has_text='Cont').first.wait_for()
    page.locator('.widget-dropdown select').select_option(label='swap (sound)')
    page.get_by_placeholder('path of a video').fill('absent.wav')
    page.keyboard.press('Enter')
    page.get_by_role('alert').get_by_text('absent.wav: there is no such file').wait_for()
    page.close()
