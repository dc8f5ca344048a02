"The notebooks are the source: what is committed beside them is what they export, and they keep to CONTRIBUTING.md."
import ast, functools, importlib.util, json, os, re, shutil, statistics, subprocess, sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NBS, LIB = ROOT/'nbs', ROOT/'cmdfd_nb'
MACHINE_PATH = re.compile(r'/(root|home|work|tmp|Users)/|[A-Z]:\\\\?Users')


def each(paths):
    "Make one test of a check of a file: it looks at all these files, and lists those in which something is found."
    def all_of(check):
        def test():
            found = {path.relative_to(ROOT).as_posix(): said for path in paths if (said := complaint(check, path))}
            assert not found, '\n\n'.join(f'{name}: {said}' for name, said in found.items())
        test.__name__, test.__doc__ = check.__name__, check.__doc__
        return test
    return all_of


def complaint(check, path):
    "Return what a check has to say of a file, None if nothing."
    try: check(path)
    except AssertionError as error: return f'{error}'.strip() or 'fails'


def under(folder, pattern):
    "Files of a folder, without what tools leave behind."
    return sorted(p for p in folder.rglob(pattern)
                  if not re.search(r'/[._]', p.parent.relative_to(folder.parent).as_posix()))


@functools.cache
def cells(path):
    "(type, source, cell) of each cell."
    return [(c['cell_type'], ''.join(c['source']), c) for c in json.loads(path.read_text('utf-8'))['cells']]


def module_of(path):
    "The module a notebook exports to, or None."
    names = [m[1] for _, source, _ in cells(path) if (m := re.match(r'#\| *default_exp +(\S+)', source))]
    return f'cmdfd_nb.{names[0]}' if names else None


def number_of(path):
    "The place of a notebook in the order of imports, compared as text: 17, then 175, then 18."
    return NO_NUMBER.get(path.name) or re.match(r'\d*', path.name)[0]


NO_NUMBER = {'costs.ipynb': '899'}    # it measures all rooms, and the commands do not need it
NOTEBOOKS, MODULES = under(NBS, '*.ipynb'), [p for p in under(LIB, '*.py') if not p.name.startswith('_')]
EXPORTING = [p for p in NOTEBOOKS if module_of(p)]
NUMBERS = {module_of(p): number_of(p) for p in EXPORTING}
# room to its digit
ROOMS = dict(re.findall(r'^\| `(\w+)` +\| (\d) +\|', (ROOT/'CONTRIBUTING.md').read_text('utf-8'), re.M))


# What is committed is what the tools make

@pytest.fixture(scope='module')
def copy(tmp_path_factory):
    "The notebooks elsewhere, and the front door of the package, of which `nbdev_export` writes the version alone."
    copy = tmp_path_factory.mktemp('copy')
    (copy/'cmdfd_nb').mkdir()
    shutil.copy(LIB/'__init__.py', copy/'cmdfd_nb')
    shutil.copytree(NBS, copy/'nbs', ignore=shutil.ignore_patterns('.*'))
    shutil.copy(ROOT/'settings.ini', copy)
    return copy


def nbdev(command, folder):
    env = {k: v for k, v in os.environ.items() if k != 'IN_TEST'}
    subprocess.run([Path(sys.executable).with_name(command)], cwd=folder, env=env, check=True)


def differing(ours, theirs, pattern):
    "Names of files that one folder has and the other lacks, or has otherwise."
    ours, theirs = ({(p.relative_to(folder).as_posix(), p.read_bytes()) for p in under(folder, pattern)}
                    for folder in (ours, theirs))
    return sorted({name for name, _ in ours ^ theirs})


def test_modules_are_what_the_notebooks_export(copy):
    nbdev('nbdev_export', copy)
    assert not differing(LIB, copy/'cmdfd_nb', '*.py'), 'run nbdev_export'


def test_notebooks_are_clean(copy):
    nbdev('nbdev_clean', copy)
    assert not differing(NBS, copy/'nbs', '*.ipynb'), 'run nbdev_clean'


# Who runs a notebook

RUN_TWICE = {'your_own_videos', 'your_first_real_video'}   # a folder without labels, a filmed person: another way
PLAYERS = {'executed', 'lesson', 'notebook', 'run'}    # functions of tests that run a notebook by its name


