"What is shown of a sound that was asked to fit a mouth: drawn mouths, phones, pairs of curves, moments that fit worst."
import json

import matplotlib.pyplot as plt
import numpy as np
import pytest

from cmdfd_nb.show.fit import fit_wording, worst_moments
from cmdfd_nb.show.mouths import mouth_shape
from cmdfd_nb.show.plots import plot_curves
from cmdfd_nb.show.records import score_table
from cmdfd_nb.show.report import PAGE_ON_LIMITS, page, write_report
from cmdfd_nb.show.viewer import still
from cmdfd_nb.show.views import view
from screen import Opened, bare, film, made_up, made_up_fit, position, settled

NUMBERS = [(0, 0, 0), (1, 1, 1), (.9, .5, .1), (.3, .1, 1), (-1, 2, .4)]


@pytest.fixture(scope='module')
def clip(tmp_path_factory): return film(tmp_path_factory.mktemp('fit')/'film.mp4', 100)


@pytest.fixture(scope='module')
def result(clip): return made_up_fit(clip, 100)


# The two drawings are one

def test_the_browser_draws_the_mouth_that_python_draws(browser, result, tmp_path):
    path = bare(tmp_path/'page.html', [view(result)])
    path.write_text(path.read_text().replace('export default { render };', 'window.mouthShape = mouthShape;'))
    with Opened(browser, path) as shown:
        drawn = shown.evaluate('all => all.map(numbers => mouthShape(numbers))', NUMBERS)
    for numbers, lines in zip(NUMBERS, drawn):
        shape = mouth_shape(*numbers)
        for name in ('outer', 'inner'): assert np.allclose(lines[name], getattr(shape, name), atol=1e-9)


# What a view carries

def test_a_view_has_phones_and_moments(result):
    face, = view(result, (1, 4))['tracks']
    assert (face['verdict'], face['number'], face['p_fake']) == ('fits, sound 0.08 s late', 'fit', .42)
    assert [50, 75] in face['flagged'] and face['start'] == 25 and 'gap' not in face['curves']
    assert all(symbol != 'SIL' and end > 1 for symbol, _, end in face['phones'])
    assert [band['title'] for band in view(result)['bands']][:4] == ['Sync, Cont', 'opening', 'width', 'roundness']


def test_other_records_carry_nothing_of_it(clip):
    for face in view(made_up(clip, 100))['tracks']: assert not {'phones', 'answer'} & set(face)


def test_moments_have_speech_in_them(clip):
    silent = made_up_fit(clip, 100)
    silent.tracks[0].phones = [['SIL', 0., 4.]]
    assert worst_moments(silent.tracks[0]) == []
    assert [50, 75] in worst_moments(made_up_fit(clip, 100).tracks[0])


# In a browser

@pytest.mark.parametrize('theme', ['light', 'dark'])
def test_phones_mouths_and_moments_are_shown_and_spoken(browser, result, tmp_path, theme):
    with Opened(browser, bare(tmp_path/'page.html', [view(result)]), color_scheme=theme) as shown:
        slider, mouths = shown.get_by_role('slider'), shown.locator('.mouths canvas')
        assert shown.locator('.clip .score').inner_text() == 'fits, sound 0.08 s late, fit 0.42'
        assert not slider.get_attribute('aria-valuetext').endswith('heard M')          # silence comes first
        for _ in range(6): slider.press('ArrowRight')
        settled(shown, 6)
        assert slider.get_attribute('aria-valuetext').endswith(', heard M')
        drawn, plotted = (node.get_attribute('aria-label') for node in (mouths, shown.locator('.curves canvas').first))
        assert drawn.startswith('Mouth expected opening 0.') and 'seen opening 0.' in drawn
        assert 'sound and mouth fit worst from 2.00 to 3.00 s' in plotted
        ink, lips = shown.evaluate("""() => {
          const c = document.querySelector('.mouths canvas'), p = c.getContext('2d');
          const d = p.getImageData(0, 0, c.width, c.height).data; let ink = 0, lips = 0;
          for (let k = 0; k < d.length; k += 4) { if (d[k + 3] > 200) { ink++; if (d[k] > d[k + 1] + 40) lips++; } }
          return [ink, lips]; }""")
        assert ink > 1000 and lips > 500
        shown.get_by_role('button', name='Go to 2.00 s').click()
        settled(shown, 62)
        assert position(shown) == 62
        shown.keyboard.press('ArrowRight')                     # the keys still move the frame
        settled(shown, 63)


def test_all_of_it_fits_on_a_screen(browser, result, tmp_path):
    with Opened(browser, bare(tmp_path/'page.html', [view(result)]), viewport=dict(width=1280, height=800)) as shown:
        root, mouths, values = (shown.locator(f'.cmdfd{part}') for part in ('', ' .mouths canvas', ' .mouths .values'))
        assert root.bounding_box()['height'] <= 700
        assert mouths.bounding_box()['height'] >= 80 and 'Roundness expected' in values.inner_text()
        loudness = values.locator('span', has_text='Loudness')    # a number without a curve
        assert loudness.count() == 1 and not loudness.locator('.sample').count()


def test_a_viewer_without_it_is_as_it_was(browser, clip, tmp_path):
    with Opened(browser, bare(tmp_path/'page.html', [view(made_up(clip, 100))])) as shown:
        assert not shown.locator('.mouths').is_visible() and shown.locator('.characters').is_visible()
        assert 'heard' not in shown.get_by_role('slider').get_attribute('aria-valuetext')


def test_two_clips_side_by_side(browser, result, clip, tmp_path):
    views = [view(result), view(made_up_fit(clip, 100, 'does not fit', .4))]
    with Opened(browser, bare(tmp_path/'page.html', views)) as shown:
        shown.locator('figcaption button', has_text='B').click()
        assert 'in B' in shown.locator('.mouths figcaption').inner_text()
        assert shown.locator('.clip .score').all_inner_texts()[1].startswith('does not fit, sound 0.40 s late')


# On paper

ANSWERS = [('fits', .08, None, 'fits, sound 0.08 s late'),
           ('does not fit', -.2, None, 'does not fit, sound 0.20 s early'),
           ('cannot tell', None, 'little speech', 'cannot tell: little speech')]


@pytest.mark.parametrize('answer, lag_s, why, said', ANSWERS)
def test_the_answer_with_lag_and_reason(clip, tmp_path, answer, lag_s, why, said):
    result = made_up_fit(clip, 100, answer, lag_s, why)
    record = json.loads(json.dumps(result.to_dict()))
    assert said in score_table([record]) and score_table([record]).split()[5] == 'fit'
    figure = plot_curves(result.tracks[0])
    title = figure.axes[0]._right_title
    assert title.get_text() == said and title.get_color() not in ('#009E73', '#D55E00')
    picture = still([view(result)])
    assert picture.axes[0].get_title().startswith(said) and len(picture.axes[0].child_axes) == 2
    plt.close('all')
    report = page(result)
    assert f'>{said.capitalize()}<' in report and f'href="{PAGE_ON_LIMITS}"' in report
    assert 'class="verdict fake"' not in report and 'class="verdict real"' not in report


def test_the_report_asks_the_question_and_says_what_a_fit_is_worth(browser, result, tmp_path):
    with Opened(browser, write_report(tmp_path/'report.html', result)) as shown:
        said = shown.locator('main').inner_text()
        assert 'Does this sound belong to this mouth?' in said and 'no proof of reality' in said
        assert fit_wording() in said and 'calibrat' not in said
