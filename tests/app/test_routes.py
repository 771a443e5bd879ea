"""Every route of the installed gradio is either open on purpose or known and closed."""

import asyncio
import re

import pytest
from starlette.routing import Mount

gr = pytest.importorskip("gradio")
from gradio.routes import App  # noqa: E402

from hf_cushing.app.guard import Guard  # noqa: E402
from hf_cushing.app.routes import ROOM, SPACE, Routes  # noqa: E402

CLOSED = """
GET /openapi.json
HEAD /openapi.json
GET /gradio_api/openapi.json
POST /login
POST /login/
GET /logout
GET /svelte/{path:path}
GET /config/
GET /robots.txt
GET /pwa_icon
GET /pwa_icon/{size}
GET /monitoring
GET /monitoring/summary
GET /monitoring/{key}
GET /gradio_api/deep_link
GET /gradio_api/user
GET /gradio_api/user/
GET /gradio_api/login_check
GET /gradio_api/login_check/
GET /gradio_api/token
GET /gradio_api/token/
GET /gradio_api/app_id
GET /gradio_api/app_id/
GET /gradio_api/dev/reload
GET /gradio_api/runs
GET /gradio_api/runs/
POST /gradio_api/run-history/connect
GET /gradio_api/run-history/buckets
GET /gradio_api/run-history/records
GET /gradio_api/run-history/records/{endpoint}/{record_id}/assets/{asset_id}
GET /gradio_api/info/
GET /gradio_api/custom_component/{id}/{environment}/{type}/{file_name}
GET /gradio_api/proxy={url_path:path}
HEAD /gradio_api/proxy={url_path:path}
HEAD /gradio_api/file={path_or_url:path}
POST /gradio_api/stream/{event_id}
POST /gradio_api/stream/{event_id}/close
GET /gradio_api/stream/{session_hash}/{run}/{component_id}/playlist.m3u8
GET /gradio_api/stream/{session_hash}/{run}/{component_id}/{segment_id}.{ext}
GET /gradio_api/stream/{session_hash}/{run}/{component_id}/playlist-file
GET /gradio_api/file/{path:path}
POST /gradio_api/reset
POST /gradio_api/reset/
POST /gradio_api/api/{api_name}
POST /gradio_api/api/{api_name}/
POST /gradio_api/run/{api_name}/
POST /gradio_api/call/{api_name}/
POST /gradio_api/call/v2/{api_name}/
POST /gradio_api/cancel
POST /gradio_api/component_server
POST /gradio_api/component_server/
GET /gradio_api/queue/status
POST /gradio_api/process_recording
POST /gradio_api/vibe-edit
POST /gradio_api/vibe-edit/
POST /gradio_api/undo-vibe-edit
POST /gradio_api/undo-vibe-edit/
GET /gradio_api/vibe-code
GET /gradio_api/vibe-code/
POST /gradio_api/vibe-code
POST /gradio_api/vibe-code/
POST /gradio_api/vibe-starter-queries
POST /gradio_api/vibe-starter-queries/
"""
"""What gradio also offers and nobody gets."""

KNOWN = {"space": set(CLOSED.split("\n")) - {""}}
KNOWN["room"] = (KNOWN["space"] | (SPACE - ROOM)) - ROOM


def walk(routes, prefix=""):
    """Method and path of all routes, nested ones included."""
    for route in routes:
        router = getattr(route, "original_router", None)
        if router is not None:
            yield from walk(router.routes, prefix)
        elif isinstance(route, Mount):
            yield f"MOUNT {prefix}{route.path}"
            yield from walk(route.routes or (), prefix + route.path)
        else:
            methods = getattr(route, "methods", None) or {"WEBSOCKET"}
            yield from (f"{method} {prefix}{route.path}" for method in methods)


@pytest.fixture(scope="module")
def installed():
    with gr.Blocks(analytics_enabled=False) as blocks:
        gr.Markdown("x")
    return set(walk(App.create_app(blocks).routes))


@pytest.mark.parametrize(("opened", "page"), [(SPACE, "space"), (ROOM, "room")])
def test_no_route_of_the_installed_gradio_is_unknown(installed, opened, page):
    assert installed - opened == KNOWN[page] & installed, "a new route: open it or close it"
    assert opened <= installed, "a route is gone"


@pytest.mark.parametrize(("opened", "page"), [(SPACE, "space"), (ROOM, "room")])
def test_closed_routes_are_answered_by_nobody(opened, page):
    asked, statuses = [], []

    async def gradio(scope, receive, send):
        asked.append(scope["path"])

    async def send(message):
        statuses.append(message.get("status"))

    for route in KNOWN[page]:
        method, path = route.split(" ")
        scope = {"type": "http", "method": method, "headers": [], "path": filled(path)}
        asyncio.run(Guard(gradio, opened)(scope, None, send))
    assert asked == []
    assert [x for x in statuses if x] == [404] * len(KNOWN[page])


def filled(path):
    """A path with its parameters filled in."""
    return re.sub(r"{\w+(:path)?}", "x", path)


@pytest.mark.parametrize("opened", [SPACE, ROOM])
def test_open_routes_are_open_and_nothing_that_looks_like_them(opened):
    for route in opened:
        method, path = route.split(" ")
        assert (method, filled(path)) in Routes(opened)
        assert (method, f"/x{filled(path)}") not in Routes(opened)
    for tricky in ("//", "/config/../gradio_api/deep_link", "/gradio_api/deep_link\n", ""):
        assert ("GET", tricky) not in Routes(opened)


def test_websockets_are_closed_and_the_server_s_own_life_is_not(installed):
    seen, sent = [], []

    async def gradio(scope, receive, send):
        seen.append(scope["type"])

    async def send(message):
        sent.append(message["type"])

    for kind in ("lifespan", "websocket"):
        asyncio.run(Guard(gradio, SPACE)({"type": kind, "path": "/"}, None, send))
    assert (seen, sent) == (["lifespan"], ["websocket.close"])
