"""The loopback Hub, and a client that speaks to it from this process."""

import time

import huggingface_hub.constants
import pytest
from huggingface_hub import HfApi

from tests.publish.loopback_hub import WRITE_TOKEN, LoopbackHub
from tests.publish.uploads import small_model


@pytest.fixture(scope="session")
def server():
    with LoopbackHub() as running:
        yield running


@pytest.fixture
def hub(server, monkeypatch, tmp_path):
    """An empty Hub on 127.0.0.1, and the environment of a user of it."""
    server.clear()
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.url)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setenv("HF_TOKEN", WRITE_TOKEN)
    return server


@pytest.fixture
def api(hub):
    return HfApi(endpoint=hub.url, token=WRITE_TOKEN)


@pytest.fixture
def waits(monkeypatch):
    """Seconds that were waited between tries; no time passes."""
    seconds = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


@pytest.fixture
def staged(tmp_path):
    """A staged model of four files, not yet on the Hub."""
    return small_model(tmp_path / "staged")
