"What the viewer is given, and what it makes of it in a browser: faces, pairs, stretches, themes, speed."
import re
from types import SimpleNamespace

import numpy as np
import pytest

from cmdfd_nb.core import BadArgument, sample
from cmdfd_nb.media.lockstep import lockstep
from cmdfd_nb.show.footage import fitted_size
from cmdfd_nb.show.browser import paint_times
from cmdfd_nb.show.viewer import STATIC, attended, compare, scrub, shown_picture, still
from cmdfd_nb.show.views import flagged, view
from cmdfd_nb.models.weights import seeded_weights
from screen import AT, Opened, bare, film, made_up, made_up_fit, number, position, settled, until


@pytest.fixture(scope='module')
def short(tmp_path_factory): return film(tmp_path_factory.mktemp('short')/'short.mp4', 60)


@pytest.fixture(scope='module')
def other(tmp_path_factory): return film(tmp_path_factory.mktemp('other')/'other.mp4', 80, first=1000)


@pytest.fixture(scope='module')
def long(tmp_path_factory): return film(tmp_path_factory.mktemp('long')/'long.mp4', 750)


# What a view holds

@pytest.mark.parametrize('size', [(64, 48), (222, 170), (720, 1280), (1280, 720)])
def test_pictures_keep_their_shape(tmp_path, size):
    shown = view(made_up(film(tmp_path/'film.mp4', 26, size), 26))
    assert (shown['width'], shown['height']) == fitted_size(*size)
    assert shown_picture(shown, 25).shape == (*fitted_size(*size)[::-1], 3)
    assert shown['width'] / shown['height'] == pytest.approx(size[0] / size[1], rel=.01)


def test_sound_is_that_of_the_clip(short):
    "Sample for sample what was scored, also from the middle on."
    heard = np.concatenate([sound for _, sound in lockstep(short)])
    for span, cut in ((None, heard), ((.4, 1.2), heard[10 * 640:30 * 640])):
        assert (np.frombuffer(view(made_up(short, 60), span)['sound'], '<i2') / 2**15 == cut).all()


def test_faces_that_come_and_go(short):
    result = made_up(short, 40, faces=2, start=12)
    faces = view(result)['tracks']
    sizes = [(f['start'], len(f['curves']['sync']), len(f['boxes']), len(f['heard'])) for f in faces]
    assert sizes == [(12, 40, 40, 1600), (22, 30, 30, 1200)]
    early = view(result, (.6, .8))['tracks']
    assert [(f['start'], len(f['curves']['cont'])) for f in early] == [(15, 5)]
    with pytest.raises(BadArgument, match='no face that was scored is on screen then'): view(result, (0, .2))


@pytest.mark.parametrize('span', [(1, 1), (-1, 2), (2, 1)])
def test_spans_that_make_no_sense(short, span):
    with pytest.raises(BadArgument, match='no frame between'): view(made_up(short, 60), span)


def test_a_span_beyond_the_end(short):
    assert view(made_up(short, 60), (2, 99))['frames'] == 10
    with pytest.raises(BadArgument, match='it has no frame 75'): view(made_up(short, 60), (3, 4))


def test_flags_at_both_ends():
    assert flagged([1] * 5 + [0] + [1] * 6, 1) == [[0, 5], [6, 12]]
    assert flagged([], .5) == flagged([.4] * 99, .5) == []


def test_untrained_weights_flag_nothing(short):
    assert view(made_up(short, 60, label=None, threshold=0))['tracks'][0]['flagged'] == []
    assert view(made_up(short, 60, threshold=0))['tracks'][0]['flagged'] == [[0, 60]]


def test_a_file_that_changed_is_not_shown(tmp_path, short):
    copy = tmp_path/'copy.mp4'
    copy.write_bytes(short.read_bytes())
    result = made_up(copy, 60)
    copy.write_bytes(copy.read_bytes() + b'\0')
    with pytest.raises(BadArgument, match='has changed since it was scored'): scrub(result)


def test_stills_need_no_teachers(short):
    figure = still([view(made_up(short, 60, teachers=False)), view(made_up(short, 60))], 9_999)
    assert [len(ax.lines) for ax in figure.axes] == [1, 3, 1, 4]


