"""Processes that begin with everything imported: children of this one, which then do what a process of their own would.

PyTorch and the rest take some seconds to import each time. Tests that are not about a fresh start begin here."""
import os, runpy, signal, sys, tempfile, threading, traceback
from types import SimpleNamespace

import cv2
import matplotlib.pyplot as plt

from cmdfd_nb.pool import one_thread


def exit_code(function):
    "Call a function; return the code that Python would end with."
    try: function()
    except SystemExit as stop:
        if isinstance(stop.code, (int, type(None))): return stop.code or 0
        print(stop.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def become(function, ends):
    "Do nothing else in this process, with these file descriptors as its standard streams, and end it."
    code = 70
    try:
        for number, end in enumerate(ends): os.dup2(end, number)
        streams = [os.fdopen(number, 'w' if number else 'r', closefd=False) for number in range(3)]
        sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__ = streams
        signal.signal(signal.SIGINT, signal.default_int_handler)
        plt.close('all')   # figures that this process has left open would be shown by the child
        one_thread()
        code = exit_code(function)
        for stream in streams[1:]: stream.flush()
    finally: os._exit(code)


def fork():
    "Fork this process; its threads, which the child lacks, end before."
    cv2.setNumThreads(1)
    return os.fork()


def run_forked(function):
    "Call a function in a child; return what `subprocess.run` returns: returncode, stdout, stderr."
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, open(os.devnull) as nothing:
        if not (pid := fork()): become(function, [nothing.fileno(), out.fileno(), err.fileno()])
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        said = []
        for stream in (out, err):
            stream.seek(0)
            said.append(stream.read().decode())
    return SimpleNamespace(returncode=code, stdout=said[0], stderr=said[1])


def run_script(script, *args, cwd=None):
    "Run a script with arguments in a folder, as a shell does."
    def main():
        if cwd: os.chdir(cwd)
        sys.argv = [str(script), *map(str, args)]
        runpy.run_path(str(script), run_name='__main__')
    return run_forked(main)


class Child:
    "A child that runs a function while this process goes on; its attributes are those of `subprocess.Popen`."
    def __init__(self, function):
        (theirs, ours), *outs = (os.pipe() for _ in range(3))
        ends = [theirs, *(end for _, end in outs)]
        self.pid = fork()
        if not self.pid:
            os.close(ours)
            become(function, ends)
        for end in ends: os.close(end)
        self.stdin, self.returncode = os.fdopen(ours, 'w'), None
        self.stdout, self.stderr = (os.fdopen(end) for end, _ in outs)

    def _ended(self, how):
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, how)
            if pid: self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def poll(self): return self._ended(os.WNOHANG)
    def wait(self): return self._ended(0)
    def kill(self): os.kill(self.pid, signal.SIGKILL)

    def communicate(self, text=''):
        "Send a text, wait for the end, and return what the child printed."
        said = {}
        def read(): said['err'] = self.stderr.read()
        reader = threading.Thread(target=read)
        reader.start()
        self.stdin.write(text)
        self.stdin.close()
        out = self.stdout.read()
        reader.join()
        self.wait()
        return out, said['err']