def left_to_tests(path):
    "Say whether nbdev_test leaves a notebook out."
    return any(kind == 'raw' and 'skip_exec: true' in source for kind, source, _ in cells(path))


def run_by_tests():
    "Names of the notebooks that tests run."
    calls = [n for path in (ROOT/'tests').glob('test_*.py') for n in ast.walk(tree(path)) if isinstance(n, ast.Call)]
    players = [n for n in calls if isinstance(n.func, ast.Name) and n.func.id in PLAYERS and n.args]
    return {n.args[0].value for n in players if isinstance(n.args[0], ast.Constant)} & {p.stem for p in NOTEBOOKS}


def test_every_notebook_is_run_once():
    "By nbdev_test, or, where it says skip_exec, by a test, which may choose a smaller size."
    left, run = {p.stem for p in NOTEBOOKS if left_to_tests(p)}, run_by_tests()
    assert left <= run, f'nothing runs {left - run}'
    assert run - left == RUN_TWICE, f'nbdev_test runs {run - left - RUN_TWICE}, too'


# What a notebook may carry

def test_a_notebook_saved_with_live_widgets_loses_their_state(tmp_path):
    "`nbdev_clean` keeps the state; `make notebooks` takes it away first."
    data = {'application/vnd.jupyter.widget-view+json': dict(model_id='1'), 'text/plain': ['Panel()']}
    view = dict(output_type='display_data', metadata={}, data=data)
    cell = dict(cell_type='code', id='1', metadata={}, execution_count=1, source=['panel'], outputs=[view])
    metadata = dict(widgets={'state': 'megabytes'}, kernelspec=dict(name='python3'))
    live = dict(cells=[cell], metadata=metadata, nbformat=4, nbformat_minor=5)
    (tmp_path/'live.ipynb').write_text(json.dumps(live))
    subprocess.run([sys.executable, ROOT/'.ci'/'stateless.py', tmp_path/'live.ipynb'], check=True)
    left = json.loads((tmp_path/'live.ipynb').read_text())
    assert list(left['metadata']) == ['kernelspec']
    assert left['cells'][0]['outputs'][0]['data'] == {'text/plain': ['Panel()']}


@each(NOTEBOOKS)
def test_notebook_carries_no_state(path):
    notebook = json.loads(path.read_text('utf-8'))
    assert path.stat().st_size < 300_000
    assert 'widgets' not in notebook['metadata']
    for output in (o for c in notebook['cells'] for o in c.get('outputs', [])):
        assert output['output_type'] != 'error' and output.get('name') != 'stderr', output
        assert not [kind for kind in output.get('data', {}) if 'widget' in kind]
        told = [v for k, v in output.get('data', {}).items() if not k.startswith('image/')]
        text = json.dumps(told) + ''.join(output.get('text', []))
        assert not MACHINE_PATH.search(text), text


def running(nodes):
    "Yield the statements that run when a cell does: those in its loops and blocks, but not in what it defines."
    for node in nodes:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)): continue
        if isinstance(node, ast.stmt): yield node
        if isinstance(node, (ast.stmt, ast.ExceptHandler, ast.match_case)):
            yield from running(ast.iter_child_nodes(node))


def shows(node):
    "Whether a statement evaluates something, other than a test, or names pyplot, whose figures are shown anyway."
    silent = (ast.Constant,) if isinstance(node, ast.Expr) else ()
    if isinstance(node, ast.Expr) and not isinstance(node.value, silent):
        return not re.match(r'test_\w+\(', ast.unparse(node))
    return any(isinstance(n, ast.Name) and n.id == 'plt' for n in ast.walk(node))


def may_show(source):
    "Whether a cell can have an output. Magics can."
    return bool(re.search(r'^[%!]', source, re.M)) or any(map(shows, running(ast.parse(source).body)))


def is_value(source): return isinstance(ast.parse(source).body[-1], ast.Expr)


@each(NOTEBOOKS)
def test_outputs_stand_under_the_cells_that_made_them(path):
    "A cell that only defines or tests things has no output, and a value is shown only where the last statement is one."
    shown = [(source, cell['outputs']) for kind, source, cell in cells(path) if kind == 'code' and cell['outputs']]
    assert not [source for source, _ in shown if not may_show(source)], 'run it again, and print outside of tests'
    values = [source for source, outputs in shown if any(o['output_type'] == 'execute_result' for o in outputs)]
    assert not [source for source in values if not is_value(source)], 'run the notebook again'