def test_widget_from_a_path():
    weights = seeded_weights('tiny')
    pair = compare(sample('speaker.mp4'), sample('speaker.mp4'), weights, (1, 2))
    assert pair.frame == 25 and [v['frames'] for v in pair.views] == [25, 25]
    data, about = pair._repr_mimebundle_()                                   # nobody is there to move it
    assert set(data) == {'text/plain', 'image/jpeg'} and 'speaker.mp4: no verdict' in about['image/jpeg']['alt']


@pytest.mark.parametrize('answers', [True, False])
def test_attended_is_who_can_answer(monkeypatch, answers):
    "JupyterLab and VS Code let a cell ask for input; papermill and nbconvert do not."
    monkeypatch.setattr('IPython.get_ipython', lambda: SimpleNamespace(kernel=SimpleNamespace(_allow_stdin=answers)))
    assert attended() == answers


# In a browser

def test_a_stretch_counts_frames_of_the_video(browser, short, tmp_path):
    with Opened(browser, bare(tmp_path/'page.html', [view(made_up(short, 60), (1, 2))])) as page:
        assert position(page) == number(page) == 25
        page.get_by_role('slider').press('End')
        settled(page, 49)
        assert page.locator('.values strong').inner_text() == '1.96 s, frame 49 (25 to 49)'


def test_one_face_of_two(browser, short, tmp_path):
    "The choice changes curves and verdict; where a face is not on screen there are no values."
    result = made_up(short, 40, faces=2, start=12)
    with Opened(browser, bare(tmp_path/'page.html', [view(result)])) as page:
        values = page.locator('.values b')
        assert values.all_inner_texts() == ['–'] * 4 and 'no face' in page.locator('.characters').inner_text()
        page.get_by_role('slider').press('PageUp')
        first, score = values.all_inner_texts(), page.locator('.clip .score').inner_text()
        page.get_by_label('Face', exact=True).select_option('face 1: 0.88 to 2.08 s')
        assert values.all_inner_texts() != first and page.locator('.clip .score').inner_text() != score
        assert values.all_inner_texts()[0] == f"{result.tracks[1].curves['sync'][3]:.2f}"
        settled(page, 25)


def test_several_detectors_side_by_side(browser, short, tmp_path):
    "Each with its own curves, answer and number; where one has not looked, its curve has a hole."
    whole, late = made_up(short, 60), made_up(short, 20, start=30)
    late.weights = dict(late.weights, detector='other')
    late.warnings = ['Late.']
    late.tracks[0].curves = dict(sync=late.tracks[0].curves['sync'] * 99)   # beyond its axis
    with Opened(browser, bare(tmp_path/'page.html', [view(whole, beside=(late,))])) as page:
        rows = page.locator('.witnesses tbody tr')
        assert [row.split('\t')[0] for row in rows.all_inner_texts()] == ['correlation', 'other']
        assert page.locator('.clip .score').inner_text() == '2 detectors'
        names = page.locator('.values .row > span').all_inner_texts()
        assert any(name.startswith('Sync (other)') for name in names) and 'other: Late.' in page.inner_text('.cmdfd')
        shown = dict(zip(names, page.locator('.values b').all_inner_texts()))
        assert {value for name, value in shown.items() if name.startswith('Sync (other)')} == {'–'}
        for _ in range(2): page.get_by_role('slider').press('PageUp')
        settled(page, 50)
        texts = page.locator('.values .row > span').all_inner_texts()
        assert 'Sync (other) –' in texts   # its face left after frame 49
        page.get_by_role('slider').press('ArrowLeft')
        settled(page, 49)
        texts = page.locator('.values .row > span').all_inner_texts()
        assert f"Sync (other) {late.tracks[0].curves['sync'][19]:.2f}" in texts


@pytest.mark.parametrize('divergence, text',
                         [('js', 'JS divergence {:.2f} bits'), ('mean_kl', 'mean KL divergence {:.2f} nats')])
def test_characters_and_their_divergence(browser, short, tmp_path, divergence, text):
    result = made_up(short, 60, divergence=divergence)
    with Opened(browser, bare(tmp_path/'page.html', [view(result)])) as page:
        page.get_by_role('slider').press('PageUp')
        cont, shown = result.tracks[0].curves['cont'][25], page.locator('.characters')
        assert text.format(1 - cont) in shown.inner_text() and f'Cont {cont:.2f}' in shown.inner_text()
        spoken = shown.locator('canvas').get_attribute('aria-label')
        symbols = view(result)['symbols']
        best = {name: symbols[p[25].argmax()]
                for name, p in dict(heard=result.tracks[0].heard, seen=result.tracks[0].seen).items()}
        assert spoken.startswith(f'heard {best["heard"]} 0.') and f'; seen {best["seen"]} 0.' in spoken


