"Weights, saved state and results: damaged ones are refused or made anew, killed runs leave nothing, and disks fill up."
import copy, json, math, os, random, resource, signal, subprocess, sys, time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from cmdfd_nb.core import BadArgument, BadManifest, BadWeights, UnreadableMedia, Unwritable
from cmdfd_nb.models.checkpoint import load_weights, read_about
from cmdfd_nb.models.weights import PRETRAINED, seeded_weights

from forked import run_forked

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
    if way == 'length':
        data = rng.choice([0, 1, size - 1, size + 1, 2**31, 2**63, 2**64 - 1]).to_bytes(8, 'little') + data[8:]
    if way == 'flip':
        mutable = bytearray(data)
        for _ in range(rng.choice([1, 3, 30])): mutable[8 + rng.randrange(size)] = rng.randrange(256)
        data = bytes(mutable)
    if way in ('twice', 'deep', 'empty'):
        text = dict(twice=data[8:8 + size - 1].rstrip() + b',"__metadata__":{"cmdfd":"{}"}}',
                    deep=b'{"a":' + b'[' * 5000, empty=b'{}')[way]
        data = len(text).to_bytes(8, 'little') + text + data[8 + size:]
    return way, data


def swap_types(rng, header):
    "Exchange fractions for integers of the same size."
    tensors = {name: entry for name, entry in header.items() if name != '__metadata__'}
    name = rng.choice([name for name, entry in tensors.items() if entry['dtype'] in ('F32', 'I64')])
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
        about = rng.choice(['', '{', '[]', 'null', '{"a":' * 5000, '[' * 100_000, '{"format": 1}',
                            json.dumps(about)[:-1] + ', "format": 1}', '9' * 5000, '{"format": 1e999}', '"x"'])
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


@pytest.mark.parametrize('block', range(4))
def test_altered_weights_are_refused_or_sound(tmp_path, block):
    path = tmp_path/'w.safetensors'
    for seed in range(10 * block, 10 * block + 10):
        said, data = altered(seed)
        path.write_bytes(data)
        try: same = outcome(path) == 'refused' or taken_apart(data)[:2] == taken_apart(SHIPPED)[:2]
        except Exception as e: raise AssertionError(f'seed {seed}, {said}') from e
        assert same, f'seed {seed}, {said}: an altered header is read'


def test_a_missing_entry_takes_its_default_only_in_files_without_a_digest(tmp_path):
    header, about, tensors = taken_apart(SHIPPED)
    del about['detector']['contrast']
    path = tmp_path/'w.safetensors'
    path.write_bytes(put_together(header, about, tensors))
    with pytest.raises(BadWeights, match='was altered'): load_weights(path)
    del about['sha256']
    path.write_bytes(put_together(header, about, tensors))
    assert load_weights(path).detector.config.contrast == 'frame'


def test_a_network_larger_than_its_file_takes_no_memory(tmp_path):
    "In a process with a limit on memory: a billion layers, and a header that claims 10 GB."
    header, about, tensors = taken_apart(SHIPPED)
    del about['sha256']   # as in a file of an earlier version
    about['teacher']['layers'] = 10**9
    (tmp_path/'layers.safetensors').write_bytes(put_together(header, about, tensors))
    (tmp_path/'header.safetensors').write_bytes((10**10).to_bytes(8, 'little') + SHIPPED[8:])
    header['detector.classify.weight']['shape'] = [2**31, 2**31]
    (tmp_path/'shape.safetensors').write_bytes(put_together(header, taken_apart(SHIPPED)[1], tensors))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said = dict(layers='layers=1000000000', header='a header of 10,000,000,000 bytes', shape='detector.classify')
    for name, says in said.items():
        with pytest.raises(BadWeights, match=says): load_weights(tmp_path/f'{name}.safetensors')
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000   # kB


def test_weights_with_not_a_number_name_the_tensor(tmp_path):
    tensors = load_file(PRETRAINED)
    tensors['asr.output.bias'][3] = math.nan
    save_file(tensors, tmp_path/'w.safetensors', dict(cmdfd=json.dumps(read_about(PRETRAINED))))
    with pytest.raises(BadWeights, match='asr.output.bias holds not-a-number'): load_weights(tmp_path/'w.safetensors')


# Foreign checkpoints

