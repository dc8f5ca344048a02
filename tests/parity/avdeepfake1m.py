"""Make avdeepfake1m.json: seeded proposals and periods, and what the public package says of them.

    pip download avdeepfake1m==0.0.4 --no-deps --python-version 3.11 --only-binary :all:
    unzip avdeepfake1m-*.whl -d there
    python3.11 tests/parity/avdeepfake1m.py there

Only the compiled module of the package is loaded (it needs nothing else). It cannot read a video without proposals.
"""
import importlib.util
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

IOUS, FIRST, RECALL = [.5, .75, .9, .95], [100, 50, 20, 10, 5, 1], [round(.5 + .05 * k, 2) for k in range(10)]


def segment(rng, length):
    a, b = sorted(rng.uniform(0, length, 2))
    return [round(float(a), 2), round(float(b) + .05, 2)]


def near(rng, period, length):
    a, b = (round(float(t + rng.normal(0, .06)), 2) for t in period)
    return [a, b] if a < b else segment(rng, length)


def proposals(rng, length, true, n):
    "Half of them near a true period; every third score has one digit, so that there are ties; one is there twice."
    rows = []
    for k in range(n):
        place = near(rng, true[rng.integers(len(true))], length) if true and rng.random() < .5 else segment(rng, length)
        rows.append([round(float(rng.random()), 4 if k % 3 else 1), *place])
    return sorted(rows + rows[:n > 3], key=lambda row: -row[0])


def videos(rng, n=40):
    "Every third video is real."
    labels, found = {}, {}
    for k in range(n):
        length = float(rng.uniform(3, 9))
        cuts = np.sort(rng.uniform(0, length, 2 * int(rng.integers(1, 4)) if k % 3 else 0)).round(2).tolist()
        labels[f'{k:02}.mp4'] = [[a, b] for a, b in zip(cuts[::2], cuts[1::2]) if b > a]
        found[f'{k:02}.mp4'] = proposals(rng, length, labels[f'{k:02}.mp4'], int(rng.integers(1, 30)))
    return labels, found


def package(there):
    binary = next(Path(there).glob('avdeepfake1m/_evaluation*.so'))
    spec = importlib.util.spec_from_file_location('avdeepfake1m._evaluation', binary)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answer(module, labels, found):
    with tempfile.TemporaryDirectory() as folder:
        files = [f'{folder}/{name}.json' for name in ('proposals', 'labels')]
        for file, data in zip(files, (found, [dict(file=f, fake_segments=s) for f, s in labels.items()])):
            Path(file).write_text(json.dumps(data))
        said = module.ap_ar_1d(*files, 'file', 'fake_segments', 1., IOUS, FIRST, RECALL)
    ap = {f'ap@{round(float(iou), 2):g}': value for iou, value in said['ap'].items()}
    return ap | {f'ar@{n}': value for n, value in said['ar'].items()}


def main(there):
    rng, module = np.random.default_rng(15), package(there)
    labels, found = videos(rng)
    shuffled = {file: [rows[i] for i in rng.permutation(len(rows))] for file, rows in found.items()}
    exact = {file: [[.9, *period] for period in true] or [[.1, 0, 1]] for file, true in labels.items()}
    cases = [dict(name=name, proposals=those, metrics=answer(module, labels, those))
             for name, those in dict(sorted=found, shuffled=shuffled, exact=exact).items()]
    record = dict(package=f'avdeepfake1m {module.__version__}', labels=labels, cases=cases)
    Path(__file__).with_suffix('.json').write_text(json.dumps(record, separators=(',', ':')) + '\n')


if __name__ == '__main__': main(sys.argv[1])
