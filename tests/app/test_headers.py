"""Headers and the warning, the same for the app and the reading room."""

import asyncio

import pytest

from hf_cushing.app.guard import Guard
from hf_cushing.app.headers import headers_for
from hf_cushing.app.routes import PAGE
from hf_cushing.app.server import tell_if_open


def told(app, path):
    """The headers of an answer."""
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "path": path, "method": "GET", "headers": [], "client": ("1.2.3.4", 1)}
    asyncio.run(app(scope, None, send))
    return [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]


async def page(scope, receive, send):
    headers = [(b"Cache-Control", b"public"), (b"content-type", b"text/html")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


@pytest.mark.parametrize("path", ["/", "/assets/a.js", "/config"])
def test_every_answer_has_the_headers_and_pages_stay_out_of_caches(path):
    found = told(Guard(page, PAGE), path)
    assert dict(found).items() >= headers_for(path).items()
    caches = [value for name, value in found if name.lower() == "cache-control"]
    assert caches == (["public"] if path.startswith("/assets/") else ["no-store"])


def test_nobody_may_frame_a_page_here_and_the_hub_alone_on_a_space(monkeypatch):
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert headers_for("/")["content-security-policy"].endswith("; frame-ancestors 'none'")
    monkeypatch.setenv("SPACE_ID", "me/space")
    monkeypatch.setattr("hf_cushing.app.headers.constants.ENDPOINT", "https://hub.example")
    policy = headers_for("/")["content-security-policy"]
    assert policy.endswith("; frame-ancestors https://hub.example")


@pytest.mark.parametrize("host", [None, "127.0.0.1", "localhost", "::1"])
def test_this_machine_alone_needs_no_warning(host):
    tell_if_open(host, "photos travel unencrypted", pytest.fail)


def test_an_open_port_is_warned_of():
    lines = []
    tell_if_open("0.0.0.0", "photos travel unencrypted", lines.append)
    assert "open to the network; photos travel unencrypted, so keep to a network" in lines[0]
