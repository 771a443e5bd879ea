"""What the tabs do with uploads, as a browser sends them, without a browser."""

import json
import secrets

import httpx
import pytest

pytest.importorskip("gradio")
from hf_cushing.app import texts


class Visitor:
    """Presses what the page offers."""

    def __init__(self, address):
        self.api = f"{address}gradio_api/"
        self.config = httpx.get(f"{address}config").json()
        self.session = secrets.token_hex(5)

    def press(self, name, event, *data):
        """What the function behind a component's event gives."""
        parts = self.config["components"]
        target = next(part["id"] for part in parts if part["props"].get("elem_id") == name)
        events = self.config["dependencies"]
        own = next(e for e in events if [target, event] in map(list, e["targets"]))
        call = {"data": data, "fn_index": own["id"], "session_hash": self.session}
        if not own["queue"]:
            return httpx.post(f"{self.api}run/predict", json=call).json()["data"]
        httpx.post(f"{self.api}queue/join", json=call).raise_for_status()
        with httpx.stream("GET", f"{self.api}queue/data?session_hash={self.session}") as answer:
            for line in filter(None, answer.iter_lines()):
                message = json.loads(line.removeprefix("data: "))
                if message["msg"] == "process_completed":
                    return message["output"]["data"]

    def upload(self, name, content):
        """A file as the upload component then sends it."""
        files = {"files": (name, content)}
        (path,) = httpx.post(f"{self.api}upload", files=files).json()
        return {"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}}


def test_tabs_answer_once_the_notice_is_accepted_and_keep_nothing(space, faces):
    visitor, chinese = Visitor(space[0]), texts.space_words("zh")
    photo = ("photo", "upload")
    refused = visitor.press(*photo, visitor.upload("a", faces[0]), None, "zh", "male", True)
    assert refused[0] is None
    assert chinese["refused"] in refused[1]
    visitor.press("accept", "click")
    (_, page) = visitor.press(*photo, visitor.upload("a", faces[0]), None, "zh", "male", True)
    assert chinese["means"] in page
    assert chinese["regions"] in page
    files = [visitor.upload("<a>.jpg", faces[0]), visitor.upload("b.jpg", b"no photo")]
    (_, page) = visitor.press("photos", "upload", files, None, "en", "female")
    assert "1 of 2 photographs were scored" in page
    assert texts.space_words("en")["unreadable"] in page
    files = [visitor.upload("2024-01-02.jpg", faces[0]), visitor.upload("late.jpg", faces[1])]
    (_, _, faults, first, second, *rest) = visitor.press("visits", "upload", files, None, "en")
    assert (faults, first["value"], second["value"]) == ("", "2024-01-02", "")
    assert not any(field["visible"] for field in rest)
    days = ["2024-01-02", "2024-03-04", *[""] * len(rest)]
    (page,) = visitor.press("compare", "click", None, "en", *days)
    assert "Log-odds of Cushing" in page
    assert [path for path in space[1].folder.rglob("*") if path.is_file()] == []
    assert space[1].held == 0
