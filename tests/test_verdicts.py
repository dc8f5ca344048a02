"No word about a person: weights of the procedural world are asked about a real clip on every surface of the kit."
import html, json, re
from dataclasses import replace

import matplotlib.pyplot as plt
import pytest
from matplotlib.text import Text

from cmdfd_nb.cli import cmdfd_report, cmdfd_score
from cmdfd_nb.core import sample
from cmdfd_nb.data.origin import SAMPLE_LIST, is_procedural, list_samples
from cmdfd_nb.judge.many import score_many
from cmdfd_nb.judge.score import WORDS, score_video
from cmdfd_nb.models.checkpoint import load_weights, save_weights
from cmdfd_nb.models.fits import ANSWERS
from cmdfd_nb.models.weights import find_weights
from cmdfd_nb.show.bench import bench
from cmdfd_nb.show.counterfactual import before_and_after, both_views, sweep_figure
from cmdfd_nb.judge.choose import FIT_DETECTOR, score_chosen
from cmdfd_nb.show.fit import fit_wording
from cmdfd_nb.show.distributions import distribution_figure
from cmdfd_nb.show.maps import explore_embedding
from cmdfd_nb.show.overview import overview
from cmdfd_nb.show.plots import plot_curves
from cmdfd_nb.show.records import save_record, score_table, track_of
from cmdfd_nb.show.report import page, write_report
from cmdfd_nb.show.sparklines import batch_table, orders
from cmdfd_nb.show.viewer import still
from cmdfd_nb.show.views import view
from screen import Opened, bare, made_up_fit

WORD = re.compile(r'\b(real|fake)\b', re.I)   # not in Deepfake, nor in p_fake, which stands for a probability only
GRAY = '#808890'


def texts(figure):
    "All text of a figure."
    found = [text.get_text() for text in figure.findobj(Text)]
    plt.close(figure)
    return found


def strings(data):
    "All text in plain data."
    if isinstance(data, dict): return [*strings(list(data)), *strings(list(data.values()))]
    if isinstance(data, (list, tuple)): return [text for item in data for text in strings(item)]
    return [data] if isinstance(data, str) else []


def visible(page):
    "The text of a page that a reader may see, and its title: not what scripts and styles hold."
    bare = re.sub(r'<(script|style)\b.*?</\1>', ' ', page, flags=re.S)
    said = re.findall(r'(?:alt|aria-label|title)="([^"]*)"', bare)
    return html.unescape(' '.join([re.sub(r'<[^>]+>', ' ', bare), *said]))


def proven(weights):
    "Weights that have all that the strongest words need, but for the domain."
    return replace(weights, bands=(.001, .002, .003, .004), calibrated=True)   # nearly everything is likely fake


@pytest.fixture(scope='module', params=['shipped', 'proven'])
def weights(request):
    return find_weights() if request.param == 'shipped' else proven(find_weights())


@pytest.fixture(scope='module')
def person(real_clips): return real_clips['vox_a']


@pytest.fixture(scope='module')
def result(weights, person): return score_video(person, weights)


def surfaces(result, tmp_path):
    "What a reader sees of a result: name of the surface to its texts."
    record = json.loads(json.dumps(result.to_dict()))
    save_record(record, tmp_path, 'saved')
    seen = overview([result])
    shown = view(result)
    figures = dict(map=explore_embedding(seen.map_points(), seen.table), spread=distribution_figure(seen.scores))
    return dict(
        table=[score_table([record])], json=strings(json.loads((tmp_path/'saved.json').read_text())),
        curves=texts(plot_curves(track_of(record['tracks'][0]), 'a face', ' '.join(record['warnings']))),
        view=[text for text in strings(shown) if text not in shown['symbols']], still=texts(still([shown])),
        report=[visible(page(result))], overview=[visible(batch_table(seen)), *orders(seen.scores), *seen.notes],
        stills=[text for figure in seen.stills() for text in texts(figure)],
        **{name: strings(figure.to_dict()) for name, figure in figures.items()})


