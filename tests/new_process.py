"""New processes that need not import PyTorch and transformers again: 5 seconds each otherwise.

A server is started once, imports what training needs, and does nothing else; each process is a
fork of it, ends as any process does, and can be killed. It has the server's hash seed: where the
order of sets must not count, start an interpreter.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.heavy_imports"])


def python(*words, timeout=240):
    """Run ``python WORDS`` to its end, where the words are a file and its arguments."""
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder, name) for name in ("stdout", "stderr")]
        process = CONTEXT.Process(target=_run, args=(words, dict(os.environ), streams))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(words, timeout)
        texts = [path.read_text(encoding="utf-8") for path in streams]
    return subprocess.CompletedProcess(words, process.exitcode, *texts)


def _run(words, environment, streams):
    for number, path in enumerate(streams, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = list(words)
    runpy.run_path(words[0], run_name="__main__")
