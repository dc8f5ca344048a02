"JupyterLab itself: a notebook is opened and run, the widget appears, and the kernel hears where somebody stopped."
import os, secrets, socket, subprocess, sys, time, urllib.request
from pathlib import Path

import nbformat
import pytest

from screen import film, made_up, number, position, settled

CELLS = ["""import sys
sys.path.insert(0, {tests!r})
from screen import made_up
from cmdfd_nb.viewer import scrub
widget = scrub(made_up('film.mp4', 100))
heard = []
widget.observe(lambda change: heard.append(change['new']), 'frame')
widget""", "print('heard of', heard)", "widget.frame = 12"]


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


@pytest.fixture
def lab(tmp_path):
    "The address of a JupyterLab that serves a folder with a film and a notebook, and knows of no settings of this machine."
    film(tmp_path/'film.mp4', 100)
    cells = [nbformat.v4.new_code_cell(source.format(tests=str(Path(__file__).parent))) for source in CELLS]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=dict(kernelspec=dict(name='python3', display_name='python3'))), tmp_path/'show.ipynb')
    own = {name: str(tmp_path/'own'/name) for name in ('JUPYTER_CONFIG_DIR', 'JUPYTER_DATA_DIR', 'JUPYTER_RUNTIME_DIR', 'JUPYTERLAB_SETTINGS_DIR',
                                                       'JUPYTERLAB_WORKSPACES_DIR', 'IPYTHONDIR')}
    port, token = free_port(), secrets.token_hex()
    command = [sys.executable, '-m', 'jupyterlab', '--no-browser', '--allow-root', '--ip=127.0.0.1', f'--port={port}', f'--IdentityProvider.token={token}',
               f'--ServerApp.root_dir={tmp_path}', '--ServerApp.port_retries=0', '--LabApp.news_url=']
    with open(tmp_path/'lab.log', 'w') as log: server = subprocess.Popen(command, env=os.environ | own | dict(JUPYTER_PATH=''), stdout=log, stderr=log)
    try:
        wait_for(f'http://127.0.0.1:{port}/api/status?token={token}', server, tmp_path/'lab.log')
        yield f'http://127.0.0.1:{port}/lab/tree/show.ipynb?token={token}'
    finally:
        server.terminate()
        server.wait(30)


def wait_for(url, server, log):
    "Wait until the server answers."
    for _ in range(1800):
        if server.poll() is not None: break
        try: return urllib.request.urlopen(url, timeout=5).close()
        except OSError: time.sleep(.1)
    raise AssertionError(log.read_text())


def printed(page, cell):
    "Run a cell and return what it printed."
    page.locator('.jp-Cell').nth(cell).locator('.jp-InputArea-editor').click()
    page.keyboard.press('Control+Enter')
    page.locator('.jp-Cell').nth(cell).locator('.jp-OutputArea-output').wait_for()
    return page.locator('.jp-Cell').nth(cell).locator('.jp-OutputArea-output').inner_text().strip()


def test_scrubbing_in_jupyterlab(browser, lab):
    context = browser.new_context(viewport=dict(width=1300, height=1400))
    page, errors = context.new_page(), []
    page.on('pageerror', lambda error: errors.append(str(error)))
    page.set_default_timeout(120_000)
    page.goto(lab)
    page.locator('.jp-Notebook .jp-Cell').nth(len(CELLS) - 1).wait_for()
    page.get_by_text('Python 3 (ipykernel) | Idle').wait_for()
    page.get_by_role('menuitem', name='Run', exact=True).click()
    page.locator('.lm-Menu-itemLabel').get_by_text('Run All Cells', exact=True).click()
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
    settled(page, 26)                                                          # the notebook did not take the keys for its own
    assert page.locator('.jp-Cell').count() == len(CELLS)
    page.keyboard.press(' ')
    page.get_by_role('button', name='Pause').wait_for()
    page.keyboard.press(' ')
    assert not errors
    context.close()