@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('protocol, prefix', [(2, 'module._orig_mod.'), (3, 'module.'), (4, '_orig_mod.'), (5, '')])
def test_wrapped_checkpoints_of_any_protocol(tmp_path, protocol, prefix):
    from cmdfd_nb.models.official import read_foreign
    tensors = {'conv.weight': torch.randn(3, 4), 'norm.bias': torch.randn(3)}
    torch.save({prefix + k: v for k, v in tensors.items()}, tmp_path/'any.pt', pickle_protocol=protocol)
    found = read_foreign(tmp_path/'any.pt')
    assert found.keys() == tensors.keys() and all(torch.equal(found[k], tensors[k]) for k in tensors)


@pytest.mark.filterwarnings('error')
def test_a_wrapped_front_end_without_batch_counters(tmp_path):
    from cmdfd_nb.models.official import FRONTEND_UNUSED, load_lip_frontend, official_name
    from cmdfd_nb.models.teachers import lip_frontend
    ours = {f'lips.{k}': torch.randn(v.shape) for k, v in lip_frontend().state_dict().items()}
    theirs = {official_name(k): v for k, v in ours.items() if 'num_batches_tracked' not in k}
    theirs |= {k: torch.zeros(shape) for k, shape in FRONTEND_UNUSED.items()}
    torch.save({f'module._orig_mod.{k}': v for k, v in theirs.items()}, tmp_path/'lips.pt', pickle_protocol=2)
    loaded = load_lip_frontend(tmp_path/'lips.pt')
    assert torch.equal(loaded.conv.weight, ours['lips.conv.weight'])


class Runs:
    def __init__(self, path): self.path = path
    def __reduce__(self): return Path.touch, (self.path,)


def test_code_is_named_where_there_is_code_and_never_run(tmp_path):
    from cmdfd_nb.models.official import read_foreign
    for protocol in (2, 4, 5):
        torch.save(dict(a=Runs(tmp_path/'ran')), tmp_path/'trap.pt', pickle_protocol=protocol)
        with pytest.raises(BadWeights, match='could run code'): read_foreign(tmp_path/'trap.pt')
        torch.save(dict(a=torch.zeros(10)), tmp_path/'cut.pt', pickle_protocol=protocol)
        for n in (3, 60, 300):
            (tmp_path/'bad.pt').write_bytes((tmp_path/'cut.pt').read_bytes()[:n])
            with pytest.raises(BadWeights, match='cannot be read as a checkpoint'): read_foreign(tmp_path/'bad.pt')
    assert not (tmp_path/'ran').exists()


# Tables and clips

ODD_FACTS = ['', '{', '[]', 'null', '7', '{"root": 7}', '{"root": null}', '{"root": "a\\u0000b"}',
             '{"domain": "guessed"}', '{"problems": 1}', '{"problems": [7]}', '{"version": "1"}', '{"version": null}',
             '{"kind": []}', '[' * 99_999, '{"kind": NaN}', '{"kind": "a", "kind": "b"}', '9' * 9999, b'\xff\xfe']


@pytest.mark.parametrize('facts', ODD_FACTS, ids=range(len(ODD_FACTS)))
def test_damaged_facts_of_a_manifest(tmp_path, facts):
    import pyarrow.parquet as pq
    from cmdfd_nb.core import sample
    from cmdfd_nb.data.index import index
    from cmdfd_nb.data.manifest import read_manifest, write_manifest
    write_manifest(tmp_path/'m.parquet', index('cmdfd', sample('cmdfd')))
    table = pq.read_table(tmp_path/'m.parquet').replace_schema_metadata(dict(cmdfd=facts))
    pq.write_table(table, tmp_path/'m.parquet')
    with pytest.raises(BadManifest, match='metadata'): read_manifest(tmp_path/'m.parquet')


@pytest.fixture(scope='module')
def film(tmp_path_factory):
    "A second of small pictures, with a tone."
    from cmdfd_nb.media.write import write_video
    path = tmp_path_factory.mktemp('film')/'a.mp4'
    pictures = np.random.default_rng(0).integers(0, 255, (30, 6, 8, 3), np.uint8).repeat(8, 1).repeat(8, 2)
    write_video(path, pictures, np.sin(np.arange(19_200) / 9).astype(np.float32) / 2)
    return path


@pytest.fixture(scope='module')
def clip_file(tmp_path_factory, film):
    from cmdfd_nb.media.clip import PreprocessConfig
    from cmdfd_nb.media.preprocess import preprocess
    cut = PreprocessConfig(faces='whole', views=('faces', 'mfcc', 'audio'))
    return preprocess(film, tmp_path_factory.mktemp('clips'), cut)[0]


