"""Uploads in memory: they leave the disk at once, are read once, and are forgotten in time."""

import asyncio
import json
import os
import time

import pytest

from hf_cushing.app import vault as vault_module
from hf_cushing.app.vault import CALLS, UPLOAD, Guard, Rate, Vault, client_of


@pytest.fixture
def vault(tmp_path):
    folder = tmp_path / "uploads"
    folder.mkdir()
    return Vault(folder)


def uploaded(vault, content=b"photo", name="a.jpg"):
    path = vault.folder / "hash" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return str(path)


def ask(app, path, method="POST", headers=(), client="10.0.0.1", body=b"{}"):
    """Send a request through an ASGI app; status, headers and body of the answer."""
    sent = []
    scope = {"type": "http", "path": path, "method": method, "client": (client, 1)}
    scope["headers"] = [(b"content-length", b"10"), *headers]

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    asyncio.run(app(scope, receive, send))
    answer = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], dict(sent[0]["headers"]), answer


def inner(vault):
    """Stands for gradio: an upload is written to disk and its path told."""

    async def app(scope, receive, send):
        body = b"{}"
        if scope["path"] == UPLOAD:
            body = json.dumps([uploaded(vault)]).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return app


def test_an_upload_leaves_the_disk_before_its_path_is_told(vault):
    status, _, body = ask(Guard(inner(vault), vault, Rate(9)), UPLOAD)
    assert status == 200
    assert not list(vault.folder.iterdir())
    (path,) = json.loads(body)
    assert vault.take(path) == b"photo"


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


def test_a_slow_upload_is_not_swept_by_that_of_another_visitor(vault):
    slow = vault.folder / "arriving"

    async def stalls(scope, receive, send):
        slow.write_bytes(b"photo")
        late = time.time() + 2 * vault.seconds
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(vault_module.time, "time", lambda: late)
            await Guard(inner(vault), vault, Rate(9))(scope, receive, ignored)
        body = json.dumps([str(slow)]).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async def ignored(message):
        pass

    status, _, _ = ask(Guard(stalls, vault, Rate(9)), UPLOAD)
    assert status == 200
    assert vault.take(str(slow)) == b"photo"
    assert vault.arriving == []


def test_the_first_of_several_photos_may_arrive_long_before_the_last(vault):
    async def app(scope, receive, send):
        path = uploaded(vault)
        os.utime(path, (time.time() - 2 * vault.seconds,) * 2)
        os.utime(vault.folder / "hash", (time.time() - 2 * vault.seconds,) * 2)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps([path]).encode()})

    _, _, body = ask(Guard(app, vault, Rate(9)), UPLOAD)
    assert vault.take(json.loads(body)[0]) == b"photo"


def test_files_elsewhere_are_neither_read_nor_deleted(vault, tmp_path):
    elsewhere = tmp_path / "patients.csv"
    elsewhere.write_text("secret")
    for path in (str(elsewhere), str(vault.folder / ".." / "patients.csv")):
        vault.admit([path])
        assert vault.take(path) is None
    assert elsewhere.exists()


def test_uploads_beyond_the_capacity_are_refused_and_not_kept(vault, monkeypatch):
    monkeypatch.setattr(vault_module, "CAPACITY", 3)
    status, _, _ = ask(Guard(inner(vault), vault, Rate(9)), UPLOAD)
    assert status == 503
    assert vault.held == 0
    assert not list(vault.folder.rglob("*.jpg"))


def test_the_preview_comes_from_memory_and_stays_out_of_caches(vault):
    path = uploaded(vault, b"\x89PNG and more")
    vault.admit([path])
    status, headers, body = ask(
        Guard(inner(vault), vault, Rate(9)), f"/gradio_api/file={path}", "GET"
    )
    assert (status, body) == (200, b"\x89PNG and more")
    assert headers[b"content-type"] == b"image/png"
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"x-content-type-options"] == b"nosniff"


def test_one_client_too_many_times_is_told_to_wait_and_others_are_not(vault):
    app = Guard(inner(vault), vault, Rate(2))
    assert [ask(app, UPLOAD)[0] for _ in range(3)] == [200, 200, 429]
    assert ask(app, CALLS[0])[0] == 429
    assert ask(app, UPLOAD, client="10.0.0.2")[0] == 200
    assert ask(app, "/config", "GET")[0] == 200


def test_the_rate_is_by_minute(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(vault_module.time, "monotonic", lambda: now[0])
    rate = Rate(1)
    assert [rate.allows("a"), rate.allows("a")] == [True, False]
    now[0] = 61.0
    assert rate.allows("a")


def test_a_call_that_carries_a_photo_itself_is_refused(vault):
    app = Guard(inner(vault), vault, Rate(9))
    long = [(b"content-length", b"2000000")]
    assert ask(app, CALLS[0], headers=long)[0] == 413
    assert ask(app, UPLOAD, headers=long)[0] == 200


def test_a_call_may_name_uploads_and_nothing_else(vault):
    app = Guard(inner(vault), vault, Rate(99))
    fine = json.dumps({"data": [{"path": f"{vault.folder}/x/a.jpg"}, [None], {"path": None}]})
    assert ask(app, CALLS[0], body=fine.encode())[0] == 200
    for path in ("https://example.org/a.jpg", "/etc/passwd", f"{vault.folder}/../a.jpg", ["a"]):
        nested = json.dumps({"data": [[{"files": [{"path": path}]}]]})
        assert ask(app, CALLS[0], body=nested.encode())[0] == 400
    assert ask(app, CALLS[0], body=b"not json")[0] == 400
    assert ask(app, CALLS[0], body=b"[" * 100_000)[0] == 400


def test_on_a_space_the_client_is_the_one_that_the_proxy_names(monkeypatch):
    scope = {"headers": [(b"x-forwarded-for", b"9.9.9.9, 1.2.3.4")], "client": ("10.0.0.1", 5)}
    assert client_of(scope) == "10.0.0.1"
    monkeypatch.setenv("SPACE_ID", "me/space")
    assert client_of(scope) == "1.2.3.4"
