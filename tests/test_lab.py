"JupyterLab itself: a notebook is opened and run, the widget appears, and the kernel hears where somebody stopped."
import contextlib
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

from screen import film, position, settled, until

CELLS = ["""import sys
sys.path.insert(0, {tests!r})
from screen import made_up
from cmdfd_nb.show.viewer import scrub
widget = scrub(made_up('film.mp4', 100))
heard = []
widget.observe(lambda change: heard.append(change['new']), 'frame')
widget""", "print('heard of', heard)", "widget.frame = 12"]

LARGE = ["""import sys
sys.path.insert(0, {tests!r})
import numpy as np
from screen import made_up
from cmdfd_nb.show.viewer import scrubber
from cmdfd_nb.show.views import view
shown = view(made_up('film.mp4', 100))
cuts = np.split(np.frombuffer(shown['jpegs'], np.uint8), shown['ends'][:-1])
heavy = [bytes(cut) + bytes(450_000 - len(cut)) for cut in cuts]     # as two minutes of large pictures: 45 MB
shown |= dict(jpegs=b''.join(heavy), ends=[450_000 * k for k in range(1, 101)])
widget = scrubber()(views=[shown], frame=70)
widget""", """import ipywidgets, warnings
warnings.simplefilter('ignore', DeprecationWarning)
from cmdfd_nb.show.viewer import scrubber
print(sum(isinstance(w, scrubber()) for w in ipywidgets.Widget.widgets.values()), 'viewers')"""]

MAP = ["""import sys
sys.path.insert(0, {tests!r})
import numpy as np
from screen import made_up
from cmdfd_nb.show.survey import from_results
from cmdfd_nb.show.overview import OverviewPanel
clips = [(kind, k) for kind, ks in dict(real=(1, 2), fake=(3, 4)).items() for k in ks]
results = [made_up(f'{{kind}}/{{k}}.mp4', 40, seed=k) for kind, k in clips]
for k, result in enumerate(results): result.tracks[0].embedding = np.float32([k, k * k, 1])
panel = OverviewPanel(from_results(results, lambda path: (path.split('/')[0], int(path[0] == 'f'))))
panel.box""", "print(f'row {{panel.row}} is open')"]


def write_notebook(path, sources):
    "A notebook with these cells."
    cells = [nbformat.v4.new_code_cell(source.format(tests=str(Path(__file__).parent))) for source in sources]
    metadata = dict(kernelspec=dict(name='python3', display_name='python3'))
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)


@pytest.fixture(scope='module')
def films(lab):
    "Films and notebooks about them, where JupyterLab sees them."
    folder = lab.folder/'films'
    folder.mkdir()
    film(folder/'film.mp4', 100)
    for k, kind in enumerate(('real', 'real', 'fake', 'fake'), 1):
        (folder/kind).mkdir(exist_ok=True)
        film(folder/kind/f'{k}.mp4', 40, first=1000 * k)
    write_notebook(folder/'show.ipynb', CELLS)
    write_notebook(folder/'map.ipynb', MAP)
    write_notebook(folder/'large.ipynb', LARGE)
    return SimpleNamespace(folder=folder, at=lambda name: lab.at(f'films/{name}'))


def printed(page, cell):
    "Run a cell and return what it printed."
    page.locator('.jp-Cell').nth(cell).locator('.jp-InputArea-editor').click()
    page.keyboard.press('Control+Enter')
    page.locator('.jp-Cell').nth(cell).locator('.jp-OutputArea-output').wait_for()
    return page.locator('.jp-Cell').nth(cell).locator('.jp-OutputArea-output').inner_text().strip()


PATIENT = """const timeout = AbortSignal.timeout.bind(AbortSignal);
AbortSignal.timeout = ms => timeout(60 * ms);"""
# anywidget gives up on a model after two seconds, which plotly's 5 MB may take on a busy machine


@contextlib.contextmanager
def all_cells_run(open_page, address, cells, patient=True):
    "A page of JupyterLab whose notebook has been run; at the end, nothing in it may have failed."
    page, errors = open_page(), []
    page.on('pageerror', lambda error: errors.append(str(error)))
    page.set_default_timeout(240_000)
    if patient: page.add_init_script(PATIENT)
    page.goto(address)
    page.locator('.jp-Notebook .jp-Cell').nth(cells - 1).wait_for()
    page.get_by_text('Python 3 (ipykernel) | Idle').wait_for()
    page.get_by_role('menuitem', name='Run', exact=True).click()
    page.locator('.lm-Menu-itemLabel').get_by_text('Run All Cells', exact=True).click()
    yield page
    assert not errors
    page.close()


def test_scrubbing_in_jupyterlab(lab_page, films):
    with all_cells_run(lab_page, films.at('show.ipynb'), len(CELLS)) as page: scrub_about(page)


def scrub_about(page):
    "Drag, press keys, play, and see whether the kernel heard."
    page.locator('.cmdfd').wait_for()
    settled(page, 12)                                                          # what the last cell set

    box = page.locator('.cmdfd .curves').bounding_box()
    page.mouse.move(box['x'] + 150, box['y'] + 60)
    page.mouse.down()
    for x in range(150, 500, 7):
        page.mouse.move(box['x'] + x, box['y'] + 60)
    last = position(page)
    settled(page, last)
    page.mouse.up()
    assert last > 30
    page.wait_for_timeout(1000)
    heard = printed(page, 1)
    assert heard.startswith('heard of [12, ') and heard.endswith(f' {last}]')

    page.get_by_role('slider', name='Frame').focus()
    for key in ('ArrowRight', 'PageDown', 'ArrowLeft', 'Home', 'PageUp', 'ArrowRight'): page.keyboard.press(key)
    # the notebook did not take the keys for its own
    settled(page, 26)
    assert page.locator('.jp-Cell').count() == len(CELLS)
    page.keyboard.press(' ')
    page.get_by_role('button', name='Pause').wait_for()
    page.keyboard.press(' ')
    keys_stay_or_pass(page)