def alter_clip(rng, data):
    "Change the header of a clip."
    size = int.from_bytes(data[:8], 'little')
    header = json.loads(data[8:8 + size])
    about = json.loads(header['__metadata__']['clip'])
    way = rng.choice(['about', 'settings', 'entry', 'bytes', 'json'])
    if way == 'bytes': return alter_bytes(rng, data)[1]
    odd = copy.deepcopy(rng.choice(ODD))
    if way == 'about': about[rng.choice(list(about))] = odd
    if way == 'settings': about['settings'][rng.choice(list(about['settings']))] = odd
    if way == 'entry':
        name = rng.choice([name for name in header if name != '__metadata__'])
        header[name][rng.choice(['dtype', 'shape', 'data_offsets'])] = odd
    header['__metadata__']['clip'] = rng.choice(['', '[]', '[' * 99_999, '7']) if way == 'json' else json.dumps(about)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, 'little') + text + data[8 + size:]


def test_damaged_clip_files(tmp_path, clip_file):
    from cmdfd_nb.data.clips import clip_summary
    from cmdfd_nb.media.preprocess import frames_in, load_clip, read_part
    data = clip_file.read_bytes()
    path = tmp_path/'c.safetensors'
    refused = 0
    for seed in range(60):
        path.write_bytes(alter_clip(random.Random(seed), data))
        for read in (load_clip, frames_in, clip_summary, lambda path: read_part(path, ['faces', 'mfcc'], 1, 5)):
            try: read(path)
            except (UnreadableMedia, BadArgument) as e:   # BadArgument: views that it no longer names
                assert e.file == str(path), e
                refused += 1
            except Exception as e: raise AssertionError(f'seed {seed}, {read}') from e
    assert refused > 150


def test_a_damaged_clip_is_made_anew(tmp_path, film, clip_file, capsys):
    from cmdfd_nb.media.preprocess import load_clip, preprocess
    config = load_clip(clip_file).settings
    path, = preprocess(film, tmp_path, config)
    whole = path.read_bytes()
    index = path.parent/f'{path.name[:16]}.json'
    for damage in (lambda: path.write_bytes(whole[:500]), path.unlink, lambda: index.write_text('{"clips": ['),
                   lambda: index.write_text('{"clips": [null]}')):
        damage()
        assert preprocess(film, tmp_path, config) == [path] and path.read_bytes() == whole
        assert 'made anew' in capsys.readouterr().err


def test_names_of_clips_do_not_lead_out_of_their_folder(tmp_path):
    import pandas as pd
    from cmdfd_nb.data.clips import _check_clips
    rows = pd.DataFrame(dict(clip=['a.safetensors', '../../secret.safetensors'], frames=25, start=0, track=0, part=0))
    with pytest.raises(BadManifest, match='row 1'): _check_clips('clips.parquet', rows)
    with pytest.raises(BadManifest, match='frames is below 1'): _check_clips('clips.parquet', rows[:1].assign(frames=0))


# World, questions

@pytest.mark.parametrize('text', ['', '{', '[]', 'null', '7', '{"kind": 7}', '{"kind": "moon"}', '{"seed": "1"}',
                                  '{"seed": null}', '{"seconds": NaN}', '{"seconds": 1e9}', '{"surprise": 1}',
                                  '[' * 99_999])
def test_a_damaged_world_is_refused_by_name(tmp_path, text):
    from cmdfd_nb.world.build import build
    from cmdfd_nb.world.plan import World
    (tmp_path/'truth').mkdir()
    (tmp_path/'truth'/'world.json').write_text(text)
    with pytest.raises(BadArgument): build(tmp_path, World('lrs2', 1, seconds=.5), 1)
    assert [p.name for p in tmp_path.iterdir()] == ['truth']


def test_questions_are_not_made_up_afterwards(tmp_path):
    from cmdfd_nb.paper.studies import _read_questions
    for text in ('', '{}', '[]', '{"questions": 1, "runs": 0, "date": "", "commit": ""}', '[' * 99_999):
        (tmp_path/'questions.json').write_text(text)
        with pytest.raises(BadArgument, match='questions.json'): _read_questions(tmp_path/'questions.json')


# Files that cannot be written

def in_process(code, *args):
    "Run Python in a process of its own."
    def main():
        sys.argv = ['-c', *map(str, args)]
        exec(code, dict(__name__='__main__'))
    return run_forked(main)