def test_without_teachers_there_is_no_cont(browser, short, tmp_path):
    with Opened(browser, bare(tmp_path/'page.html', [view(made_up(short, 60, teachers=False))])) as page:
        assert not page.locator('.characters').is_visible()
        assert page.locator('.values').inner_text().split()[-4::2] == ['Sync', 'p_fake']      # no Cont, no distance


def test_two_clips_share_a_playhead(browser, short, other, tmp_path):
    views = [view(made_up(short, 60)), view(made_up(other, 80, seed=1))]
    with Opened(browser, bare(tmp_path/'page.html', views)) as page:
        slider = page.get_by_role('slider')
        # the shorter one waits at its last picture
        for key, a, b in (('PageUp', 25, 1025), ('End', 59, 1079)):
            slider.press(key)
            settled(page, a)
            settled(page, b, 1)
        slider.press('Home')
        assert page.locator('.values b').count() == 8 and '; B, Sync 0.' in slider.get_attribute('aria-valuetext')
        before = page.locator('.characters').inner_text()
        page.get_by_role('button', name='B').click()
        assert page.get_by_role('button', name='B').get_attribute('aria-pressed') == 'true'
        assert page.locator('.characters').inner_text() != before
        slider.press(' ')                                                     # B is heard, to its end
        until(page, f'{AT} > 70')
        settled(page, 1079, 1)


GROUND = 'getComputedStyle(document.querySelector(".cmdfd")).backgroundColor'
DARK_INK = """() => { const c = document.querySelector('.curves canvas');
  // a copy, since Chromium complains of reading the canvas itself again and again
  const pen = new OffscreenCanvas(c.width, c.height).getContext('2d', { willReadFrequently: true });
  pen.drawImage(c, 0, 0);
  const d = pen.getImageData(0, 0, c.width, c.height).data;
  const dots = Array.from({ length: d.length / 4 }, (_, i) => d.slice(4 * i, 4 * i + 4));
  return dots.some(p => p[0] < 50 && p[1] < 50 && p[2] < 50 && p[3] > 250) }"""


@pytest.mark.parametrize('scheme, attributes, dark', [
    ('light', '', False), ('dark', '', True), ('dark', 'data-jp-theme-light="true"', False),
    ('light', 'data-jp-theme-light="false"', True), ('light', 'theme="dark"', True),
    ('light', 'class="vscode-dark"', True), ('dark', 'class="vscode-light"', False)])
def test_theme_is_that_of_the_host(browser, short, tmp_path, scheme, attributes, dark):
    with Opened(browser, bare(tmp_path/'page.html', [view(made_up(short, 60))], attributes),
                color_scheme=scheme) as page:
        assert (page.evaluate(GROUND) == 'rgb(27, 29, 32)') == dark
        assert page.evaluate(DARK_INK) != dark


def test_theme_and_size_may_change(browser, short, tmp_path):
    with Opened(browser, bare(tmp_path/'page.html', [view(made_up(short, 60))])) as page:
        page.get_by_role('slider').press('PageUp')
        page.evaluate('document.documentElement.setAttribute("data-jp-theme-light", "false")')
        until(page, f'!({DARK_INK})()')
        page.set_viewport_size(dict(width=390, height=1600))
        until(page, 'document.querySelector(".curves canvas").width < 390')
        assert page.evaluate('document.documentElement.scrollWidth') <= 390 and number(page) == 25


def test_a_viewer_may_be_hidden_at_first(browser, short, tmp_path):
    path = bare(tmp_path/'page.html', [view(made_up(short, 60))])
    path.write_text(path.read_text().replace('<div id="viewer">', '<div id="viewer" hidden>'))
    with Opened(browser, path, visible=False) as page:
        page.evaluate('document.getElementById("viewer").hidden = false')
        until(page, DARK_INK)
        page.get_by_role('slider').press('End')
        settled(page, 59)