def test_cells_that_cannot_show_anything_are_known():
    silent = 'import os', 'x = f()', 'def f(): print(1)', '"""Words."""', 'class A:\n    f()', 'test_eq(1, 1)'
    shown = 'x', 'for i in x: print(i)', '_ = plt.plot(x)', 'with a:\n    if b: c()', '%pip list'
    assert not any(map(may_show, silent)) and all(map(may_show, shown))


# Where a notebook stands

def test_rooms_have_a_digit_each():
    "CONTRIBUTING.md lists the rooms in order; every folder of notebooks that are modules is one of them."
    assert list(ROOMS.values()) == [str(k) for k in range(1, len(ROOMS) + 1)]
    assert set(ROOMS) == {p.relative_to(NBS).parts[0] for p in EXPORTING if p.parent != NBS}


@each(EXPORTING)
def test_notebook_stands_where_its_module_does(path):
    *folders, name = path.relative_to(NBS).with_suffix('').parts
    assert module_of(path) == '.'.join(['cmdfd_nb', *folders, re.sub(r'^\d+_', '', name)])
    if folders:
        room = int(ROOMS[folders[0]])   # what stands before number 10 of room 1 is 09...
        where = f'notebooks of {folders[0]} begin with {room}, or just before'
        assert re.match(rf'({room}|{room - 1}9\d)\d*_', name), where


def test_places_are_taken_once():
    assert not [number for number, n in Counter(NUMBERS.values()).items() if n > 1 or not number]


@each([p for p in NOTEBOOKS if p.relative_to(NBS).parts[0] in ('index.ipynb', 'experiments', 'tutorials')])
def test_lessons_and_experiments_are_no_modules(path):
    assert not number_of(path) and not module_of(path)


# How a module's notebook reads

@each(EXPORTING)
def test_notebook_opens_with_its_module_and_a_subtitle(path):
    kind, source, _ = cells(path)[0]
    title, _, subtitle = source.partition('\n')
    assert kind == 'markdown' and title == f'# {module_of(path).removeprefix("cmdfd_nb.")}'
    assert re.fullmatch(r'\s*> \S.+\s*', subtitle)


def story(path):
    "A letter per code cell: d exports a definition, t asserts something, u uses something in another way."
    letters = ''
    for source in (source for kind, source, _ in cells(path) if kind == 'code'):
        if re.match(r'#\| *(export|default_exp)', source):
            letters += 'd' * bool(re.search(r'^(def|class|@)', source, re.M))
        else: letters += 't' if re.search(r'\btest_\w+\(|\bassert\b', source) else 'u'
    return letters


@each(EXPORTING)
def test_definitions_are_followed_by_proof(path):
    order = story(path)
    assert 'dddd' not in order, f'{order}: four cells that define, and none that uses what they define'
    assert 2 * order.count('t') >= order.count('d'), f'{order}: fewer than one cell that asserts for two that define'
    assert order.rstrip('u').endswith('t'), f'{order}: the last definition is not proved'


def exported(path):
    "Source of each exported cell, without its directives and blank lines."
    code = (source for kind, source, _ in cells(path) if kind == 'code' and re.match(r'#\| *export\b', source))
    return ['\n'.join(line for line in source.splitlines() if line.strip() and not line.startswith('#|'))
            for source in code]


def lines_of(source): return len(source.splitlines())


LISTS = {'90_cli': 660}   # a list of commands, which share one parser of options: lines that it may have


@each(EXPORTING)
def test_notebook_is_one_idea(path):
    assert sum(map(lines_of, exported(path))) <= LISTS.get(path.stem, 300), 'split it along its ideas'


def defines(source): return any(isinstance(n, (ast.FunctionDef, ast.ClassDef)) for n in ast.parse(source).body)


