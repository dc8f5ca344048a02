"What tests share: their two tiers, what lies beside the repository and is never committed, a browser, a JupyterLab."
import contextlib, io, json, os, secrets, shutil, socket, subprocess, sys, time, unittest.mock, urllib.request
from collections import Counter
from importlib.util import find_spec
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from cmdfd_nb.media.wheels import NoModel, fetch_model
from cmdfd_nb.pool import start_server
from films import begin

sys.modules.setdefault('rfc3987_syntax', None)   # nbformat does without it; its grammar takes 2 s to compile
torch.set_num_threads(1 if os.environ.get('PYTEST_XDIST_WORKER') else 2)
if os.environ.get('PYTEST_XDIST_WORKER'): cv2.setNumThreads(1)
ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent/'shared'
FULL = tuple(line.split()[0] for line in (ROOT/'.ci'/'full.txt').read_text('utf-8').splitlines()
             if line.startswith('tests/'))
# fixtures that need more than the clone
BEYOND = {'browser', 'cases', 'lab', 'landmark_model', 'official_lists', 'published_names', 'real_clips',
          'recogniser', 'scored_clips', 'wild_clips'}
# groups that take longest, in seconds of CPU
LONG = ('kernels', 'test_world_build', 'footage', 'test_survival', 'test_tutorials', 'test_verdicts', 'test_dry',
        'test_report', 'test_parity', 'test_world_forge', 'test_world_face', 'test_project', 'test_cli')
# at once, they would race for ports
KERNELS = {'test_counterfactual', 'test_experiments', 'test_lab'}
# they share what is found in each real clip
FOOTAGE = {'test_clip', 'test_faces', 'test_media', 'test_perturb', 'test_score'}
GROUPS = dict.fromkeys(KERNELS, 'kernels') | dict.fromkeys(FOOTAGE, 'footage')


# Which tests run, and what is said of those that do not

def group_of(item): return GROUPS.get(item.path.stem, item.path.stem)


