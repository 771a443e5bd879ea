"""Uploads in memory: they leave the disk at once, are read once, and are forgotten in time."""

import os

from tests.app.uploads import uploaded


def test_an_upload_is_read_once_and_then_gone(vault):
    path = uploaded(vault)
    assert vault.admit([path])
    assert vault.peek(path) == b"photo"
    assert vault.take(path) == b"photo"
    assert vault.take(path) is None
    assert vault.held == 0


def test_the_same_photo_of_two_visitors_is_there_for_both(vault):
    first = uploaded(vault)
    vault.admit([first])
    second = uploaded(vault)
    vault.admit([second])
    assert first == second
    assert [vault.take(first) for _ in range(3)] == [b"photo", b"photo", None]


def test_what_waits_too_long_is_forgotten_in_memory_and_on_disk(vault):
    vault.admit([uploaded(vault)])
    stale = uploaded(vault, name="broken.part")
    os.utime(vault.folder / "hash", (0, 0))
    vault.sweep()
    assert vault.held == 5
    assert not os.path.exists(stale)
    vault.seconds = -1
    vault.admit([uploaded(vault, b"other", "b.jpg")])
    vault.sweep()
    assert vault.peek(str(vault.folder / "hash" / "b.jpg")) is None


class Eager(bytes):
    """Bytes of an upload; while they are counted, a worker takes another."""

    def __len__(self):
        self.vault.take(self.other)
        return 5


def test_an_upload_may_be_taken_while_those_that_wait_are_counted(vault):
    first, second = uploaded(vault, name="a.jpg"), uploaded(vault, name="b.jpg")
    vault.admit([first, second])
    eager = Eager()
    eager.vault, eager.other = vault, second
    vault.entries[first].data = eager
    assert vault.held >= 5
    assert vault.peek(second) is None


def test_files_elsewhere_are_neither_read_nor_deleted(vault, tmp_path):
    elsewhere = tmp_path / "patients.csv"
    elsewhere.write_text("secret")
    for path in (str(elsewhere), str(vault.folder / ".." / "patients.csv")):
        vault.admit([path])
        assert vault.take(path) is None
    assert elsewhere.exists()