def keys_stay_or_pass(page):
    "With the viewer in focus, keys alone are its own; with Ctrl or Shift they are JupyterLab's."
    cells, slider = page.locator('.jp-Cell'), page.get_by_role('slider', name='Frame')
    sources = [cells.nth(k).locator('.jp-InputArea-editor').inner_text() for k in range(len(CELLS))]
    slider.focus()
    for key in ('d', 'd', 'x', 'a', 'b', 'm', 'j', 'k', 'z', 'y', 'c', 'v', 'r', 'o', '1', 'Enter', 'Escape'):
        page.keyboard.press(key)
        assert page.evaluate('document.activeElement.type') == 'range', key
    page.wait_for_timeout(300)
    assert [cells.nth(k).locator('.jp-InputArea-editor').inner_text() for k in range(len(CELLS))] == sources
    assert page.locator('.jp-MarkdownCell, .jp-RawCell').count() == 0
    page.keyboard.press('Control+b')                                           # the side bar
    bar = page.locator('#jp-left-stack')
    shown = bar.is_visible()
    slider.focus()
    page.keyboard.press('Control+b')
    until(page, f'(document.querySelector("#jp-left-stack").offsetParent !== null) !== {str(shown).lower()}')
    slider.focus()
    with page.expect_response(lambda answer: answer.request.method == 'PUT' and 'show.ipynb' in answer.url):
        page.keyboard.press('Control+s')
    cells.nth(1).locator('.jp-InputPrompt').click()
    page.locator('.cmdfd .curves').click()
    page.keyboard.press('Shift+Enter')                                         # runs the cell, selects the next
    page.locator('.jp-Cell.jp-mod-selected').nth(0).wait_for()
    until(page, 'document.querySelectorAll(".jp-Cell")[1].classList.contains("jp-mod-selected")')


def test_a_large_viewer_survives_a_reload_and_is_closed_on_rerun(lab_page, films):
    "45 MB of pictures, and anywidget's two seconds are not stretched."
    with all_cells_run(lab_page, films.at('large.ipynb'), len(LARGE), patient=False) as page:
        page.locator('.cmdfd').wait_for()
        settled(page, 70)
        still = page.locator('img.cmdfd-still')
        assert not still.is_visible()
        assert 'A frame at 2.80 s and the curves over time. film.mp4' in still.get_attribute('alt')
        page.keyboard.press('Control+s')
        page.reload()                                                          # of the page: the kernel goes on
        page.locator('.cmdfd').wait_for()
        settled(page, 70)
        page.get_by_role('slider', name='Frame').press('End')
        settled(page, 99)
        assert not still.is_visible()
        warned = page.locator('[data-mime-type="application/vnd.jupyter.stderr"]')
        assert not warned.count(), warned.all_inner_texts()
        page.locator('.jp-Cell').nth(0).locator('.jp-InputArea-editor').click()
        page.keyboard.press('Control+Enter')                                   # the cell again
        page.wait_for_timeout(500)
        page.get_by_text('Python 3 (ipykernel) | Idle').wait_for()
        page.locator('.cmdfd').wait_for()
        settled(page, 70)
        printed(page, 1)
        page.locator('.jp-OutputArea-output').get_by_text('1 viewers', exact=True).wait_for()
        with page.expect_response(lambda answer: answer.request.method == 'PUT' and 'large.ipynb' in answer.url):
            page.keyboard.press('Control+s')
    saved = nbformat.read(films.folder/'large.ipynb', 4).cells[0].outputs      # without a kernel, the still is there
    assert '<img class="cmdfd-still" alt="A frame at 2.80 s' in saved[0].data['text/html']


def test_a_click_on_the_map_opens_that_clip(lab_page, films):
    "The viewer beside the map shows the picture of the clip whose point was clicked last."
    with all_cells_run(lab_page, films.at('map.ipynb'), len(MAP)) as page:
        points = page.locator('.js-plotly-plot').first.locator('path.point')
        page.locator('.js-plotly-plot').first.locator('.scatterlayer .trace').nth(1).wait_for(state='attached')
        # two of each kind, in the order of categories
        assert points.count() == 4
        for index, first in ((2, 3000), (1, 2000)):
            points.nth(index).scroll_into_view_if_needed()
            box = points.nth(index).bounding_box()
            page.mouse.move(box['x'] + box['width'] / 2, box['y'] + box['height'] / 2, steps=3)
            # plotly hears of a pointer before it hears of a click
            page.wait_for_timeout(300)
            page.mouse.down()
            page.mouse.up()
            page.locator('.cmdfd .name').get_by_text(f'{first // 1000}.mp4').wait_for()
            settled(page, first)
        page.get_by_role('slider', name='Frame').press('End')
        settled(page, 2039)
        printed(page, 1)
        page.locator('.jp-OutputArea-output').get_by_text('row 1 is open').wait_for()