WRITERS = dict(
    text='part.write_text("x" * 200_000)', torch='torch.save(torch.zeros(50_000), open(part, "wb"))',
    safetensors='save_file(dict(a=torch.zeros(50_000)), part)',
    parquet='pq.write_table(pa.table(dict(a=np.random.rand(50_000))), part)',
    wave='write_wav(Path(sys.argv[1])/"deep"/"own.wav", np.zeros(200_000, np.float32))')
LIMITED = """if True:
    import resource, sys, numpy as np, pyarrow as pa, pyarrow.parquet as pq, torch
    from pathlib import Path
    from safetensors.torch import save_file
    from cmdfd_nb.core import Unwritable
    from cmdfd_nb.media.write import write_wav
    from cmdfd_nb.store import atomic_path
    writers = WRITERS
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    for name, code in writers.items():
        try:
            with atomic_path(Path(sys.argv[1])/'deep'/name) as part: exec(code)
            print(name, 'was written')
        except Unwritable as e: assert 'File too large' in str(e) and 'ulimit' in e.remedy, e
    print([str(p) for p in Path(sys.argv[1]).rglob('*')])
    """


def test_a_file_that_does_not_fit_is_one_typed_error(tmp_path):
    done = in_process(LIMITED.replace('WRITERS', repr(WRITERS)), tmp_path)
    assert done.stdout.strip() == '[]', done.stdout + done.stderr


@pytest.fixture
def full_disk(tmp_path):
    "A small disk, where this process may mount one."
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=200k', 'none', tmp_path], capture_output=True).returncode:
        pytest.skip('the right to mount a disk')   # the test above meets a limit without it
    yield tmp_path
    subprocess.run(['umount', '-l', tmp_path], check=True)


def test_full_and_read_only_disks(full_disk, clip_file):
    from cmdfd_nb.media.preprocess import load_clip, save_clip
    from cmdfd_nb.models.checkpoint import save_weights
    from cmdfd_nb.store import alone_in, atomic_path
    (full_disk/'w.safetensors').write_text('old')
    for write in (lambda: save_weights(full_disk/'w.safetensors', seeded_weights()),
                  lambda: save_clip(load_clip(clip_file), full_disk/'c')):
        with pytest.raises(Unwritable, match='No space left on device') as e: write()
        assert 'Free space' in e.value.remedy
    assert {p.name: p.read_text() for p in full_disk.iterdir()} == {'w.safetensors': 'old'}
    subprocess.run(['mount', '-o', 'remount,ro', full_disk], check=True)
    for write in (lambda: atomic_path(full_disk/'x.json').__enter__(), lambda: alone_in(full_disk).__enter__()):
        with pytest.raises(Unwritable, match='Read-only file system'): write()


def test_a_folder_that_vanishes(tmp_path):
    import shutil
    from cmdfd_nb.store import atomic_path
    with pytest.raises(Unwritable, match='No such file'), atomic_path(tmp_path/'a'/'r.json') as part:
        shutil.rmtree(tmp_path/'a')
        part.write_text('{}')
    assert not list(tmp_path.iterdir())


def test_an_input_that_is_missing_is_not_blamed_on_the_output(tmp_path):
    from cmdfd_nb.store import atomic_path
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path/'r.json'): (tmp_path/'input.mp4').read_bytes()
    assert not list(tmp_path.iterdir())


def test_permissions_links_and_long_names(tmp_path):
    from cmdfd_nb.models.checkpoint import save_weights
    from cmdfd_nb.store import atomic_path
    before = os.umask(0o027)
    try:
        with atomic_path(tmp_path/'new.txt') as part: part.write_text('1')
        save_weights(tmp_path/'w.safetensors', seeded_weights())   # safetensors makes a file of its own
    finally: os.umask(before)
    assert [(tmp_path/name).stat().st_mode & 0o777 for name in ('new.txt', 'w.safetensors')] == [0o640, 0o640]
    (tmp_path/'new.txt').chmod(0o604)
    (tmp_path/'link.txt').symlink_to('new.txt')
    with atomic_path(tmp_path/'link.txt') as part: part.write_text('2')
    assert (tmp_path/'link.txt').is_symlink() and (tmp_path/'new.txt').read_text() == '2'
    assert (tmp_path/'new.txt').stat().st_mode & 0o777 == 0o604
    for name in ('n' * 250 + '.json', 'n' * 255, '.' + 's' * 250, os.fsdecode(b'caf\xe9.mp4'), 'a.b c', '\n.json'):
        with atomic_path(tmp_path/name) as part:
            part.write_text('x')
        assert (tmp_path/name).exists()
    with pytest.raises(Unwritable, match='File name too long'), atomic_path(tmp_path/('n' * 256)): pass
    assert len(list(tmp_path.iterdir())) == 9