def test_no_word_about_a_person(result, tmp_path):
    assert result.weights['domain'] == 'synthetic' and result.tracks
    for track in result.to_dict()['tracks']:
        assert (track['label'], track['answer'], track['threshold'], track['calibrated']) == (None, None, None, False)
        assert track['why_no_label'] == 'demonstration weights'
    for name, found in surfaces(result, tmp_path).items():
        assert found and not [text for text in found if WORD.search(text)], name
        if name in ('table', 'still', 'report', 'overview', 'curves', 'view'):
            assert any('no verdict: demonstration weights' in text.lower() for text in found), name


def test_the_answer_is_gray(result):
    assert "class=\"verdict no\"" in page(result)
    seen = overview([result])
    assert f'color: {GRAY}">●</span> no verdict' in batch_table(seen)
    figure = plot_curves(result.tracks[0])
    assert figure.axes[0]._right_title.get_color() == GRAY
    plt.close(figure)


def test_no_word_on_the_bench(weights, person, tmp_path):
    with_person = bench(person, weights, 'mask', 'mouth', span=(0, 2))
    before, after = with_person.before, with_person.score('mask', 'mouth')
    assert not with_person.footage.procedural and {before.answer, after.answer} == {None}
    sweep = with_person.sweep('mask')
    said = [*texts(with_person.still()), before_and_after(before, after).to_html()]
    said += strings(sweep_figure(sweep).to_dict())
    views = both_views(with_person, 'mask', 'mouth')
    said += [text for one in views for text in strings(one) if text not in one['symbols']]
    assert not [text for text in said if WORD.search(text)]
    dubbed = bench(sample('speaker.mp4'), weights, 'swap', str(person), span=(0, 2))
    assert dubbed.before.answer in WORDS                                          # a computed person
    assert dubbed.score('swap', str(person)).answer is None                      # with the voice of another


def test_no_word_in_a_browser(browser, result, tmp_path):
    "What the viewer makes of a view, and the report as it is seen and heard."
    spoken = """() => [document.title, document.body.innerText,
        ...Array.from(document.querySelectorAll('[aria-label], [title]'), node => `${node.ariaLabel} ${node.title}`),
        document.querySelector('input[type=range]').ariaValueText].join(' ')"""
    for path in (bare(tmp_path/'viewer.html', [view(result)]), write_report(tmp_path/'report.html', result)):
        with Opened(browser, path) as shown:
            said = shown.evaluate(spoken)
            assert 'no verdict: demonstration weights, score 0.' in said and not WORD.search(said)


# Whether a sound belongs to a mouth is no question about who or what made them

@pytest.fixture(scope='module', params=['fits', 'does not fit', 'cannot tell', 'asked'])
def fit(request, person):
    "A made-up result with each of the answers, and that of the detector."
    if request.param != 'asked': return made_up_fit(person, 150, request.param, why='little speech')
    for needed in ('landmark_model', 'recogniser'): request.getfixturevalue(needed)
    return score_chosen(person)


def unsaid(text):
    "A text without the fixed paragraph that names what was measured."
    return re.sub(r'\s+', ' ', text).replace(fit_wording(), '')


def test_no_word_about_a_person_whose_sound_fits(fit, tmp_path):
    track, = fit.to_dict()['tracks']
    assert (track['label'], track['p_fake'], track['detector']) == (None, None, FIT_DETECTOR)
    for name, found in surfaces(fit, tmp_path).items():
        if name == 'json': found.remove(fit.weights['domain'])   # of what was measured, once
        assert found and not [text for text in map(unsaid, found) if WORD.search(text)], name
        if name in ('table', 'still', 'report', 'overview', 'curves', 'view'):
            assert any(track['answer'] in text.lower() for text in found), name
    assert GRAY in batch_table(overview([fit])) or track['answer'] != 'cannot tell'