def test_closing_leaves_nothing_behind(browser, short, tmp_path):
    "What the notebook's front end calls: display, a frame told, a frame set, removal."
    path = bare(tmp_path/'page.html', [view(made_up(short, 60))])
    path.write_text(path.read_text().replace('export default { render };', 'window.render = render;'))
    with Opened(browser, path) as page:
        page.evaluate(MODEL)
        until(page, 'told.at(-1) === 30')
        page.evaluate('model.set("frame", 7)')
        until(page, 'place.querySelector("input").value === "7"')
        page.evaluate('remove()')
        assert page.evaluate('place.children.length') == 0 and page.evaluate('model.listeners.size') == 0


# Room on the screen, and the window on time

KINDS = dict(alone=lambda a, b: [view(made_up(a, 60))], pair=lambda a, b: [view(made_up(a, 60)), view(made_up(b, 80))],
             fit=lambda a, b: [view(made_up_fit(a, 60))], known=lambda a, b: [view(made_up(a, 60), periods=[[1, 2]])])


@pytest.mark.parametrize('kind', KINDS)
def test_all_of_it_fits_a_laptop(browser, short, other, tmp_path, kind):
    "Picture, characters and curves within 560 pixels where they stand side by side; letters are never tiny."
    with Opened(browser, bare(tmp_path/'page.html', KINDS[kind](short, other))) as page:
        for width in 1366, 950, 660:
            page.set_viewport_size(dict(width=width, height=768))
            until(page, f'document.querySelector(".cmdfd").offsetWidth <= {width}')
            page.wait_for_timeout(50)
            assert page.locator('.cmdfd').bounding_box()['height'] <= 560, width
            assert page.evaluate('document.documentElement.scrollWidth') <= width
        assert page.evaluate('Math.min(...letters)') >= 10
        dots = page.locator('.picture, .curves, .bars canvas, .controls').all()
        assert all(dot.bounding_box()['height'] > 20 for dot in dots if dot.is_visible())


def test_the_picture_stays_in_sight_on_a_narrow_screen(browser, short, tmp_path):
    narrow = dict(width=390, height=560)
    with Opened(browser, bare(tmp_path/'page.html', [view(made_up(short, 60))]), viewport=narrow) as page:
        page.evaluate('scrollTo(0, document.querySelector(".controls").offsetTop - 330)')
        picture, plot = page.locator('.picture').bounding_box(), page.locator('.curves').bounding_box()
        assert 0 <= picture['y'] and picture['y'] + picture['height'] < 220 < plot['y'] + plot['height'] <= 560
        assert page.locator('.controls').bounding_box()['y'] < 560
        assert page.evaluate('Math.min(...letters)') >= 10


def edges(page):
    "The frames at the left and at the right end of the plot."
    box, found = page.locator('.curves').bounding_box(), []
    for x in box['x'] + 92, box['x'] + box['width'] - 12:
        page.mouse.click(x, box['y'] + 40)
        found.append(position(page))
    return found


def test_the_window_on_time(browser, short, tmp_path):
    "Keys, buttons, the wheel and the strip zoom and pan; the playhead is always in the window."
    with Opened(browser, bare(tmp_path/'page.html', [view(made_up(short, 60))])) as page:
        assert edges(page) == [0, 59]
        box, slider = page.locator('.curves').bounding_box(), page.get_by_role('slider')
        slider.press('Home')
        page.keyboard.press('+')
        assert edges(page) == [0, 39]
        page.get_by_role('button', name='Zoom in').click()
        left, right = edges(page)
        assert right - left == pytest.approx(26, abs=1) and right == 39
        page.get_by_role('button', name='Zoom out').click()
        slider.press('0')
        assert edges(page) == [0, 59]
        page.mouse.move(box['x'] + 92 + .5 * (box['width'] - 104), box['y'] + 40)
        page.mouse.wheel(0, 50)                                         # scrolls the page
        assert edges(page) == [0, 59]
        page.mouse.move(box['x'] + 92 + .5 * (box['width'] - 104), box['y'] + 40)
        page.keyboard.down('Control')
        page.mouse.wheel(0, -300)
        page.wait_for_timeout(200)                                      # events of a wheel come late
        page.keyboard.up('Control')
        left, right = edges(page)
        assert 10 < left < 28 < 31 < right < 50 and abs(left + right - 59) < 3   # around the pointer
        slider.press('End')
        settled(page, 59)
        left, right = edges(page)
        assert left > 25 and right == 59                                # the page was turned
        strip = page.locator('.strip').bounding_box()
        page.mouse.click(strip['x'] + 92, strip['y'] + 5)
        assert edges(page)[0] == 0
        slider.press('0')
        assert edges(page) == [0, 59]