def test_cells_that_define_are_short():
    "About 15 lines; what is over 18 needs a reason, such as a class whose fields are all explained."
    cells_of = {path: [source for source in exported(path) if defines(source)] for path in EXPORTING}
    long = [f'{path.stem}, {lines_of(source)} lines: {source.splitlines()[0]}'
            for path, sources in cells_of.items() for source in sources if lines_of(source) > 18]
    cells = sum(map(len, cells_of.values()))
    assert len(long) <= .06 * cells, '\n'.join([f'{len(long)} of {cells}', *long])


@each(EXPORTING)
def test_exported_lines_fit_a_page(path):
    assert not [line for source in exported(path) for line in source.splitlines() if len(line) > 120]


# How a module is written

RIDDLE = re.compile(r'(What|How|Who|Whose|Where|Which|Why|When|Whether)\b')


@functools.cache
def tree(path): return ast.parse(path.read_text('utf-8'))


def definitions(path, nested=True):
    nodes = ast.walk(tree(path)) if nested else tree(path).body
    return [n for n in nodes if isinstance(n, (ast.FunctionDef, ast.ClassDef))]


@each(MODULES)
def test_public_definitions_say_what_they_do(path):
    public = [n for n in definitions(path, nested=False) if not n.name.startswith('_')]
    assert not [n.name for n in public if not ast.get_docstring(n)]


@each(MODULES)
def test_docstrings_name_what_is_done(path):
    "Verb and object, not an indirect question."
    docstrings = [ast.get_docstring(n) or '' for n in (tree(path), *definitions(path))]
    assert not [text.splitlines()[0] for text in docstrings if RIDDLE.match(text)]


@each(MODULES)
def test_functions_are_made_by_def(path):
    bound = [n for n in ast.walk(tree(path)) if isinstance(n, (ast.Assign, ast.AnnAssign, ast.NamedExpr))]
    assert not [ast.unparse(n) for n in bound if isinstance(n.value, ast.Lambda)]


def public_names(path):
    "What `__all__` lists."
    lists = [n.value for n in tree(path).body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == '__all__']
    return [name for node in lists for name in ast.literal_eval(node)]


def test_a_public_name_exists_once():
    homes = {}
    for path in MODULES:
        for name in public_names(path): homes.setdefault(name, []).append(path.relative_to(LIB).as_posix())
    assert not {name: paths for name, paths in homes.items() if len(paths) > 1}


def length(function):
    "Lines of code, without signature and docstring."
    body = function.body[bool(ast.get_docstring(function)):]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_functions_are_short():
    functions = [(path, f) for path in MODULES for f in definitions(path) if isinstance(f, ast.FunctionDef)]
    lengths = {f'{path.stem}.{f.name}': length(f) for path, f in functions}
    assert statistics.median(lengths.values()) <= 7
    assert sum(n >= 15 for n in lengths.values()) <= len(lengths) / 10, {k: n for k, n in lengths.items() if n >= 15}


def imported(path):
    "Modules of the kit that a module imports, anywhere in it."
    package = '.'.join(path.relative_to(ROOT).parent.parts)
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import): yield from (a.name for a in node.names)
        if isinstance(node, ast.ImportFrom):
            source = importlib.util.resolve_name('.' * node.level + (node.module or ''), package)
            yield from [source, *(f'{source}.{a.name}' for a in node.names)]


@each(MODULES)
def test_module_imports_only_what_stands_before_it(path):
    name = '.'.join(path.relative_to(ROOT).with_suffix('').parts)
    others = {other: NUMBERS[other] for other in imported(path) if other in NUMBERS}
    assert not {other: number for other, number in others.items() if number >= NUMBERS[name]}


IMPORT_ALL = '''
import importlib, sys, torch

def touched(*args, **kwargs): raise AssertionError('CUDA was touched by an import')
for name in ('_lazy_init', 'init', 'is_available', 'device_count'): setattr(torch.cuda, name, touched)
for name in sys.argv[1:]: importlib.import_module(name)
heavy = {'espeakng_loader', 'nbdev', 'papermill', 'plotly', 'sklearn', 'umap'}
print(*{name.split('.')[0] for name in sys.modules} & heavy)
'''


def test_imports_touch_no_gpu_and_nothing_heavy():
    done = subprocess.run([sys.executable, '-c', IMPORT_ALL, *NUMBERS], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not done.stdout.strip(), f'imported at import: {done.stdout}'