@pytest.hookimpl(tryfirst=True)   # before xdist looks for groups, and before -m chooses
def pytest_collection_modifyitems(items):
    """Tests of a file run in one process, which makes what they share once; so do those of some files, see `GROUPS`.
    A test is of the full tier if .ci/full.txt names it or its file, or if it needs more than the clone.
    The longest begin first, so that processes end together: those of `LONG`, then other files of the full tier."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group_of(item)))
        if item.nodeid.startswith(FULL) or BEYOND & set(item.fixturenames): item.add_marker(pytest.mark.full)
    named = {line.partition('::')[0] for line in FULL}
    rank = {group: i for i, group in enumerate(LONG)}
    items.sort(key=lambda item: (rank.get(group_of(item), len(LONG)), f'tests/{item.path.name}' not in named))


@pytest.hookimpl(trylast=True)    # below the slowest tests
def pytest_terminal_summary(terminalreporter):
    "Say in one line how many tests were left out, and what they need."
    skipped = Counter(report.longrepr[2].removeprefix('Skipped: ')
                      for report in terminalreporter.stats.get('skipped', []))
    causes = '; '.join(f'{n} tests need {what}' if n > 1 else f'1 test needs {what}'
                       for what, n in skipped.most_common())
    if causes: terminalreporter.write_line(f'Left out: {causes}.')


def pytest_sessionstart(session):
    "Import once what worker processes of the kit need: each of them begins as a copy."
    if session.config.getoption('numprocesses', None) is None or 'PYTEST_XDIST_WORKER' in os.environ:
        needed_by_most = 'judge.score', 'world.build', 'data.audit.report', 'paper.jobs'
        start_server(*(f'cmdfd_nb.{name}' for name in needed_by_most))


def needed(found, what, name):
    "Return what was found. Without it the test is skipped, unless the variable CMDFD_REQUIRE_<name> promises it."
    if found: return found
    missing = pytest.fail if os.environ.get(f'CMDFD_REQUIRE_{name}') else pytest.skip
    missing(what)


# What lies beside the repository

# of these, whose properties last, four seconds will do; the others are of five to eight seconds
LASTING = 'hevc_1080x1920_small_face', 'no_audio_704x1216', 'vox_c', 'vox_e'


@pytest.fixture(scope='session')
def real_clips(tmp_path_factory):
    "File stem to path."
    folder = Path(os.environ.get('CMDFD_REAL_CLIPS') or SHARED/'real_clips')
    clips = {path.stem: path for path in sorted(folder.glob('*.mp4'))}
    short = tmp_path_factory.mktemp('short')
    clips |= {name: begin(clips[name], short/clips[name].name, 4) for name in LASTING if name in clips}
    return needed(clips, 'clips of real people, which are not published (CMDFD_REAL_CLIPS names their folder)',
                  'REAL_CLIPS')


@pytest.fixture(scope='session')
def wild_clips():
    "Folder with sources.csv and clips in real/, lipsync/ and talkinghead/."
    folder = Path(os.environ.get('CMDFD_WILD') or SHARED/'wild')
    there = folder if (folder/'sources.csv').exists() else None
    return needed(there, 'clips of filmed and of generated people, which are not published (CMDFD_WILD names their '
                  'folder)', 'WILD')


@pytest.fixture(scope='session')
def scored_clips(real_clips):
    """What the command says of all real clips, run once in this process; beside it, by the name of a file,
    what it read (kinds of pictures and sounds with their number, and the whole sound) and what it cut out."""
    from cmdfd_nb import cli
    from cmdfd_nb.judge import score
    from cmdfd_nb.media import clip
    read, cut = {}, {name: [] for name in real_clips}

    def reading(path, *args, lockstep=clip.lockstep):
        kinds, sounds = Counter(), []
        for picture, sound in lockstep(path, *args):
            kinds[picture.shape, picture.dtype, sound.shape, sound.dtype] += 1
            sounds.append(sound)
            yield picture, sound
        read[Path(path).stem] = kinds, np.concatenate(sounds)

    def cutting(path, config, *args, clips=score.clips, **options):
        for one in clips(path, replace(config, views=(*config.views, 'audio')), *args, **options):
            cut[Path(path).stem].append(one)
            yield one

    paths = list(map(str, real_clips.values()))
    with (contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()),
          unittest.mock.patch.object(clip, 'lockstep', reading), unittest.mock.patch.object(score, 'clips', cutting)):
        code = cli.cmdfd_score(paths, weights='seeded', device='cpu', json=True, workers=0)
    return SimpleNamespace(code=code, records=json.loads(out.getvalue()), read=read, cut=cut)


@pytest.fixture(scope='session')
def official_lists():
    "Folder of the authors' csv files."
    folder = Path(os.environ.get('CMDFD_OFFICIAL_LISTS') or SHARED/'official_lists')
    there = folder if any(folder.glob('*.csv')) else None
    return needed(there, "the authors' csv lists (CMDFD_OFFICIAL_LISTS names their folder)", 'OFFICIAL_LISTS')


@pytest.fixture(scope='session')
def published_names():
    "Folder of AVH-Align's lists (avh_sup/csv_metadata/favc) and FACTOR's (audio-visual/data), in one."
    folder = Path(os.environ.get('CMDFD_PUBLISHED_NAMES') or SHARED/'published_names')
    there = folder if (folder/'train_split.csv').exists() and (folder/'rvra.npy').exists() else None
    what = "lists of FakeAVCeleb's names by AVH-Align and FACTOR (CMDFD_PUBLISHED_NAMES names their folder)"
    return needed(there, what, 'PUBLISHED_NAMES')


@pytest.fixture(scope='session')
def cases():
    "File name to path of the recordings with an odd property each."
    folder = Path(os.environ.get('CMDFD_CASES') or SHARED/'cases')
    found = {path.name: path for path in sorted(folder.glob('*')) if path.is_file()}
    return needed(found, 'recordings with odd properties (CMDFD_CASES names their folder)', 'CASES')


@pytest.fixture(scope='session')
def landmark_model():
    "Path of the network that finds landmarks."
    try: found = fetch_model('landmarks')
    except NoModel: found = None
    return needed(found, 'the landmark model, which pip could not fetch (cmdfd_models landmarks)', 'MODELS')


@pytest.fixture(scope='session')
def recogniser():
    "Whether pocketsphinx is installed, which hears phones."
    return needed(find_spec('pocketsphinx'), 'pocketsphinx (pip install "cmdfd_nb[real]")', 'MODELS')


@pytest.fixture(scope='session')
def browser():
    "Chromium under Playwright."
    chromium = os.environ.get('CMDFD_CHROMIUM') or shutil.which('chromium') or shutil.which('chromium-browser')
    needed(chromium, 'Chromium (apt install chromium, or CMDFD_CHROMIUM names one)', 'BROWSER')
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        args = ['--no-sandbox', '--autoplay-policy=no-user-gesture-required']
        chrome = playwright.chromium.launch(executable_path=chromium, args=args)
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
    "A JupyterLab without settings of this machine: the folder it serves, and the address `at` a notebook in it."
    tmp_path = tmp_path_factory.mktemp('lab')
    own = {name: str(tmp_path/'own'/name)
           for name in ('JUPYTER_CONFIG_DIR', 'JUPYTER_DATA_DIR', 'JUPYTER_RUNTIME_DIR', 'JUPYTERLAB_SETTINGS_DIR',
                                                       'JUPYTERLAB_WORKSPACES_DIR', 'IPYTHONDIR')}
    port, token = free_port(), secrets.token_hex()
    command = [sys.executable, '-m', 'jupyterlab', '--no-browser', '--allow-root', '--ip=127.0.0.1', f'--port={port}',
               f'--IdentityProvider.token={token}', f'--ServerApp.root_dir={tmp_path}', '--ServerApp.port_retries=0',
               '--LabApp.news_url=']
    with open(tmp_path/'lab.log', 'w') as log:
        server = subprocess.Popen(command, env=os.environ | own | dict(JUPYTER_PATH=''), stdout=log, stderr=log)
    try:
        wait_for(f'http://127.0.0.1:{port}/api/status?token={token}', server, tmp_path/'lab.log')
        address = f'http://127.0.0.1:{port}/lab/workspaces'
        # no tabs of other tests
        yield SimpleNamespace(folder=tmp_path, at=lambda name: f'{address}/{Path(name).stem}/tree/{name}?token={token}')
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture(scope='session')
def lab_page(browser):
    "Open a page of JupyterLab; all of them have loaded its 20 MB of code once."
    context = browser.new_context(viewport=dict(width=1300, height=1500))
    yield context.new_page
    context.close()


@pytest.fixture
def one_thread():
    "Training on one thread, so that the same steps give the same weights."
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
