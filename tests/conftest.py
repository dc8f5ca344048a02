"What tests share: the clips of real people, which lie beside the repository and are never committed."
import os, secrets, shutil, socket, subprocess, sys, time, urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

torch.set_num_threads(1 if os.environ.get('PYTEST_XDIST_WORKER') else 2)
KERNELS = {'test_counterfactual', 'test_experiments', 'test_lab', 'test_tutorials'}   # starting at once, they would race for ports


@pytest.hookimpl(tryfirst=True)   # before xdist looks for groups
def pytest_collection_modifyitems(items):
    "Tests of a file run in one process, which makes what they share once; all that start Jupyter kernels run in the same one."
    for item in items: item.add_marker(pytest.mark.xdist_group('kernels' if item.path.stem in KERNELS else item.path.stem))


@pytest.fixture(scope='session')
def real_clips():
    "File stem to path. Without the clips the test is skipped, unless CMDFD_REQUIRE_REAL_CLIPS promises them."
    folder = Path(os.environ.get('CMDFD_REAL_CLIPS') or Path(__file__).parents[2]/'shared'/'real_clips')
    clips = {path.stem: path for path in sorted(folder.glob('*.mp4'))}
    if clips: return clips
    missing = pytest.fail if os.environ.get('CMDFD_REQUIRE_REAL_CLIPS') else pytest.skip
    missing(f'real clips are not published with the repository; none in {folder} (CMDFD_REAL_CLIPS names another folder)')


@pytest.fixture(scope='session')
def browser():
    "Chromium under Playwright. Without it the test is skipped, unless CMDFD_REQUIRE_BROWSER promises it."
    chromium = os.environ.get('CMDFD_CHROMIUM') or shutil.which('chromium') or shutil.which('chromium-browser')
    if not chromium:
        missing = pytest.fail if os.environ.get('CMDFD_REQUIRE_BROWSER') else pytest.skip
        missing('no Chromium here (apt install chromium, or name one in CMDFD_CHROMIUM)')
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=chromium, args=['--no-sandbox', '--autoplay-policy=no-user-gesture-required'])
        yield chrome
        chrome.close()


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def wait_for(url, server, log):
    "Wait until the server answers."
    for _ in range(1800):
        if server.poll() is not None: break
        try: return urllib.request.urlopen(url, timeout=5).close()
        except OSError: time.sleep(.1)
    raise AssertionError(log.read_text())


@pytest.fixture(scope='session')
def lab(tmp_path_factory):
    "A JupyterLab that serves a folder and knows of no settings of this machine: the folder, and the address `at` a notebook in it."
    tmp_path = tmp_path_factory.mktemp('lab')
    own = {name: str(tmp_path/'own'/name) for name in ('JUPYTER_CONFIG_DIR', 'JUPYTER_DATA_DIR', 'JUPYTER_RUNTIME_DIR', 'JUPYTERLAB_SETTINGS_DIR',
                                                       'JUPYTERLAB_WORKSPACES_DIR', 'IPYTHONDIR')}
    port, token = free_port(), secrets.token_hex()
    command = [sys.executable, '-m', 'jupyterlab', '--no-browser', '--allow-root', '--ip=127.0.0.1', f'--port={port}', f'--IdentityProvider.token={token}',
               f'--ServerApp.root_dir={tmp_path}', '--ServerApp.port_retries=0', '--LabApp.news_url=']
    with open(tmp_path/'lab.log', 'w') as log: server = subprocess.Popen(command, env=os.environ | own | dict(JUPYTER_PATH=''), stdout=log, stderr=log)
    try:
        wait_for(f'http://127.0.0.1:{port}/api/status?token={token}', server, tmp_path/'lab.log')
        address = f'http://127.0.0.1:{port}/lab/workspaces'
        yield SimpleNamespace(folder=tmp_path, at=lambda name: f'{address}/{Path(name).stem}/tree/{name}?token={token}')   # no tabs of other tests
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture
def one_thread():
    "Training on one thread, so that the same steps give the same weights."
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
