"The project around the notebooks: a wheel that works elsewhere, a README that is its notebook, files that tools read."
import configparser, importlib, os, re, shutil, subprocess, sys, zipfile
from pathlib import Path

import pytest
import yaml

from cmdfd_nb.data.manifest import read_manifest

ROOT = Path(__file__).parents[1]
MODULES = sorted('.'.join(p.relative_to(ROOT).with_suffix('').parts) for p in (ROOT/'cmdfd_nb').rglob('[!_]*.py'))


def version():
    config = configparser.ConfigParser()
    config.read(ROOT/'settings.ini', encoding='utf-8')
    return config['DEFAULT']['version']


@pytest.fixture(scope='module')
def copy(tmp_path_factory):
    "The repository elsewhere, without what is ignored."
    copy = tmp_path_factory.mktemp('project')/'cmdfd_nb'
    ignored = shutil.ignore_patterns('.venv', '.git', '.*cache', '.whl', '*.egg-info', '__pycache__', 'out', 'runs',
                                     'build', 'dist')
    return Path(shutil.copytree(ROOT, copy, ignore=ignored))


@pytest.fixture(scope='module')
def wheel(copy, tmp_path_factory):
    out = tmp_path_factory.mktemp('wheel')
    subprocess.run([sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation', '-w', out, copy],
                   check=True)
    return next(out.glob('*.whl'))


@pytest.fixture(scope='module')
def site(wheel, tmp_path_factory):
    "A folder into which the wheel is installed."
    site = tmp_path_factory.mktemp('site')
    subprocess.run([sys.executable, '-m', 'pip', 'install', '-q', '--no-deps', '--target', site, wheel], check=True)
    return site


def test_wheel_holds_the_package_and_nothing_else(wheel):
    names = [name for name in zipfile.ZipFile(wheel).namelist() if not re.match(r'cmdfd_nb-[^/]+\.dist-info/', name)]
    ours = [p for p in (ROOT/'cmdfd_nb').rglob('*.*') if '__pycache__' not in p.parts]
    assert sorted(names) == sorted(p.relative_to(ROOT).as_posix() for p in ours)


def test_wheel_states_what_it_is(wheel):
    with zipfile.ZipFile(wheel) as z:
        metadata = next(z.read(name).decode() for name in z.namelist() if name.endswith('/METADATA'))
    for line in (f'Version: {version()}', 'License-Expression: Apache-2.0', 'License-File: LICENSE',
                 'Provides-Extra: synth'):
        assert f'\n{line}\n' in metadata
    assert re.search(r'\nRequires-Dist: torch<2\.15,>=2\.6\n', metadata)


def test_wheel_works_outside_the_checkout_and_brings_the_numbers_of_the_paper(site, tmp_path):
    code = (f'import sys; sys.path.insert(0, {str(site)!r})\nimport {", ".join(MODULES)}\n'
            'from cmdfd_nb.paper import published\nprint(cmdfd_nb.core.__file__)\nprint(published.__file__)\n'
            'print([n[4] for n in published.PUBLISHED if n[:3] == ("III", "paper", "AVG")])')
    done = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *files, numbers = done.stdout.splitlines()
    assert len(files) == 2 and all(Path(file).is_relative_to(site) for file in files) and numbers == '[0.87]'


def test_commands_exist(wheel):
    with zipfile.ZipFile(wheel) as z:
        text = next(z.read(name).decode() for name in z.namelist() if name.endswith('/entry_points.txt'))
    entries = configparser.ConfigParser(delimiters='=')
    entries.read_string(text)
    for module, function in (target.split(':') for target in entries['console_scripts'].values()):
        assert callable(getattr(importlib.import_module(module), function))
    written = '\n'.join(path.read_text('utf-8') for path in (ROOT/'cmdfd_nb').rglob('[!_]*.py'))
    # every command is installed
    pattern = r'^@command(?:\([^@]*?\))?\ndef (cmdfd_\w+)\('
    assert set(entries['console_scripts']) == set(re.findall(pattern, written, re.M))


def test_files_share_a_process(request):
    "pytest-xdist 3.8 loses its groups under pytest 9.2: fixtures are made twice then, and kernels race for ports."
    assert 'PYTEST_XDIST_WORKER' not in os.environ or request.node.nodeid.endswith('@test_project')


def lines(path): return [line.rstrip() for line in path.read_text('utf-8').splitlines() if line.strip()]


def test_readme_is_its_notebook(copy):
    committed = lines(copy/'README.md')
    (copy/'.venv').symlink_to(sys.prefix)
    subprocess.run(['make', '-o', '.venv/.dev', 'readme'], cwd=copy, check=True)  # -o: installs nothing
    assert committed == lines(copy/'README.md'), 'run make readme'


def test_readme_links_lead_somewhere():
    links = re.findall(r'\]\(([^)#]+)|src="([^"#]+)"', (ROOT/'README.md').read_text('utf-8'))
    local = [a or b for a, b in links if not re.match(r'https?:', a or b)]
    assert local
    assert not [link for link in local if not (ROOT/link).exists()]


BLOCKS = re.findall(r'^```python\n(.*?)^```', (ROOT/'CONTRIBUTING.md').read_text('utf-8'), re.M | re.S)


@pytest.fixture
def interviews(tmp_path):
    "Files in the layout of the example, and one that belongs to nobody; in the folder that examples run in."
    for name in ('ana/real/1.mp4', 'ana/dubbed/1.mp4', 'ben/real/1.mp4', 'stray.mp4'):
        (tmp_path/'interviews'/name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path/'interviews'/name).write_bytes(b'')
    return tmp_path


def python(code, folder, *paths):
    "Run code in a folder as a script of yours would run."
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(map(str, (*paths, ROOT))))
    done = subprocess.run([sys.executable, '-c', code], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def assert_interviews(path):
    "The dubbed clip has a fake voice under real pictures, and the stray file is named."
    table = read_manifest(path)
    labels = table.rows.set_index('path')[['label', 'audio_label', 'visual_label']]
    assert labels.loc['ana/dubbed/1.mp4'].tolist() == [1, 1, 0] and labels.loc['ben/real/1.mp4'].tolist() == [0, 0, 0]
    assert len(table) == 3 and [problem['file'] for problem in table.problems] == ['stray.mp4']


def test_examples_of_contributing_run(interviews):
    assert len(BLOCKS) == 6
    python('\n'.join(BLOCKS), interviews)
    assert_interviews(interviews/'interviews.parquet')


def test_a_layout_of_an_installed_package_is_found_by_the_command(interviews, tmp_path_factory):
    site = tmp_path_factory.mktemp('site')
    layout, = (block for block in BLOCKS if 'register_layout(' in block)
    (site/'interviews_layout.py').write_text(layout)
    about = site/'interviews-1.0.dist-info'
    about.mkdir()
    (about/'entry_points.txt').write_text('[cmdfd_nb.layouts]\ninterviews = interviews_layout\n')
    command = "from cmdfd_nb.cli import cmdfd_index as c; assert c('interviews', 'interviews', out='m.parquet') == 0"
    done = python(command, interviews, site)
    assert 'Wrote 3 rows' in done.stdout and 'stray.mp4' in done.stderr
    assert_interviews(interviews/'m.parquet')


def test_citation_names_paper_and_kit():
    kit = yaml.safe_load((ROOT/'CITATION.cff').read_text('utf-8'))
    paper = kit['preferred-citation']
    assert kit['cff-version'] == '1.2.0' and str(kit['version']) == version() and kit['message'] and kit['title']
    assert all('name' in a or {'family-names', 'given-names'} <= set(a) for a in kit['authors'] + paper['authors'])
    assert paper['url'] == 'https://arxiv.org/abs/2404.19171' and paper['year'] == 2024


def test_changelog_tells_of_this_version():
    assert re.search(rf'^## \[{re.escape(version())}\]', (ROOT/'CHANGELOG.md').read_text('utf-8'), re.M)
    import cmdfd_nb
    assert cmdfd_nb.__version__ == version()


def test_every_line_of_the_full_tier_names_something():
    named = [line.split()[0] for line in lines(ROOT/'.ci'/'full.txt') if line[0] != '#']
    assert not [line for line in named if not (ROOT/line.split('::')[0]).exists()]
    tests = [line.split('::') for line in named if '::' in line]
    assert not [test for file, test in tests if f'def {test.split("[")[0]}' not in (ROOT/file).read_text('utf-8')]