# Killed, and two at a time

def test_what_a_kill_leaves_is_no_result_and_is_swept(tmp_path):
    from cmdfd_nb.store import is_leftover, sweep
    code = f"""if True:
        import os, signal, numpy as np
        from safetensors.numpy import save_file
        from cmdfd_nb.store import atomic_path
        with atomic_path({str(tmp_path/'truth'/'a.safetensors')!r}) as part:
            save_file(dict(a=np.zeros(9)), part)
            os.kill(os.getpid(), signal.SIGKILL)"""
    assert in_process(code).returncode == -signal.SIGKILL
    found = list(tmp_path.rglob('*.safetensors'))
    assert found and all(map(is_leftover, found))
    assert sweep(tmp_path) == 0 and sweep(tmp_path, deep=True) == 1
    assert not list((tmp_path/'truth').iterdir())


def test_a_fork_does_not_keep_a_lock(tmp_path):
    "Loaders of PyTorch are forked while a run holds its folder."
    from cmdfd_nb.store import alone_in
    code = f"""if True:
        import os, signal, time
        from cmdfd_nb.store import alone_in
        with alone_in({str(tmp_path)!r}):
            if not (child := os.fork()): time.sleep(60)
            print(child, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)"""
    done = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, text=True)
    child = int(done.stdout.readline())
    try:
        done.wait(20)
        begun = time.time()
        with alone_in(tmp_path): assert time.time() - begun < 5
    finally: os.kill(child, signal.SIGKILL)


def alter_state(rng, path):
    "Damage a saved state."
    data = path.read_bytes()
    way = rng.choice(['cut', 'flip', 'progress', 'model', 'optimizer', 'other'])
    state = torch.load(path, weights_only=True)
    if way == 'cut': return path.write_bytes(data[:rng.randrange(len(data))])
    if way == 'flip':
        mutable = bytearray(data)
        for _ in range(50): mutable[rng.randrange(len(data))] = rng.randrange(256)
        return path.write_bytes(bytes(mutable))
    if way == 'progress':
        odd = rng.choice([None, -1, 'x', math.nan, [7], {'a': 'b'}, 10**30])
        state['progress'][rng.choice(list(state['progress']))] = odd
    if way == 'model':
        odd = rng.choice([torch.zeros(7, 7), torch.tensor(math.nan), None, 'x'])
        state['model'][rng.choice(list(state['model']))] = odd
    if way == 'optimizer':
        moments = {0: dict(exp_avg=torch.zeros(3))}
        state['optimizer'] = rng.choice([None, {}, state['optimizer'] | dict(state=moments)])
    if way == 'other': state = rng.choice([[], 7, None, {}, dict(state, progress=None)])
    torch.save(state, path)


def test_damaged_states_count_as_none(tmp_path, capsys):
    from cmdfd_nb.learn.config import train_config
    from cmdfd_nb.learn.optimise import accelerator_for, first_detector
    from cmdfd_nb.learn.progress import Progress, load_state, save_state
    small = dict(visual_widths=(4, 4, 4, 8), visual_hidden=8, temporal_blocks=1, audio_filters=(8, 8, 8, 8), heads=2)
    config = train_config('tiny', detector=small)
    accelerator = accelerator_for(config, tmp_path, 'cpu')
    detector = first_detector(config)
    model, optimizer = accelerator.prepare(detector, torch.optim.AdamW(detector.parameters()))
    sum(p.sum() for p in model.parameters()).backward()
    optimizer.step()
    progress = Progress(1, 1, 4, dict(total=1.), [dict(auc=.5, scale=1., threshold=.5, bias=0.)], 3., 1)
    save_state(tmp_path/'state.pt', progress, accelerator, model, optimizer)
    saved, first = (tmp_path/'state.pt').read_bytes(), {k: v.clone() for k, v in model.state_dict().items()}
    anew = 0
    for seed in range(15):
        (tmp_path/'state.pt').write_bytes(saved)
        alter_state(random.Random(seed), tmp_path/'state.pt')
        try: found = load_state(tmp_path/'state.pt', accelerator, model, optimizer)
        except Exception as e: raise AssertionError(f'seed {seed}') from e
        told = capsys.readouterr().err
        assert (found == Progress()) == ('begins anew' in told) and told.count('\n') <= 1, (seed, found, told)
        if found != Progress(): continue
        assert all(torch.equal(v, first[k]) for k, v in model.state_dict().items()), seed
        anew += 1
    assert anew > 10
