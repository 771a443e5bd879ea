"""What stands before gradio: open routes, sizes and numbers of requests, uploads, headers."""

import asyncio
import json
import os
import time

import pytest

from hf_cushing.app import guard as guard_module
from hf_cushing.app import limits
from hf_cushing.app import vault as vault_module
from hf_cushing.app.guard import SpaceGuard, client_of, path_of
from hf_cushing.app.limits import Rate
from hf_cushing.app.routes import UPLOAD
from tests.app.uploads import uploaded

CALL = "/gradio_api/queue/join"


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
    status, _, body = ask(SpaceGuard(inner(vault), vault, Rate(9)), UPLOAD)
    assert status == 200
    assert not list(vault.folder.iterdir())
    (path,) = json.loads(body)
    assert vault.take(path) == b"photo"


def test_a_slow_upload_is_not_swept_by_that_of_another_visitor(vault):
    slow = vault.folder / "arriving"

    async def stalls(scope, receive, send):
        slow.write_bytes(b"photo")
        late = time.time() + 2 * vault.seconds
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(vault_module.time, "time", lambda: late)
            await SpaceGuard(inner(vault), vault, Rate(9))(scope, receive, ignored)
        body = json.dumps([str(slow)]).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async def ignored(message):
        pass

    status, _, _ = ask(SpaceGuard(stalls, vault, Rate(9)), UPLOAD)
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

    _, _, body = ask(SpaceGuard(app, vault, Rate(9)), UPLOAD)
    assert vault.take(json.loads(body)[0]) == b"photo"


def test_uploads_beyond_the_capacity_are_refused_and_not_kept(vault, monkeypatch):
    monkeypatch.setattr(vault_module, "CAPACITY", 3)
    status, _, _ = ask(SpaceGuard(inner(vault), vault, Rate(9)), UPLOAD)
    assert status == 503
    assert vault.held == 0
    assert not list(vault.folder.rglob("*.jpg"))


def test_the_preview_comes_from_memory_and_stays_out_of_caches(vault):
    path = uploaded(vault, b"\x89PNG and more")
    vault.admit([path])
    status, headers, body = ask(
        SpaceGuard(inner(vault), vault, Rate(9)), f"/gradio_api/file={path}", "GET"
    )
    assert (status, body) == (200, b"\x89PNG and more")
    assert headers[b"content-type"] == b"image/png"
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"x-content-type-options"] == b"nosniff"


def test_one_client_too_many_times_is_told_to_wait_and_others_are_not(vault):
    app = SpaceGuard(inner(vault), vault, Rate(2))
    assert [ask(app, UPLOAD)[0] for _ in range(3)] == [200, 200, 429]
    assert ask(app, CALL)[0] == 429
    assert ask(app, UPLOAD, client="10.0.0.2")[0] == 200
    assert ask(app, "/config", "GET")[0] == 200