def test_no_word_in_a_browser_about_a_sound_that_fits(browser, fit, tmp_path):
    spoken = """() => [document.title, document.body.innerText,
        ...Array.from(document.querySelectorAll('[aria-label], [title]'), node => `${node.ariaLabel} ${node.title}`),
        document.querySelector('input[type=range]').ariaValueText].join(' ')"""
    for path in (bare(tmp_path/'viewer.html', [view(fit)]), write_report(tmp_path/'report.html', fit)):
        with Opened(browser, path) as shown:
            said = shown.evaluate(spoken)
            assert fit.tracks[0].answer in said.lower() and not WORD.search(unsaid(said))


def test_the_search_finds_words_where_they_are_due(tmp_path):
    "The same surfaces, asked about a computed person."
    result = score_video(sample('speaker.mp4'), proven(find_weights()))
    assert result.tracks[0].answer == 'likely fake'
    for name, found in surfaces(result, tmp_path).items():
        if name not in ('stills', 'map', 'spread'): assert [text for text in found if WORD.search(text)], name


def test_weights_of_people_say_no_word_about_computed_ones():
    result = score_video(sample('speaker.mp4'), replace(proven(find_weights()), domain='real'))
    assert (result.tracks[0].answer, result.tracks[0].why_no_label) == (None, 'computed media')
    assert any('computed by this kit' in warning for warning in result.warnings)


def test_older_weights_say_no_more_than_a_side(tmp_path):
    save_weights(tmp_path/'plain.safetensors', replace(find_weights(), bands=(), calibrated=False))
    plain = load_weights(tmp_path/'plain.safetensors')
    result = score_video(sample('speaker.mp4'), plain)
    assert result.tracks[0].answer in ('leans real', 'leans fake') and result.tracks[0].number == 'score'
    assert any('No bands' in warning for warning in result.warnings)


def test_the_list_of_samples_is_that_of_the_samples(tmp_path):
    "When it fails: python -c 'from cmdfd_nb.data.origin import list_samples; list_samples()'."
    list_samples(tmp_path/'now')
    assert (tmp_path/'now').read_text() == SAMPLE_LIST.read_text()
    assert all(is_procedural(path) for path in sample().rglob('*.mp4'))


def test_a_person_in_the_folder_of_a_world_stays_a_person(real_clips, tmp_path):
    (tmp_path/'truth').mkdir()
    (tmp_path/'truth'/'world.json').write_text('{}')
    link, copy = tmp_path/'link.mp4', tmp_path/'copy.mp4'
    link.symlink_to(real_clips['vox_a'])
    copy.write_bytes(real_clips['vox_a'].read_bytes())
    assert not is_procedural(link) and not is_procedural(copy)


# One question for each kind of file

def fits_or_not(detector, answer): return detector == FIT_DETECTOR and answer in ANSWERS


@pytest.mark.parametrize('workers', [0, 2])
def test_one_call_asks_each_file_what_suits_it(workers, landmark_model, recogniser, person):
    found = dict(score_many([person, sample('speaker.mp4')], device='cpu', workers=workers))
    real, computed = (found[str(path)].tracks[0] for path in (person, sample('speaker.mp4')))
    assert fits_or_not(real.detector, real.answer) and real.phones and real.p_fake is None
    assert computed.detector == 'correlation' and computed.answer in WORDS and computed.phones is None


@pytest.mark.parametrize('options', [dict(weights='articulation'), dict(detector='articulation')])
def test_the_name_of_a_rule_is_the_name_of_its_weights(options, landmark_model, recogniser, person, tmp_path, capsys,
                                                       monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cmdfd_score([str(person)], **options, device='cpu', json=True, workers=0) == 0
    record, = json.loads(capsys.readouterr().out)
    assert fits_or_not(record['tracks'][0]['detector'], record['tracks'][0]['answer'])
    assert record['weights']['name'] == 'articulation' and not list(tmp_path.iterdir())


def test_reports_take_the_name_of_a_rule(landmark_model, recogniser, person, tmp_path):
    assert cmdfd_report(str(person), str(tmp_path/'a.html'), weights='articulation', device='cpu', workers=0) == 0
    write_report(tmp_path/'b.html', person)
    for name in 'ab': assert 'Does this sound belong to this mouth?' in (tmp_path/f'{name}.html').read_text()
