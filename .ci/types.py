"""Run Pyright on the kit, without the findings that come of three idioms which it cannot know.

`@patch` of fastcore adds methods to a class in the cell that explains them, and its `Param(...)` behind the colon of
an argument makes it an option of a command. `np.float32([1, 2])` is an array: NumPy's types convert sequences, as its
user guide says, and its stubs take single numbers only. What is left is printed with a count for each module; the
exit code is 1 if anything is.
"""
import ast, json, re, subprocess, sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIB = ROOT/'cmdfd_nb'
MISSING = re.compile(r'Cannot (?:access|assign to) attribute "(?P<name>\w+)" for class "(?:type\[)?(?P<cls>\w+)'
                     r'|"(?P<method>__\w+__)" method not defined on type "(?P<owner>\w+)')

SEQUENCE = re.compile(r'Argument of type "(?:list|tuple)\[.* to parameter "value" of type "_ConvertibleToFloat')


def patched(tree):
    "Yield (class, name) for each method that `@patch` adds, and for each attribute that such a method assigns to self."
    for f in ast.walk(tree):
        if not isinstance(f, ast.FunctionDef) or not any('patch' in ast.unparse(d) for d in f.decorator_list): continue
        owner = f.args.args[0]
        if owner.annotation is None: continue
        names = {f.name} | {n.attr for n in ast.walk(f) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)
                            and ast.unparse(n.value) == owner.arg}
        yield from ((ast.unparse(owner.annotation), name) for name in names)


def bases(trees):
    "Name of each class of the kit to the names of its bases."
    classes = [c for tree in trees for c in ast.walk(tree) if isinstance(c, ast.ClassDef)]
    return {c.name: [ast.unparse(b) for b in c.bases] for c in classes}


def line(finding): return Path(finding['file']).read_text('utf-8').splitlines()[finding['range']['start']['line']]


class Known:
    "What the source says and Pyright does not see."
    def __init__(self):
        trees = [ast.parse(path.read_text('utf-8')) for path in LIB.rglob('*.py')]
        self.added = {pair for tree in trees for pair in patched(tree)}
        self.bases = bases(trees)

    def has(self, cls, name):
        "Whether a class, or one that it is made from, is given an attribute by `@patch`."
        return (cls, name) in self.added or any(self.has(base, name) for base in self.bases.get(cls, ()))

    def explains(self, finding):
        "Whether a finding comes of one of the three idioms."
        if finding.get('rule') == 'reportInvalidTypeForm': return self.optional(line(finding))
        if 'cannot be called' in finding['message'] and line(finding).startswith('@patch('): return True
        if finding['message'].startswith('Object of type "Tensor" is not callable'): return self.patched_call(finding)
        if SEQUENCE.match(finding['message']): return 'np.float32(' in line(finding)
        found = MISSING.match(finding['message'])
        return bool(found) and self.has(found['cls'] or found['owner'], found['name'] or found['method'])

    def patched_call(self, finding):
        "Whether a call is of a method that `@patch` adds; a module of PyTorch hands out tensors by unknown names."
        start = finding['range']['start']['character']
        called = line(finding)[start:].split('(')[0].split('.')[-1]   # the range may end behind the arguments
        return called in {name for _, name in self.added}

    def optional(self, text):
        "Whether a line declares an option of a command: `name: Param(...)`, or a name or call that stands for one."
        return bool(re.match(r'\s*\w+: ?(Param\(|[a-z_]+\(|[A-Z_]+ ?[=,])', text))


def findings():
    "What Pyright says with the Python that runs this, settings in pyproject.toml."
    command = [sys.executable, '-m', 'pyright', '--pythonpath', sys.executable, '--project', ROOT, '--outputjson']
    done = subprocess.run(command, capture_output=True, text=True)
    if not done.stdout.lstrip().startswith('{'): sys.exit(done.stdout + done.stderr)
    return [f for f in json.loads(done.stdout)['generalDiagnostics'] if f['severity'] == 'error']


def main():
    known = Known()
    left = [f for f in findings() if not known.explains(f)]
    for f in left:
        where = f"{Path(f['file']).relative_to(ROOT)}:{f['range']['start']['line'] + 1}"
        print(f"{where}: {f['message'].splitlines()[0]} [{f.get('rule')}]")
    counts = Counter(Path(f['file']).relative_to(LIB).as_posix() for f in left)
    for name, n in counts.most_common(): print(f'{n:5} {name}')
    print(f'{len(left)} findings of Pyright')
    return int(bool(left))


if __name__ == '__main__': sys.exit(main())
