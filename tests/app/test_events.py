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
        own = next(
            e
            for e in events
            if [target, event] in map(list, e["targets"]) and len(e["inputs"]) == len(data)
        )
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


def test_tabs_answer_once_the_notice_is_accepted_and_keep_no_file(space, faces):
    visitor, chinese = Visitor(space[0]), texts.space_words("zh")
    photo, choices = ("photo", "upload"), ("male", True, 1)
    refused = visitor.press(*photo, visitor.upload("a", faces[0]), None, "zh", *choices)
    assert refused[0] is None
    assert chinese["refused"] in refused[2]
    refused = visitor.press("example_0", "click", None, "zh", True, 1)
    assert chinese["refused"] in refused[2]
    visitor.press("accept", "click")
    (_, _, page) = visitor.press(*photo, visitor.upload("a", faces[0]), None, "zh", *choices)
    assert chinese["means"] in page
    assert chinese["regions"] in page
    files = [visitor.upload("<a>.jpg", faces[0]), visitor.upload("b.jpg", b"no photo")]
    (_, _, page) = visitor.press("photos", "upload", files, None, "en", "female")
    assert "1 of 2 photographs were scored" in page
    assert texts.space_words("en")["unreadable"] in page
    files = [visitor.upload("2024-01-02.jpg", faces[0]), visitor.upload("late.jpg", faces[1])]
    (_, _, faults, first, second, *rest) = visitor.press("visits", "upload", files, None, "en")
    assert (faults, first["value"], second["value"]) == ("", "2024-01-02", "")
    assert not any(field["visible"] for field in rest)
    days = ["2024-01-02", "2024-03-04", *[""] * len(rest)]
    (page,) = visitor.press("compare", "click", None, "en", *days)
    assert "Probability of Cushing" in page
    assert [path for path in space[1].folder.rglob("*") if path.is_file()] == []
    assert space[1].held == 0


def test_sex_heatmap_prevalence_and_language_change_the_result_without_another_upload(space, faces):
    visitor, chinese = Visitor(space[0]), texts.space_words("zh")
    visitor.press("accept", "click")
    sent = visitor.upload("a.jpg", faces[0])
    (_, _, first) = visitor.press("photo", "upload", sent, None, "en", "female", True, 1)
    (both,) = visitor.press("photo_sex", "input", None, "en", "unknown", True, 1)
    assert (first.count("<section>"), both.count("<section>")) == (1, 2)
    (plain,) = visitor.press("heatmap", "input", None, "en", "female", False, 1)
    assert (first.count("<figure>"), plain.count("<figure>")) == (3, 2)
    (same,) = visitor.press("share", "input", None, "en", "female", True, 1)
    assert same == first
    (spoken,) = visitor.press("language", "change", None, "zh", "female", True, 1)
    assert chinese["means"] in spoken
    visitor.press("photos", "upload", [visitor.upload("a", faces[0])], None, "en", "unknown")
    (table,) = visitor.press("batch_sex", "input", None, "zh", "male")
    assert chinese["male"] in table


def test_a_drawn_example_is_shown_with_its_sex(space):
    visitor = Visitor(space[0])
    visitor.press("accept", "click")
    sex, _, page = visitor.press("example_3", "click", None, "en", False, None)
    assert sex == "male"
    assert texts.space_words("en")["example_shown"] in page


def test_dates_of_a_table_fill_the_followup(space, faces):
    visitor = Visitor(space[0])
    visitor.press("accept", "click")
    table = b"file_name,date\na.jpg,20240102\nb.jpg,31.3.24\n"
    files = [visitor.upload("a.jpg", faces[0]), visitor.upload("b.jpg", faces[1]),
             visitor.upload("t.csv", table)]  # fmt: skip
    fields = visitor.press("visits", "upload", files, None, "en")[3:5]
    assert [field["value"] for field in fields] == ["2024-01-02", "31.3.24"]
