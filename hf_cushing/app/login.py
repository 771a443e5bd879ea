"""Who may enter the reading room: its own login page, and a limit to failed logins."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import parse_qs, urlencode

from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, RedirectResponse, Response

from hf_cushing.app.guard import Guard, TooLong, client_of, refusal, whole_body
from hf_cushing.app.headers import Receive, Scope, Send
from hf_cushing.app.limits import Tries
from hf_cushing.app.routes import ROOM, STARTING
from hf_cushing.readers.kit import Kit

MAX_FORM_BYTES = 4_000

PAGE = Template(Path(__file__).with_name("login.html").read_text(encoding="utf-8"))


class RoomGuard(Guard):
    """Before login there is nothing but the login page; after it, open routes alone.

    gradio checks the code and gives the cookie.

    Parameters
    ----------
    app : callable
    kit : Kit
    words : dict
        Of the reading room.
    """

    def __init__(self, app: Callable, kit: Kit, words: dict):
        super().__init__(app, ROOM)
        self.kit, self.words, self.tries = kit, words, Tries()

    async def serve(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        request = f"{scope['method']} {path}"
        if request == "POST /login":
            answer = await self._login(scope, receive)
            await answer(scope, receive, send)
        elif _signed_in(scope) or request in STARTING:
            await super().serve(path, scope, receive, send)
        elif request == "GET /":
            await self._page()(scope, receive, send)
        else:
            await refusal(401, "Sign in first.")(scope, receive, send)

    async def _login(self, scope: Scope, receive: Receive) -> Response:
        """Let gradio check name and code, unless too many tries have failed."""
        try:
            fields = parse_qs((await whole_body(scope, receive, MAX_FORM_BYTES)).decode())
        except (TooLong, ValueError):
            return self._page(400, self.words["login_wrong"])
        reader, code = (fields.get(name, [""])[0].strip() for name in ("reader", "code"))
        whose = client_of(scope), reader if reader in self.kit.readers else ""
        wait = self.tries.wait(*whose)
        if wait:
            fault = self.words["login_wait"].format(seconds=wait)
            return self._page(429, fault, reader, {"retry-after": str(wait)})
        cookies = await self._checked(reader, code, scope)
        if not cookies:
            return self._page(400, self.words["login_wrong"], reader)
        self.tries.succeed(*whose)
        answer = RedirectResponse("./", 303)
        answer.raw_headers += cookies
        return answer

    async def _checked(self, reader: str, code: str, scope: Scope) -> list[tuple[bytes, bytes]]:
        """The cookies that gradio gives; none where name or code is wrong."""
        form = [(b"content-type", b"application/x-www-form-urlencoded")]
        body = urlencode({"username": reader, "password": code}).encode()
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope | {"headers": form}, receive, send)
        headers = sent[0]["headers"] if sent[0]["status"] == 200 else []
        return [pair for pair in headers if pair[0].lower() == b"set-cookie"]

    def _page(
        self, status: int = 200, fault: str = "", name: str = "", headers: dict | None = None
    ) -> HTMLResponse:
        words = self.words
        shown = {key: words[key] for key in ("title", "login", "reader", "code", "enter", "notice")}
        shown |= {"language": words["html_lang"], "fault": fault, "name": name}
        text = PAGE.substitute({key: html.escape(text) for key, text in shown.items()})
        return HTMLResponse(text, status, headers)


def _signed_in(scope: Scope) -> bool:
    tokens = scope["app"].tokens  # gradio's, by the content of its cookie
    return any(cookie in tokens for cookie in HTTPConnection(scope).cookies.values())
