"The notebooks are the source: what is committed beside them is what they export, and they keep the rules of CONTRIBUTING.md."
import ast, importlib.util, json, os, re, shutil, statistics, subprocess, sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NBS, LIB = ROOT/'nbs', ROOT/'cmdfd_nb'
MACHINE_PATH = re.compile(r'/(root|home|work|tmp|Users)/|[A-Z]:\\\\?Users')


def each(paths): return pytest.mark.parametrize('path', paths, ids=lambda p: p.relative_to(ROOT).as_posix())


def under(folder, pattern):
    "Files of a folder, without what tools leave behind."
    return sorted(p for p in folder.rglob(pattern) if not re.search(r'/[._]', p.parent.relative_to(folder.parent).as_posix()))


def cells(path):
    "(type, source, cell) of each cell."
    return [(c['cell_type'], ''.join(c['source']), c) for c in json.loads(path.read_text('utf-8'))['cells']]


def module_of(path):
    "The module a notebook exports to, or None."
    names = [m[1] for _, source, _ in cells(path) if (m := re.match(r'#\| *default_exp +(\S+)', source))]
    return f'cmdfd_nb.{names[0]}' if names else None


NOTEBOOKS, MODULES = under(NBS, '*.ipynb'), [p for p in under(LIB, '*.py') if not p.name.startswith('_')]
EXPORTING = [p for p in NOTEBOOKS if module_of(p)]
NUMBERS = {module_of(p): int(p.name.split('_')[0]) for p in EXPORTING}


# What is committed is what the tools make

@pytest.fixture(scope='module')
def copy(tmp_path_factory):
    "The notebooks alone, elsewhere."
    copy = tmp_path_factory.mktemp('copy')
    shutil.copytree(NBS, copy/'nbs', ignore=shutil.ignore_patterns('.*'))
    shutil.copy(ROOT/'settings.ini', copy)
    return copy


def nbdev(command, folder):
    env = {k: v for k, v in os.environ.items() if k != 'IN_TEST'}
    subprocess.run([Path(sys.executable).with_name(command)], cwd=folder, env=env, check=True)


def differing(ours, theirs, pattern):
    "Names of files that one folder has and the other lacks, or has otherwise."
    ours, theirs = ({(p.relative_to(folder).as_posix(), p.read_bytes()) for p in under(folder, pattern)} for folder in (ours, theirs))
    return sorted({name for name, _ in ours ^ theirs})


def test_modules_are_what_the_notebooks_export(copy):
    nbdev('nbdev_export', copy)
    assert not differing(LIB, copy/'cmdfd_nb', '*.py'), 'run nbdev_export'


def test_notebooks_are_clean(copy):
    nbdev('nbdev_clean', copy)
    assert not differing(NBS, copy/'nbs', '*.ipynb'), 'run nbdev_clean'


# What a notebook may carry

def test_a_notebook_saved_with_live_widgets_loses_their_state(tmp_path):
    "`nbdev_clean` keeps the state; `make notebooks` takes it away first."
    view = dict(output_type='display_data', metadata={}, data={'application/vnd.jupyter.widget-view+json': dict(model_id='1'), 'text/plain': ['Panel()']})
    cell = dict(cell_type='code', id='1', metadata={}, execution_count=1, source=['panel'], outputs=[view])
    live = dict(cells=[cell], metadata=dict(widgets={'state': 'megabytes'}, kernelspec=dict(name='python3')), nbformat=4, nbformat_minor=5)
    (tmp_path/'live.ipynb').write_text(json.dumps(live))
    subprocess.run([sys.executable, ROOT/'.ci'/'stateless.py', tmp_path/'live.ipynb'], check=True)
    left = json.loads((tmp_path/'live.ipynb').read_text())
    assert list(left['metadata']) == ['kernelspec'] and left['cells'][0]['outputs'][0]['data'] == {'text/plain': ['Panel()']}


