"The commands as a shell meets them: help at once, exit codes, errors that name the option, a doctor that goes on."
import configparser, dataclasses, importlib, json, os, re, subprocess, sys
from pathlib import Path

import pytest
from fastcore.script import Param, anno_parser

from cmdfd_nb import cli
from cmdfd_nb.command import field_source, json_text, settings_from
from cmdfd_nb.core import BadArgument
from cmdfd_nb.learn.config import TrainConfig, train_config
from cmdfd_nb.learn.teach import LessonConfig
from cmdfd_nb.world.plan import World

ROOT = Path(__file__).parents[1]
HEAVY = {'torch', 'torchaudio', 'cv2', 'av', 'matplotlib', 'pandas', 'pyarrow'}
STUB = '''import sys
from {module} import {function}
if __name__ == '__main__': sys.exit({function}())
'''   # what pip writes for a console script


def entries():
    "Name of a command to (module, function), as settings.ini installs them."
    config = configparser.ConfigParser(delimiters='=')
    config.read(ROOT/'settings.ini', encoding='utf-8')
    lines = (line.split('=') for line in config['DEFAULT']['console_scripts'].split())
    return {name: target.split(':') for name, target in lines}


COMMANDS = entries()
each = pytest.mark.parametrize('name', COMMANDS)


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    "Run a command in a process of its own; `python` are options of the interpreter."
    folder = tmp_path_factory.mktemp('bin')
    for name, (module, function) in COMMANDS.items():
        (folder/name).write_text(STUB.format(module=module, function=function))
    def run(name, *args, python=(), cwd=ROOT):
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))
        return subprocess.run([sys.executable, *python, folder/name, *map(str, args)], capture_output=True, text=True,
                              cwd=cwd, env=dict(os.environ, PYTHONPATH=path))
    return run


def imports_of(done):
    "Return the modules that a process imported, which ran with `-X importtime`."
    return {m[1] for m in re.finditer(r'^import time:.*\|\s*([\w.]+)$', done.stderr, re.M)}


# Help

@each
def test_help_imports_nothing_heavy(run, name):
    done = run(name, '--help', python=['-X', 'importtime'])
    assert done.returncode == 0 and done.stdout.startswith(f'usage: {name} ')
    assert 'cmdfd_nb.cli' in imports_of(done) and not imports_of(done) & HEAVY


@each
def test_every_option_says_what_it_does(name):
    module, function = COMMANDS[name]
    command = getattr(importlib.import_module(module), function)
    assert module == 'cmdfd_nb.cli' and command.__doc__
    for action in anno_parser(command, name)._actions:
        assert action.help and action.help[0] not in ' (', action.dest
        assert '_' not in ''.join(action.option_strings)   # an option has dashes, as README spells them


@pytest.mark.parametrize('command, option, table', [('cmdfd_evaluate', 'unit', 'judge.resampling:UNITS'),
                                                    ('cmdfd_chain', 'size', 'paper.chain:CHAINS')])
def test_choices_of_options_are_those_of_the_library(command, option, table):
    module, name = table.split(':')
    action, = (a for a in anno_parser(getattr(cli, command), command)._actions if a.dest == option)
    assert sorted(action.choices) == sorted(getattr(importlib.import_module(f'cmdfd_nb.{module}'), name))


@pytest.mark.parametrize('where, cls',
                         [('learn.teach:LessonConfig', LessonConfig), ('learn.config:TrainConfig', TrainConfig),
                                        ('world.plan:World', World)])
def test_fields_read_from_the_source_are_those_of_the_class(where, cls):
    for field in dataclasses.fields(cls):
        node, _ = field_source(where, field.name)
        assert node.target.id == field.name


@pytest.mark.parametrize('command, cls, names', [
    (cli.cmdfd_teach, LessonConfig, ('sentences', 'listen', 'read', 'seed')), (cli.cmdfd_train, TrainConfig, ('seed',)),
    (cli.cmdfd_synth, World, ('seed', 'kind', 'traces', 'seconds'))])
def test_help_shows_the_defaults_of_the_settings(command, cls, names):
    helps = {action.dest: action.help for action in anno_parser(command, 'x')._actions}
    for name in names: assert helps[name].endswith(f'(default: {getattr(cls(), name)})')


