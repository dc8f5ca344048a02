"No file and no signal takes more than its share: workers that die, budgets, bugs, Ctrl-C, full disks, hostile inputs."
import functools, json, os, re, signal, subprocess, sys, time
from pathlib import Path

import pytest

from cmdfd_nb import cli
from cmdfd_nb.budget import Budget
from cmdfd_nb.core import OverBudget, ReaderDied, Unforeseen, Unwritable, sample
from cmdfd_nb.data import clips, index
from cmdfd_nb.data.audit import report, shortcuts
from cmdfd_nb.media.clip import PreprocessConfig
from cmdfd_nb.pool import Crew, in_parallel
from cmdfd_nb.selftest import outcome_table, self_test

ROOT = Path(__file__).parents[1]
linux = pytest.mark.skipif(sys.platform != 'linux', reason='/proc')


def program(folder, text):
    "Write a script; worker processes import it, too, so what it changes holds for them."
    (folder/'program.py').write_text(text)
    return [sys.executable, str(folder/'program.py')]


def started(command, **options):
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')]))
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # a shell that starts something in the background lets it ignore Ctrl-C, and children inherit that
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(command, env=env, preexec_fn=heed, **pipes | options)


def alive(pid):
    "Tell whether a process runs; one that ended and was not waited for does not."
    try: return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except OSError: return False


def gone(pids, seconds=5):
    "Wait until processes have ended; return those that have not."
    until = time.monotonic() + seconds
    while time.monotonic() < until and any(map(alive, pids)): time.sleep(.05)
    return [pid for pid in pids if alive(pid)]


# The pool

def kinds_of(found): return {item: failure.kind for item, failure in found if failure}
def with_failure(item, failure): return item, failure


def test_each_way_to_fail_is_told_and_costs_no_other():
    bad = {'__import__("os").kill(__import__("os").getpid(), 11)': ReaderDied,
           '__import__("time").sleep(60)': OverBudget,
           '[bytearray(10**8) for _ in range(10**4)]': OverBudget, 'next(iter([]))': Unforeseen, '{}["a"]': Unforeseen,
           'lambda: 0': Unforeseen}   # the last one gives a result that cannot be sent
    good = [f'{i} + 1' for i in range(5)]
    limits = Budget(2.5, 1.6)   # GB, of which libraries take one
    found = list(in_parallel(eval, [*bad, *good], 1, failed=with_failure, budget=limits))
    assert kinds_of(f for f in found if isinstance(f, tuple)) == bad
    assert sorted(f for f in found if isinstance(f, int)) == [1, 2, 3, 4, 5]
    said = {item: failure.cause for item, failure in (f for f in found if isinstance(f, tuple))}
    assert 'SIGSEGV' in said[[*bad][0]] and '2.5 s' in said[[*bad][1]] and '1.6 GB' in said[[*bad][2]]


def test_the_rest_of_a_group_is_done_after_one_of_it_died():
    items = ['1', '__import__("os")._exit(3)', '2', '3', '4']
    found = list(in_parallel(eval, items, 1, 5, failed=lambda item, failure: failure.cause, budget=Budget()))
    assert found[:1] == [1] and found[2:] == [2, 3, 4] and 'exit code 3' in found[1]


def test_a_full_disk_ends_the_work():
    with pytest.raises(OSError, match='No space'):
        list(in_parallel(eval, ['open("/dev/full", "w").write("x" * 10000)'], failed=with_failure))
    full = functools.partial(Unwritable, 'a', 'full')
    with pytest.raises(Unwritable): list(in_parallel(raising, [full], failed=with_failure))


def raising(make): raise make('Free space.')


def test_a_worker_that_cannot_get_ready_ends_the_work():
    dying = functools.partial(eval, '__import__("os")._exit(4)')
    with pytest.raises(ReaderDied, match=r'the process that read it died \(exit code 4\)'):
        Crew(eval, 1, Budget(), dying).one('1')


BUSY = '''
import os, sys
from cmdfd_nb.pool import in_parallel
def busy(folder):
    open(f'{folder}/{os.getpid()}', 'w').close()
    return sum(range(10**12))   # in C, without a moment for other threads
if __name__ == '__main__': list(in_parallel(busy, [sys.argv[1]] * 2, 2))
'''


