"""How a page is served: its temporary folder and how it ends, in whatever way it is stopped."""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

pytest.importorskip("gradio")
from hf_cushing.app.server import LOCK, scratch_folder, start
from hf_cushing.schema import UsageError

HOLD = """
import time
from hf_cushing.app.server import scratch_folder
try:
    with scratch_folder() as folder:
        (folder / "face.jpg").write_bytes(b"photo")
        print(folder, flush=True)
        time.sleep(60)
except KeyboardInterrupt:
    pass
"""
"""Serves nothing, but holds an upload."""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def holder(place):
    """A process that holds an upload, and the upload's folder."""
    environment = os.environ | {"TMPDIR": str(place)}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True, env=environment
    )
    yield process, Path(process.stdout.readline().strip())
    process.kill()
    process.wait()


def test_the_folder_is_gone_with_the_server_and_the_environment_as_before(place):
    before = dict(os.environ)
    with suppress(KeyboardInterrupt), scratch_folder() as folder:
        (folder / "x").mkdir()
        assert os.environ["GRADIO_TEMP_DIR"] == str(folder)
        os.kill(os.getpid(), signal.SIGTERM)
        pytest.fail("it goes on")
    assert list(place.iterdir()) == []
    assert dict(os.environ) == before


def test_sigterm_leaves_no_upload(holder, place):
    process, folder = holder
    assert (folder / "face.jpg").is_file()
    process.terminate()
    assert process.wait(timeout=20) == 0
    assert list(place.iterdir()) == []


def test_what_a_killed_server_left_is_deleted_at_the_next_start_and_nothing_else(holder, place):
    process, left = holder
    others = place / "hf-cushing-page-of-another", place / "photos"
    for other in others:
        (other / "uploads").mkdir(parents=True)
    (place / "hf-cushing-page-link").symlink_to(others[1])
    (others[1] / LOCK).touch()
    with scratch_folder():
        assert (left / "face.jpg").is_file()  # its server lives
    process.kill()
    process.wait()
    with scratch_folder():
        assert not left.parent.exists()
    assert all((other / "uploads").is_dir() for other in others)


@pytest.mark.parametrize("path", ["cushing", "/cushing/", "https://example.org"])
def test_a_root_path_is_a_path(path):
    with pytest.raises(UsageError, match="write it as /cushing"):
        start(None, host=None, port=None, guard=None, root_path=path)