def test_commands_share_no_option():
    "A parser writes defaults into the options it is built from."
    options = [p for name in COMMANDS for p in getattr(cli, name).__annotations__.values() if isinstance(p, Param)]
    assert len(options) == len({id(p) for p in options}) > 60


# Settings

def test_options_beat_the_file_and_the_file_beats_the_preset(tmp_path):
    file = tmp_path/'c.json'
    file.write_text('{"lr": 0.5, "epochs": 3}')
    chosen = settings_from(TrainConfig, file, train_config, epochs=4, seed=None)
    assert chosen == train_config('tiny', lr=.5, epochs=4)
    official = train_config('official', lr=.5, epochs=3)
    assert settings_from(TrainConfig, file, train_config, preset='official') == official
    file.write_text('{"preset": "paper"}')
    assert settings_from(TrainConfig, file, train_config) == TrainConfig()
    assert settings_from(TrainConfig, file, train_config, preset='tiny') == train_config('tiny')


@pytest.mark.parametrize('text, says',
                         [('{"rate": 1}', 'no field rate'), ('{', 'no JSON file'), ('[1]', 'it holds no object')])
def test_a_file_of_settings_that_is_wrong_is_named(tmp_path, text, says):
    file = tmp_path/'c.json'
    file.write_text(text)
    with pytest.raises(BadArgument, match=says) as caught: settings_from(LessonConfig, file)
    assert caught.value.file == str(file)


# Ends

def test_json_is_that_of_the_standard_library_where_it_suffices():
    data = [dict(file='ä.mp4', tracks=[dict(p_fake=.123456, sync=[.5, 1.])], none=None, yes=True)]
    assert json_text(data) == json.dumps(data, indent=1)


@pytest.mark.parametrize('name, args, says', [
    ('cmdfd_index', ['youtube', '.'], 'Choose from fakeavceleb'),
    ('cmdfd_chain', ['work', '--size', 'huge'], 'invalid choice'),
    ('cmdfd_train', ['.', '--epochs', 'many'], 'invalid int'), ('cmdfd_score', [], 'required'),
    ('cmdfd_score', ['x.mp4', '--weights', 'absent.safetensors'], 'absent.safetensors: no such file'),
    ('cmdfd_report', ['x.mp4', '--weights', 'absent.safetensors'], 'absent.safetensors: no such file'),
    ('cmdfd_evaluate', ['.', '--weights', 'absent.safetensors'], 'absent.safetensors: no such file'),
    ('cmdfd_train', ['.', '--teachers', 'absent.safetensors'], 'absent.safetensors: no such file'),
    ('cmdfd_weights', ['official', 'absent.model'], 'absent.model: no such file')])
def test_bad_usage_ends_with_2_and_leaves_nothing(run, name, args, says, tmp_path):
    done = run(name, *args, cwd=tmp_path, python=['-X', 'importtime'])
    assert done.returncode == 2 and says in done.stderr and not done.stdout
    assert 'Traceback' not in done.stderr and not list(tmp_path.iterdir())
    assert 'torch' not in imports_of(done)   # the answer takes no seconds


@pytest.mark.parametrize('command, args, options, says', [
    (cli.cmdfd_index, ['cmdfd', 'absent'], {}, 'there is no such folder'),
    (cli.cmdfd_preprocess, ['absent.parquet', 'clips'], {}, 'absent.parquet'),
    (cli.cmdfd_audit, ['absent.parquet'], {}, 'absent.parquet'),
    (cli.cmdfd_teach, ['.'], dict(config='absent.json'), '--config'), (cli.cmdfd_evaluate, ['.'], {}, '--out'),
    (cli.cmdfd_evaluate, ['.'], dict(weights='articulation', out='scores.csv'), 'higher for a yes'),
    (cli.cmdfd_train, ['.'], dict(detector='articulation'), 'learns nothing'),
    (cli.cmdfd_report, ['x.mp4'], dict(weights='articulation', detector='lag', workers=0), 'are of articulation'),
    (cli.cmdfd_synth, ['world'], dict(kind='celebdf'), 'celebdf')])