@linux
@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_their_parent(tmp_path, number):
    (tmp_path/'pids').mkdir()
    parent = started([*program(tmp_path, BUSY), str(tmp_path/'pids')])
    while len(pids := [*map(int, os.listdir(tmp_path/'pids'))]) < 2 and parent.poll() is None: time.sleep(.05)
    assert len(pids) == 2, parent.communicate()
    parent.send_signal(number)
    parent.communicate()
    assert gone(pids) == []


# Files of a data set

def once(raised):
    "Return a replacement of a function that raises for one file, and what it was asked for."
    def broken(real, path, *args, **options):
        if 'wav2lip_Self' in str(path): raise raised
        return real(path, *args, **options)
    return broken


ERRORS = [StopIteration(), ValueError('Invalid argument returned 22'), IndexError('list index'), MemoryError()]
each_error = pytest.mark.parametrize('raised', ERRORS, ids=lambda e: type(e).__name__)


@pytest.fixture
def cmdfd(monkeypatch):
    "Three videos of the samples, of which one raises what is asked for."
    made = index.index('cmdfd', sample('cmdfd'), match='id00000-id0000')
    keep = made.rows.path.str.contains('wav2lip').to_numpy()
    def breaking(module, name, raised):
        monkeypatch.setattr(module, name, functools.partial(once(raised), getattr(module, name)))
        return made.where(keep)
    return breaking


@each_error
def test_preprocessing_goes_on_after_any_exception(cmdfd, tmp_path, raised):
    videos = cmdfd(clips, 'preprocess', raised)
    table = clips.preprocess_all(videos, tmp_path, PreprocessConfig(faces='whole', views=('mfcc',)))
    problem, = table.problems
    assert 'wav2lip_Self' in problem['file'] and len(table) == len(videos) - 1 > 0
    check_problem(problem['type'], problem['message'], raised)


@each_error
def test_measuring_goes_on_after_any_exception(cmdfd, raised):
    videos = cmdfd(index, 'sha256_of', raised)
    rows, (error,) = index.measured(videos.rows, videos.root)
    assert 'wav2lip_Self' in error.file and len(rows) == len(videos) - 1 > 0
    check_problem(type(error).__name__, str(error), raised)


@each_error
def test_the_audit_goes_on_after_any_exception(cmdfd, raised):
    videos = cmdfd(shortcuts, 'whole_file_numbers', raised)
    unread, = (f for f in report.audit(videos) if f.check == 'unopened')
    assert unread.found.startswith('1 files') and 'wav2lip_Self' in unread.table.index[0]
    grave = not isinstance(raised, MemoryError)
    assert unread.record()['grave'] == ('grave' if grave else 'note')
    numbers, _ = shortcuts.media_numbers(videos)
    assert numbers['file size'].notna().sum() == len(videos) - 1


def check_problem(kind, message, raised):
    "Check that a bug is told with a log that holds its traceback."
    if isinstance(raised, MemoryError): assert kind == 'OverBudget'
    else:
        assert kind == 'Unforeseen' and type(raised).__name__ in message
        log = Path(re.search(r'report it with (\S+\.log)', message)[1])
        assert 'in broken' in log.read_text()


# Commands

SCORE = '''
import os, sys, time
from cmdfd_nb.cli import cmdfd_score
def deadly(path, *args):
    if 'kill' in path: os.kill(os.getpid(), 11)
    if 'bug' in path: return next(iter([]))
    if 'hang' in path: print('hanging', os.getpid(), flush=True); time.sleep(60)
    return real(path, *args)
if __name__ == '__mp_main__':   # in a worker
    import cmdfd_nb.judge.score as score
    real, score.score_video = score.score_video, deadly
if __name__ == '__main__': sys.exit(cmdfd_score())
'''
OPTIONS = ['--weights', 'seeded', '--faces', 'whole', '--device', 'cpu']


