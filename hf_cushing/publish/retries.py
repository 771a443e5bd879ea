"""Requests to the Hub: try again with back-off, and say what to do when one fails for good."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from huggingface_hub.errors import HfHubHTTPError, HTTPError, OfflineModeIsEnabled

T = TypeVar("T")

log = logging.getLogger(__name__)

TRANSIENT = (408, 429, 500, 502, 503, 504)
"""Answers that may differ a moment later."""

CONFLICT = (409, 412)

REMEDIES = {
    400: "The Hub refuses the content: mend what it names, then run again.",
    401: "The Hub doesn't accept the token: make a new one with write access, then "
    "`hf auth login` or set HF_TOKEN.",
    402: "The Hub asks for a paid plan: change the owner's plan, or use another --repo-id.",
    403: "The token may not do this: use one with write access to '{owner}', or another --repo-id.",
    404: "'{owner}' or '{repo_id}' doesn't exist, or the token may not see it: check --repo-id.",
    **dict.fromkeys(
        CONFLICT, "Somebody else changed the repo meanwhile: look at its commits, then run again."
    ),
    413: "The upload is too large: leave files out, or publish in parts.",
    429: "The Hub asks to slow down: wait some minutes, then run again.",
}
QUOTA = "The owner's storage is full: free space or change the plan, then run again."
HUB_FAILS = "The Hub fails: run again later."
NO_CONNECTION = "The connection to the Hub fails: check the network, then run again."
OFFLINE = "HF_HUB_OFFLINE is set: unset it to publish."


@dataclass(frozen=True, kw_only=True)
class Retries:
    """How long to go on when the Hub doesn't answer, or answers that it can't just now.

    Attributes
    ----------
    tries : int
        Of each request.
    first_wait, longest_wait : float
        Seconds; the wait doubles from the one to the other. A ``Retry-After`` from the Hub
        counts instead.
    """

    tries: int = 5
    first_wait: float = 1
    longest_wait: float = 60

    def __call__(self, request: Callable[[], T]) -> T:
        """Run `request` until it succeeds, fails for good, or the tries are used up."""
        for number in range(1, self.tries + 1):
            try:
                return request()
            except (HTTPError, json.JSONDecodeError) as error:
                if number == self.tries or not is_transient(error):
                    raise
                seconds = retry_after(error)
                if seconds is None:
                    seconds = min(self.first_wait * 2 ** (number - 1), self.longest_wait)
                log.warning("the Hub: %s; trying again in %g s", reason(error), seconds)
                time.sleep(seconds)
        raise ValueError("tries must be 1 or more")


def status(error: Exception) -> int | None:
    """HTTP status behind an error; None where there was no answer."""
    return error.response.status_code if isinstance(error, HfHubHTTPError) else None


def is_transient(error: Exception) -> bool:
    """Whether it may succeed a moment later: a lost connection, a 429, a 5xx.

    A page instead of JSON (`json.JSONDecodeError`) is what a gateway shows while the Hub is down.
    """
    if isinstance(error, OfflineModeIsEnabled):
        return False
    return (status(error) or 500) in TRANSIENT


def retry_after(error: Exception) -> float | None:
    """Seconds that the Hub asks to wait; None where it doesn't say."""
    if not isinstance(error, HfHubHTTPError):
        return None
    value = error.response.headers.get("Retry-After", "").strip()
    return float(value) if value.isdigit() else None


def reason(error: Exception) -> str:
    """What went wrong, in a line; never the request, which carries the token."""
    code = status(error)
    if code is None:
        return f"no proper answer ({type(error).__name__})"
    said = getattr(error, "server_message", None)
    return f"status {code}" + (f", '{' '.join(said.split())[:300]}'" if said else "")


def remedy(error: Exception, repo_id: str) -> str:
    """What to do about an error that stays."""
    if isinstance(error, OfflineModeIsEnabled):
        return OFFLINE
    code = status(error)
    if code is None:
        return NO_CONNECTION if isinstance(error, HTTPError) else HUB_FAILS
    said = (getattr(error, "server_message", None) or "").lower()
    if code in (403, 507) and ("storage" in said or "quota" in said):
        return QUOTA
    text = REMEDIES.get(code, HUB_FAILS)
    return text.format(owner=repo_id.split("/")[0], repo_id=repo_id)
