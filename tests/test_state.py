"Weights, saved state and results: damaged ones are refused or made anew, killed runs leave nothing, and disks fill up."
import contextlib, copy, errno, json, math, os, random, resource, signal, subprocess, sys, time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from cmdfd_nb.core import BadArgument, BadManifest, BadWeights, CmdfdError, Unwritable, UnreadableMedia
from cmdfd_nb.models.checkpoint import Weights, load_weights, read_about
from cmdfd_nb.models.weights import PRETRAINED, seeded_weights

SHIPPED = Path(str(PRETRAINED)).read_bytes()


# Altered weights

def taken_apart(data):
    "Return header, its JSON about the networks, and the tensors' bytes."
    size = int.from_bytes(data[:8], 'little')
    header = json.loads(data[8:8 + size])
    return header, json.loads(header['__metadata__']['cmdfd']), data[8 + size:]


def put_together(header, about, tensors):
    "Write a safetensors file."
    noted = header['__metadata__'] | dict(cmdfd=about if isinstance(about, str) else json.dumps(about))
    text = json.dumps(header | dict(__metadata__=noted)).encode()
    return len(text).to_bytes(8, 'little') + text + tensors


ODD = [None, True, 0, -1, 1, 2**31, 10**9, 10**30, -0.5, 1e308, math.nan, math.inf, '', 'x', '\0', 'real', '9' * 500,
       [], [1], [None] * 4, [0, 0, 0, 0], [math.nan] * 4, {}, {'a': {}}, [[]], ['detector'], ['lips', 'asr', 'vsr']]


def places(tree, path=()):
    "Yield the path of each entry of nested objects and lists."
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield (*path, key)
        if isinstance(value, (dict, list)): yield from places(value, (*path, key))


def at(tree, path):
    for key in path: tree = tree[key]
    return tree


def alter_about(rng, about):
    "Change, drop or repeat one entry of the JSON."
    path = rng.choice([path for path in places(about) if path[0] != 'provenance' or len(path) == 1])
    where = at(about, path[:-1])
    if rng.random() < .2: del where[path[-1]]
    else: where[path[-1]] = copy.deepcopy(rng.choice(ODD))
    return f'about {path} {where[path[-1]] if len(where) and path[-1] in where else "gone"!r:.40}'


def alter_entry(rng, header):
    "Change one fact of one tensor."
    name = rng.choice([name for name in header if name != '__metadata__'])
    entry = header[name]
    odd = [*ODD, 'F64', 'I32', 'F16', 'BF16', 'U8', [2**40, 2**40], [0], [2**62, 4], [*entry['shape'], 1],
           entry['shape'][::-1], [0, 2**50], entry['data_offsets'][::-1]]
    what = rng.choice(['dtype', 'shape', 'data_offsets', 'name', 'gone', 'other'])
    if what == 'name': header[name + 'x'] = header.pop(name)
    elif what == 'gone': del header[name]
    elif what == 'other': header[name] = copy.deepcopy(rng.choice(ODD))
    else: entry[what] = copy.deepcopy(rng.choice(odd))
    return f'entry {name} {what} {header.get(name)!r:.80}'


def alter_bytes(rng, data):
    "Cut, lengthen, or flip bytes of the header or of its length."
    size = int.from_bytes(data[:8], 'little')
    way = rng.choice(['cut', 'longer', 'flip', 'length', 'twice', 'deep', 'empty'])
    if way == 'cut': data = data[:rng.choice([0, 7, 8, 9, size, size + 8, rng.randrange(len(data))])]
    if way == 'longer': data += bytes(rng.randrange(1, 99))
    if way == 'length': data = rng.choice([0, 1, size - 1, size + 1, 2**31, 2**63, 2**64 - 1]).to_bytes(8, 'little') + data[8:]
    if way == 'flip':
        mutable = bytearray(data)
        for _ in range(rng.choice([1, 3, 30])): mutable[8 + rng.randrange(size)] = rng.randrange(256)
        data = bytes(mutable)
    if way in ('twice', 'deep', 'empty'):
        text = dict(twice=data[8:8 + size - 1].rstrip() + b',"__metadata__":{"cmdfd":"{}"}}', deep=b'{"a":' + b'[' * 5000,
                    empty=b'{}')[way]
        data = len(text).to_bytes(8, 'little') + text + data[8 + size:]
    return way, data


def swap_types(rng, header):
    "Exchange fractions for integers of the same size."
    name = rng.choice([name for name, entry in header.items() if name != '__metadata__' and entry['dtype'] in ('F32', 'I64')])
    header[name]['dtype'] = dict(F32='I32', I64='F64')[header[name]['dtype']]
    return f'type of {name}'


def altered(seed, source=SHIPPED):
    "Return how weights were altered, and the file's bytes."
    rng = random.Random(seed)
    header, about, tensors = taken_apart(source)
    way = rng.choice(['about', 'about', 'entry', 'bytes', 'types', 'json', 'version'])
    if way == 'bytes': return alter_bytes(rng, source)
    said = way
    if way == 'about': said = alter_about(rng, about)
    if way == 'entry': said = alter_entry(rng, header)
    if way == 'types': said = swap_types(rng, header)
    if way == 'version': about['format'] = rng.choice([0, 2, 1.5, True, '1', None, [], -1])
    if way == 'json':
        about = rng.choice(['', '{', '[]', 'null', '{"a":' * 5000, '[' * 100_000, json.dumps(about)[:-1] + ', "format": 1}',
                            '{"format": 1}', '9' * 5000, '{"format": 1e999}', '\ud800' and '"x"'])
        said = f'json {about[:30]}'
    return said, put_together(header, about, tensors)


def outcome(path):
    "Return what loading gives: an error with file and remedy, or usable weights."
    try: weights = load_weights(path)
    except BadWeights as e:
        assert e.file == str(path) and e.cause and e.remedy.endswith(('.', ')')), e
        return 'refused'
    assert math.isfinite(weights.scale) and weights.scale > 0 and 0 <= weights.threshold <= 1
    return 'read'


@pytest.mark.parametrize('block', range(6))
def test_altered_weights_are_refused_or_sound(tmp_path, block):
    path = tmp_path/'w.safetensors'
    for seed in range(10 * block, 10 * block + 10):
        said, data = altered(seed)
        path.write_bytes(data)
        try: outcome(path)
        except Exception as e: raise AssertionError(f'seed {seed}, {said}') from e