def test_a_crash_in_native_code_costs_one_file(tmp_path):
    good = sample('cmdfd/wav2lip_Self/id00000-id00000.mp4')
    for name in ('bug', 'kill', 'good'): (tmp_path/f'{name}.mp4').write_bytes(good.read_bytes())
    names = ['bug.mp4', 'kill.mp4', 'absent.mp4', 'good.mp4']
    run = started([*program(tmp_path, SCORE), *names, *OPTIONS, '--json', '--out', 'scores'], cwd=tmp_path)
    out, err = run.communicate()
    assert run.returncode == 1, err
    records = {record['file']: record for record in json.loads(out)}
    kinds = [records[name].get('error', {}).get('type') for name in names]
    assert kinds == ['Unforeseen', 'ReaderDied', 'UnreadableMedia', None]
    assert records['good.mp4']['tracks'] and 'SIGSEGV' in records['kill.mp4']['error']['message']
    log = re.search(r'report it with (\S+\.log)', records['bug.mp4']['error']['message'])[1]
    assert 'StopIteration' in Path(log).read_text() and 'Traceback' not in err
    saved = [json.loads(path.read_text()) for path in sorted((tmp_path/'scores').glob('*.json'))]
    assert sorted(record['file'] for record in saved) == sorted(names)


@linux
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_stop_is_one_line_and_leaves_no_process(tmp_path, number):
    (tmp_path/'hang.mp4').write_bytes(sample('speaker.mp4').read_bytes())
    run = started([*program(tmp_path, SCORE), 'hang.mp4', *OPTIONS], cwd=tmp_path, start_new_session=True)
    word, pid = run.stdout.readline().split()
    assert word == 'hanging'
    os.killpg(run.pid, number) if number == signal.SIGINT else run.send_signal(number)
    _, err = run.communicate()
    assert run.returncode == 128 + number
    first, last = err.splitlines()
    assert first == '[1/1] hang.mp4' and last.startswith('Stopped. The results of finished')
    assert gone([int(pid)]) == []


EARLY = '''
from multiprocessing.forkserver import _forkserver
from cmdfd_nb.pool import start_server
start_server()
print(_forkserver._forkserver_pid, flush=True)
input()
'''


@linux
def test_ctrl_c_is_not_heard_by_the_server_of_workers(tmp_path):
    "Not even in the seconds in which it imports what they need."
    run = started(program(tmp_path, EARLY), stdin=subprocess.PIPE)
    server = int(run.stdout.readline())
    blocked = int(re.search(r'SigBlk:\s*(\w+)', Path(f'/proc/{server}/status').read_text())[1], 16)
    run.communicate('\n')
    assert blocked >> signal.SIGINT - 1 & 1


COMMAND = '''
import sys
from cmdfd_nb.command import command
@command
def speak(what: str = ''):
    if what == 'bug': return {}['frames']
    if what == 'full': open('/dev/full', 'w').write('x' * 10000)
    if what == 'gone': open('/absent/a.txt', 'w')
    if what == 'wrong': return ['one']
    for _ in range(100_000): print('a line')
if __name__ == '__main__': sys.exit(speak())
'''


@pytest.mark.parametrize('what, code, says', [
    ('bug', 3, r"^A bug of the kit stopped this command \(KeyError: 'frames'\)\. Please report it with \S+\.log\.$"),
    ('full', 2, r'^a file: No space left on device\. Free space'), ('gone', 2, r'^/absent/a\.txt: No such file'),
    ('wrong', 1, '^$')])
def test_exit_codes(tmp_path, what, code, says):
    run = started([*program(tmp_path, COMMAND), '--what', what])
    _, err = run.communicate()
    assert run.returncode == code and re.search(says, err.strip()) and len(err.splitlines()) <= 1


def test_a_reader_that_leaves_is_no_error(tmp_path):
    run = started([*program(tmp_path, COMMAND), '--what', 'all'])
    run.stdout.readline()
    run.stdout.close()
    assert run.stderr.read() == '' and run.wait() == 141


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='/dev/full')
def test_output_that_cannot_be_written_is_one_line(tmp_path):
    with open('/dev/full', 'w') as full: run = started([*program(tmp_path, COMMAND), '--what', 'all'], stdout=full)
    err = run.stderr.read()
    assert run.wait() == 2 and 'No space left' in err and len(err.splitlines()) == 1


# Hostile inputs

COMMANDS = {name: getattr(cli, name) for name in cli.__all__}


def test_hostile(tmp_path):
    found = self_test(COMMANDS, 40, 1, work=tmp_path/'work')
    assert {outcome.number for outcome in found} == set(range(40))
    assert [o for o in found if not o.explained] == [], outcome_table(found)
    assert {'result', 'UnreadableMedia', 'refused'} <= {outcome.said for outcome in found}