def test_a_peak_of_one_frame_is_seen_among_many(browser, long, tmp_path):
    "Frames that share a column of pixels leave their least and their greatest value."
    result = made_up(long, 750, teachers=False)
    result.tracks[0].curves['sync'][:] = .2
    result.tracks[0].curves['sync'][401] = 1
    with Opened(browser, bare(tmp_path/'page.html', [view(result)]), viewport=dict(width=500, height=900)) as page:
        assert page.evaluate("""() => {
          const c = document.querySelector('.curves canvas');
          const pen = new OffscreenCanvas(c.width, c.height).getContext('2d');
          pen.drawImage(c, 0, 0);
          const x = 92 + Math.round(401 / 749 * (c.width - 104)), { data } = pen.getImageData(x - 3, 0, 7, 40);
          return data.some((v, i) => i % 4 === 2 && v > 150 && data[i - 2] < 80 && data[i + 1] > 200); }""")


def test_full_screen(browser, short, tmp_path):
    with Opened(browser, bare(tmp_path/'page.html', [view(made_up(short, 60))])) as page:
        before = page.locator('.curves').bounding_box()['height']
        page.get_by_role('button', name='Full screen').click()
        until(page, 'document.fullscreenElement?.className === "cmdfd"')
        until(page, f'document.querySelector(".curves").offsetHeight > {before}')
        page.get_by_role('slider').press('f')
        until(page, 'document.fullscreenElement === null')


def test_on_paper_inks_are_light_on_any_screen(browser, short, tmp_path):
    with Opened(browser, bare(tmp_path/'page.html', [view(made_up(short, 60))]), color_scheme='dark',
                viewport=dict(width=1900, height=900)) as page:
        assert not page.evaluate(DARK_INK)
        page.evaluate("""() => addEventListener('beforeprint', () => { window.printed =
          [document.querySelector('.curves canvas').width,
           getComputedStyle(document.querySelector('.cmdfd')).color]; })""")
        assert page.pdf()[:4] == b'%PDF'
        width, ink = page.evaluate('printed')
        assert width < 660 and ink == 'rgb(34, 38, 42)'
        until(page, 'document.querySelector(".curves canvas").width > 1000')   # the screen is as it was
        assert not page.evaluate(DARK_INK)


def test_one_viewer_is_heard_at_a_time(browser, short, tmp_path):
    with Opened(browser, bare(tmp_path/'page.html', [view(made_up(short, 60))])) as page:
        page.get_by_role('slider').press(' ')
        page.get_by_role('button', name='Pause').wait_for()
        page.evaluate("dispatchEvent(new CustomEvent('cmdfd-play', { detail: 'another viewer' }))")
        assert page.get_by_role('button', name='Play').count() == 1


def luminance(colour):
    parts = [int(colour[k:k + 2], 16) / 255 for k in (1, 3, 5)]
    return np.dot([.2126, .7152, .0722], [c / 12.92 if c <= .04045 else ((c + .055) / 1.055)**2.4 for c in parts])


def contrast(a, b):
    low, high = sorted(map(luminance, (a, b)))
    return (high + .05) / (low + .05)


@pytest.mark.parametrize('theme', [0, 1], ids=['light', 'dark'])
def test_contrast(theme):
    "3:1 for lines and the edges of buttons, 4.5:1 for text."
    inks = {name: both[theme] for name, *both in re.findall(
        r'--(\w+): light-dark\((#\w{6}), (#\w{6})\)', (STATIC/'viewer.css').read_text())}
    least = dict.fromkeys(('sync', 'cont', 'p_fake', 'gap', 'c0', 'c1', 'c2', 'c3', 'a', 'b', 'edge'), 3)
    least |= dict(ink=4.5, muted=4.5)
    found = {name: contrast(inks[name], inks['paper']) for name in least}
    assert {name: round(value, 2) for name, value in found.items() if value < least[name]} == {}


