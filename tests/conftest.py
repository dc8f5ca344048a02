"What tests share: the clips of real people, which lie beside the repository and are never committed."
import os, shutil
from pathlib import Path

import pytest
import torch

torch.set_num_threads(2)


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