@each(NOTEBOOKS)
def test_notebook_carries_no_state(path):
    notebook = json.loads(path.read_text('utf-8'))
    assert path.stat().st_size < 300_000
    assert 'widgets' not in notebook['metadata']
    for output in (o for c in notebook['cells'] for o in c.get('outputs', [])):
        assert output['output_type'] != 'error' and output.get('name') != 'stderr', output
        assert not [kind for kind in output.get('data', {}) if 'widget' in kind]
        text = json.dumps([v for k, v in output.get('data', {}).items() if not k.startswith('image/')]) + ''.join(output.get('text', []))
        assert not MACHINE_PATH.search(text), text


# How a module's notebook reads

@each(EXPORTING)
def test_notebook_opens_with_its_module_and_a_subtitle(path):
    kind, source, _ = cells(path)[0]
    title, _, subtitle = source.partition('\n')
    assert kind == 'markdown' and f'.{module_of(path)}'.endswith(f'.{title.removeprefix("# ")}')
    assert re.fullmatch(r'\s*> \S.+\s*', subtitle)


def story(path):
    "A letter per code cell: d exports a definition, t asserts something, u uses something in another way."
    letters = ''
    for source in (source for kind, source, _ in cells(path) if kind == 'code'):
        if re.match(r'#\| *(export|default_exp)', source): letters += 'd' * bool(re.search(r'^(def|class|@)', source, re.M))
        else: letters += 't' if re.search(r'\btest_\w+\(|\bassert\b', source) else 'u'
    return letters


@each(EXPORTING)
def test_definitions_are_followed_by_proof(path):
    order = story(path)
    assert 'dddd' not in order, f'{order}: four cells that define, and none that uses what they define'
    assert 2 * order.count('t') >= order.count('d'), f'{order}: fewer than one cell that asserts for two that define'
    assert order.rstrip('u').endswith('t'), f'{order}: the last definition is not proved'


# How a module is written

def definitions(path, nested=True):
    tree = ast.parse(path.read_text('utf-8'))
    return [n for n in (ast.walk(tree) if nested else tree.body) if isinstance(n, (ast.FunctionDef, ast.ClassDef))]


@each(MODULES)
def test_public_definitions_say_what_they_do(path):
    assert not [n.name for n in definitions(path, nested=False) if not n.name.startswith('_') and not ast.get_docstring(n)]


def length(function):
    "Lines of code, without signature and docstring."
    body = function.body[bool(ast.get_docstring(function)):]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_functions_are_short():
    lengths = {f'{path.stem}.{f.name}': length(f) for path in MODULES for f in definitions(path) if isinstance(f, ast.FunctionDef)}
    assert statistics.median(lengths.values()) <= 7
    assert sum(n >= 15 for n in lengths.values()) <= len(lengths) / 10, {k: n for k, n in lengths.items() if n >= 15}


def imported(path):
    "Modules of the kit that a module imports, anywhere in it."
    package = '.'.join(path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text('utf-8'))):
        if isinstance(node, ast.Import): yield from (a.name for a in node.names)
        if isinstance(node, ast.ImportFrom):
            source = importlib.util.resolve_name('.' * node.level + (node.module or ''), package)
            yield from [source, *(f'{source}.{a.name}' for a in node.names)]


@each(MODULES)
def test_module_imports_only_lower_numbers(path):
    name = '.'.join(path.relative_to(ROOT).with_suffix('').parts)
    assert not {other for other in imported(path) if NUMBERS.get(other, -1) >= NUMBERS[name]}


IMPORT_ALL = '''
import importlib, sys, torch

def touched(*args, **kwargs): raise AssertionError('CUDA was touched by an import')
for name in ('_lazy_init', 'init', 'is_available', 'device_count'): setattr(torch.cuda, name, touched)
for name in sys.argv[1:]: importlib.import_module(name)
print(*{name.split('.')[0] for name in sys.modules} & {'espeakng_loader', 'nbdev', 'papermill', 'plotly', 'sklearn', 'umap'})
'''


def test_imports_touch_no_gpu_and_nothing_heavy():
    done = subprocess.run([sys.executable, '-c', IMPORT_ALL, *NUMBERS], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not done.stdout.strip(), f'imported at import: {done.stdout}'
