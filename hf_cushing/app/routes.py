"""Which of gradio's routes are open; all others are closed, those of versions to come included.

gradio also offers to read the owner's buckets on the Hub (run history), to work on recordings, to
save what a page shows as a file (deep links), to fetch addresses. None of it is needed here.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.routing import compile_path

UPLOAD, FILE = "/gradio_api/upload", "/gradio_api/file="

FIXED = ("/assets/", "/static/")
"""Starts of the paths of what comes with gradio and is the same for all."""

STARTING = frozenset({"HEAD /", "GET /gradio_api/startup-events"})
"""What gradio itself asks for as it starts."""

PAGE = STARTING | {
    "GET /",
    "GET /config",
    "GET /theme.css",
    "GET /gradio_api/theme.css",
    "GET /favicon.ico",
    "GET /manifest.json",
    "GET /assets/{path:path}",
    "GET /static/{path:path}",
    "GET /gradio_api/heartbeat/{session_hash}",
    "POST /gradio_api/queue/join",
    "GET /gradio_api/queue/data",
}
"""A page with events."""

SPACE = PAGE | {
    "POST /gradio_api/upload",
    "GET /gradio_api/upload_progress",
    "GET /gradio_api/file={path_or_url:path}",
    "GET /gradio_api/info",
    "POST /gradio_api/run/{api_name}",
    "POST /gradio_api/call/{api_name}",
    "POST /gradio_api/call/v2/{api_name}",
    "GET /gradio_api/call/{api_name}/{event_id}",
    "GET /gradio_api/call/v2/{api_name}/{event_id}",
}
"""A page that takes files, and its endpoints for programs."""

ROOM = PAGE | {"GET /logout"}
"""The reading room after login."""


class Routes:
    """Open routes.

    Parameters
    ----------
    routes : iterable of str
        Method and path as in gradio's own table, with its parameters in braces.
    """

    def __init__(self, routes: Iterable[str]):
        pairs = (route.split(" ") for route in routes)
        self.routes = [(method, compile_path(path)[0]) for method, path in pairs]

    def __contains__(self, request: tuple[str, str]) -> bool:
        method, path = request
        return any(method == open_ and known.match(path) for open_, known in self.routes)
