"""How a page is served: its temporary folder and how it ends, in whatever way it is stopped."""

import multiprocessing
import os
import signal
import tempfile
import time
from contextlib import suppress

import pytest

pytest.importorskip("gradio")
from hf_cushing.app.server import LOCK, scratch_folder, start
from hf_cushing.schema import UsageError


def hold(place, told):
    """Serve nothing, but hold an upload."""
    tempfile.tempdir = place
    with suppress(KeyboardInterrupt), scratch_folder() as folder:
        (folder / "face.jpg").write_bytes(b"photo")
        told.send(folder)
        time.sleep(60)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def holder(place):
    """A process that holds an upload, and the upload's folder."""
    fork = multiprocessing.get_context("fork")
    told, tell = fork.Pipe(duplex=False)
    process = fork.Process(target=hold, args=(str(place), tell))
    process.start()
    yield process, told.recv()
    process.kill()
    process.join()


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
    process.join(timeout=20)
    assert process.exitcode == 0
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
    process.join()
    with scratch_folder():
        assert not left.parent.exists()
    assert all((other / "uploads").is_dir() for other in others)


@pytest.mark.parametrize("path", ["cushing", "/cushing/", "https://example.org"])
def test_a_root_path_is_a_path(path):
    with pytest.raises(UsageError, match="write it as /cushing"):
        start(None, host=None, port=None, guard=None, root_path=path)