def test_the_rate_is_by_minute(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(limits.time, "monotonic", lambda: now[0])
    rate = Rate(1)
    assert [rate.allows("a"), rate.allows("a")] == [True, False]
    now[0] = 61.0
    assert rate.allows("a")


def test_a_call_that_carries_a_photo_itself_is_refused(vault):
    app = SpaceGuard(inner(vault), vault, Rate(9))
    long = [(b"content-length", b"2000000")]
    assert ask(app, CALL, headers=long)[0] == 413
    assert ask(app, UPLOAD, headers=long)[0] == 200


def test_a_call_may_name_uploads_and_nothing_else(vault):
    app = SpaceGuard(inner(vault), vault, Rate(99))
    fine = json.dumps({"data": [{"path": f"{vault.folder}/x/a.jpg"}, [None], {"path": None}]})
    assert ask(app, CALL, body=fine.encode())[0] == 200
    for path in ("https://example.org/a.jpg", "/etc/passwd", f"{vault.folder}/../a.jpg", ["a"]):
        nested = json.dumps({"data": [[{"files": [{"path": path}]}]]})
        assert ask(app, CALL, body=nested.encode())[0] == 400
    assert ask(app, CALL, body=b"not json")[0] == 400
    assert ask(app, CALL, body=b"[" * 100_000)[0] == 400


def test_on_a_space_the_client_is_the_one_that_the_proxy_names(monkeypatch):
    scope = {"headers": [(b"x-forwarded-for", b"9.9.9.9, 1.2.3.4")], "client": ("10.0.0.1", 5)}
    assert client_of(scope) == "10.0.0.1"
    monkeypatch.setenv("SPACE_ID", "me/space")
    assert client_of(scope) == "1.2.3.4"


def chunks(*parts, last="http.request"):
    """`receive` of a body that comes in parts, its length not said."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages.append({"type": last, "body": b"", "more_body": False})

    async def receive():
        return messages.pop(0)

    return receive


def status_of(app, receive, path, method="POST", kind="application/json"):
    """Status of a request without a length."""
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "path": path, "method": method, "client": ("1.2.3.4", 1),
             "query_string": b"", "headers": [(b"content-type", kind.encode())]}  # fmt: skip
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"]


def test_a_call_whose_length_is_not_said_is_counted_as_it_comes(vault):
    app = SpaceGuard(inner(vault), vault, Rate(9))
    assert status_of(app, chunks(b"{", b"}"), CALL) == 200
    assert status_of(app, chunks(b"{", *[b" " * 10_000] * 101, b"}"), CALL) == 413


FORM = "multipart/form-data; boundary=X"
PART = b'--X\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'


def gradio_app(monkeypatch, vault):
    """gradio itself behind the guard."""
    gr = pytest.importorskip("gradio")
    from gradio.routes import App

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(vault.folder))
    with gr.Blocks(analytics_enabled=False) as blocks:
        gr.Markdown("x")
    blocks.max_file_size = None
    return SpaceGuard(App.create_app(blocks), vault, Rate(99))


def test_an_upload_is_counted_as_it_comes_and_what_is_too_long_leaves_nothing(vault, monkeypatch):
    app = gradio_app(monkeypatch, vault)
    end = b"\r\n--X--\r\n"
    assert status_of(app, chunks(PART, b"photo", end), UPLOAD, kind=FORM) == 200
    assert vault.held == len(b"photo")
    monkeypatch.setattr(guard_module, "MAX_UPLOAD_BYTES", 1000)
    assert status_of(app, chunks(PART, b" " * 1000, end), UPLOAD, kind=FORM) == 413
    monkeypatch.setattr(vault_module, "CAPACITY", 100)
    assert status_of(app, chunks(PART, b" " * 90, end), UPLOAD, kind=FORM) == 503
    assert [path for path in vault.folder.rglob("*") if path.is_file()] == []


def test_an_upload_that_is_broken_off_leaves_nothing(vault, monkeypatch):
    broken = chunks(PART, b"pho", last="http.disconnect")
    assert status_of(gradio_app(monkeypatch, vault), broken, UPLOAD, kind=FORM) == 400
    assert [path for path in vault.folder.rglob("*") if path.is_file()] == []


def test_an_address_is_no_file(vault):
    app = SpaceGuard(inner(vault), vault, Rate(9))
    assert ask(app, "/gradio_api/file=/a.png", "GET")[0] == 200
    for path in ("https://example.org/a.png", "a.png", ""):
        assert ask(app, f"/gradio_api/file={path}", "GET")[0] == 404


def test_the_path_of_a_proxy_may_be_there_or_not():
    for path in ("/cushing/config", "/config"):
        assert path_of({"root_path": "/cushing", "path": path}) == "/config"
    assert path_of({"root_path": "/cushing", "path": "/cushingconfig"}) == "/cushingconfig"
    assert path_of({"path": "/config"}) == "/config"