def test_new_views_keep_the_clip_that_leads_and_the_window(browser, short, other, tmp_path):
    "As the bench sends them at each move of a slider; the streams of pictures that came are used again."
    path = bare(tmp_path/'page.html', [view(made_up(short, 60)), view(made_up(other, 60))])
    path.write_text(path.read_text().replace('export default { render };', 'window.render = render;'))
    with Opened(browser, path) as page:
        page.evaluate(MODEL)
        place = page.locator('body > div').last
        place.get_by_role('button', name='B').click()
        place.get_by_role('button', name='Zoom in').click()
        root = page.evaluate_handle('place.firstChild')
        page.evaluate('model.set("views", [...model.get("views")].reverse())')
        assert not root.evaluate('root => root.isConnected')                    # it was made anew
        assert place.get_by_role('button', name='B').get_attribute('aria-pressed') == 'true'
        assert place.locator('.name').all_inner_texts() == ['other.mp4', 'short.mp4']


PIECES = """async () => {
  const model = { listeners: [], sent: [], get: name => ({ views: [light], frame: 0 })[name], off: () => {},
    set: () => {}, save_changes: () => {},
    on: (name, f) => { if (name === 'msg:custom') model.listeners.push(f); },
    send: message => model.sent.push(message) };
  const [whole] = JSON.parse(document.getElementById('views').textContent, unpacked);
  const { jpegs, sound, ...light } = whole;
  light.pieces = { key: 'k', jpegs: jpegs.byteLength, sound: sound.byteLength };
  window.place = document.body.appendChild(document.createElement('div'));
  render({ model, el: place });
  const part = (data, begin, end) => new DataView(data.buffer, begin, end - begin);
  const give = (name, data, begin, end) =>
    model.listeners.forEach(f => f({ key: 'k', part: name, begin }, [part(data, begin, end)]));
  const asked = [JSON.stringify(model.sent[0])], half = jpegs.byteLength >> 1;
  give('sound', sound, 0, sound.byteLength);
  give('jpegs', jpegs, half, jpegs.byteLength);           // too early: the first half is missing
  give('jpegs', jpegs, 0, half);
  await new Promise(done => setTimeout(done, 1000));      // nothing comes, so the rest is asked for
  asked.push(JSON.stringify(model.sent.at(-1)));
  give('jpegs', jpegs, half, jpegs.byteLength);
  return [asked, half];
}"""


def test_pictures_come_in_pieces(browser, short, tmp_path):
    path = bare(tmp_path/'page.html', [view(made_up(short, 60))])
    offered = 'window.render = render; window.unpacked = unpacked;'
    path.write_text(path.read_text().replace('export default { render };', offered))
    with Opened(browser, path) as page:
        (first, later), half = page.evaluate(PIECES)
        assert first == '{"missing":[["k","sound",0],["k","jpegs",0]]}'
        assert later == f'{{"missing":[["k","jpegs",{half}]]}}'
        page.locator('input[type=range]').nth(1).press('End')
        settled(page, 59, 1)


MODEL = """() => {
  const views = JSON.parse(document.getElementById('views').textContent,
    (_, v) => v?.base64 === undefined ? v : new DataView(Uint8Array.from(atob(v.base64), c => c.charCodeAt(0)).buffer));
  const state = { views, frame: 3 };
  window.told = [];
  window.model = {
    listeners: new Set(), get: name => state[name],
    on: (_, f) => model.listeners.add(f), off: (_, f) => model.listeners.delete(f),
    set: (name, value) => { state[name] = value; model.listeners.forEach(f => f()); },
    save_changes: () => told.push(state.frame) };
  window.place = document.body.appendChild(document.createElement('div'));
  window.remove = render({ model, el: place });
  const range = place.querySelector('input');
  if (range.value !== '3') throw Error(range.value);
  for (let k = 4; k <= 30; k++) { range.value = k; range.dispatchEvent(new Event('input')); }
  if (told.length) throw Error('the kernel was asked while dragging');
}"""


def test_any_frame_of_half_a_minute_is_there_at_once(browser, long, tmp_path):
    "Every frame that is asked for is shown; how fast is for the benchmark to say."
    with Opened(browser, bare(tmp_path/'page.html', [view(made_up(long, 750))])) as page:
        order = np.random.default_rng(0).permutation(750)[:100]
        times = paint_times(page, order)
        assert len(times) == 100 and number(page) == order[-1]