def test_bad_arguments_end_with_2_and_leave_nothing(command, args, options, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command(*args, **options) == 2
    shown = capsys.readouterr()
    assert says in shown.err and not shown.out and not list(tmp_path.iterdir())


# cmdfd_doctor

@pytest.fixture(scope='module')
def healthy(run, tmp_path_factory):
    "What the doctor says outside the clone."
    done = run('cmdfd_doctor', '--json', cwd=tmp_path_factory.mktemp('elsewhere'))
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_the_doctor_works_outside_the_clone(healthy):
    found = {check['name']: check for check in healthy['checks']}
    assert found['read a video']['found'] == '50 frames and 2.00 s of sound in noise.mp4'
    assert re.search('SHA-256 [0-9a-f]{64}$', found['weights of the kit']['found'])
    assert {check['status'] for check in found.values()} <= {'ok', 'absent'}
    assert all(bool(check['remedy']) == (check['status'] != 'ok') for check in found.values())
    assert {'cmdfd_nb', 'Python', 'system', 'processors', 'memory', 'GPU', 'torch'} <= set(healthy['facts'])


BROKEN = '''
import sys
sys.modules.update(dict.fromkeys({broken}))   # importing them raises ModuleNotFoundError
from cmdfd_nb.cli import cmdfd_doctor
sys.exit(cmdfd_doctor())
'''


@pytest.mark.parametrize('broken, fails', [(['torch'], {'features', 'weights of the kit', 'forward pass'}),
                                           (['av'], {'read a video', 'features', 'forward pass'}),
                                           (['cv2'], {'a face detector'})])
def test_the_doctor_survives_a_broken_package(broken, fails):
    done = subprocess.run([sys.executable, '-c', BROKEN.format(broken=broken)], capture_output=True, text=True,
                          cwd=ROOT)
    assert done.returncode == 1 and 'Traceback' not in done.stderr
    seen = {line[8:28].strip() for line in done.stdout.splitlines() if line.startswith('fails ')}
    assert fails <= seen and 'checks fail' in done.stdout and '-> ' in done.stdout


def test_the_doctor_names_damaged_weights(tmp_path, monkeypatch, capsys):
    (tmp_path/'tiny.safetensors').write_bytes(b'half a fi')
    monkeypatch.setattr('cmdfd_nb.models.weights.PRETRAINED', tmp_path/'tiny.safetensors')
    assert cli.cmdfd_doctor(json=True) == 1
    found = {check['name']: check for check in json.loads(capsys.readouterr().out)['checks']}
    failed = {name for name, check in found.items() if check['status'] == 'fails'}
    assert failed == {'weights of the kit', 'forward pass'}
    assert found['weights of the kit']['remedy']


def test_pieces_that_are_not_there_are_no_failure(monkeypatch, capsys):
    monkeypatch.delenv('CMDFD_CHROMIUM', raising=False)
    monkeypatch.setenv('PATH', '')
    assert cli.cmdfd_doctor() == 0
    shown = capsys.readouterr().out
    assert re.search(r'^absent  Chromium', shown, re.M) and 'optional and not there: ' in shown


# cmdfd_detectors

class Loud:
    kind, reads, shows, learns_from, presets = 'loud', ('mfcc', 'gray'), ('loudness',), 'pairs', dict(tiny={}, paper={})
    licence, source, says = 'MIT', 'arXiv 0000.00000', 'Calls loud clips fake.'


class Silent(Loud):
    kind, reads, shows, learns_from, presets = 'silent', ('mfcc',), (), 'reals', {}


@pytest.fixture
def registry(monkeypatch):
    "Two detectors, of which one has weights."
    monkeypatch.setattr('cmdfd_nb.models.weights.all_detectors', lambda: dict(loud=Loud, silent=Silent))
    monkeypatch.setattr('cmdfd_nb.models.weights.weights_of_kind', dict(loud=['tiny'], silent=[]).get, raising=False)


def test_detectors_are_listed_for_people_and_programs(registry, capsys):
    assert cli.cmdfd_detectors() == 0
    shown = capsys.readouterr().out
    assert 'reads mfcc, gray; shows loudness; learns from pairs' in shown
    assert 'presets: tiny, paper; weights: tiny' in shown and 'presets: none; weights: none' in shown
    assert cli.cmdfd_detectors(json=True) == 0
    loud, silent = json.loads(capsys.readouterr().out)
    assert loud == dict(kind='loud', reads=['mfcc', 'gray'], shows=['loudness'], presets=['tiny', 'paper'],
                        weights=['tiny'], published=[], says='Calls loud clips fake.', learns_from='pairs',
                        licence='MIT', source='arXiv 0000.00000')
    assert silent['weights'] == []
