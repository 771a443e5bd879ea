import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

gr = pytest.importorskip("gradio", reason="gradio is not installed")

import httpx  # noqa: E402  (comes with gradio)

from hf_cushing.app import reading_page as page  # noqa: E402
from hf_cushing.app.reading_room import Room, build, launch, serve_room  # noqa: E402
from hf_cushing.app.texts import languages, room_words  # noqa: E402
from hf_cushing.cli import main  # noqa: E402
from hf_cushing.faces.regions import GROUPS  # noqa: E402
from hf_cushing.readers.answer_store import AnswerStore  # noqa: E402
from hf_cushing.readers.export import export  # noqa: E402
from hf_cushing.readers.kit import ModelAnswer, read_key, read_kit  # noqa: E402
from hf_cushing.schema import RESEARCH_NOTICE, UsageError, UserError  # noqa: E402
from tests.readers.kits import as_version_1, copy_of, fake_run, make  # noqa: E402

CHROMIUM = next(filter(os.path.exists, ("/usr/bin/chromium", "/usr/bin/chromium-browser")), None)


@pytest.fixture(scope="module")
def made(dataset, tmp_path_factory):
    """A kit with two reads and repeats (read only), and the login codes."""
    folder = tmp_path_factory.mktemp("kits")
    fake_run(dataset, folder / "run")
    return folder / "kit", make(dataset, folder / "kit", run=folder / "run", repeats=0.15)


@pytest.fixture
def kit(made, tmp_path):
    return read_kit(copy_of(made[0], tmp_path))


@pytest.fixture
def room(kit):
    return Room(kit)


def visible(changes, name):
    return changes[name]["visible"]


def read_through(room, reader, read):
    """Answer every case of one read; gives the pages that were shown."""
    shown = room.show(reader)
    pages = []
    while "ticket" in shown and shown["ticket"].startswith(f"{read}-"):
        pages.append(shown)
        shown = room.answer(reader, shown["ticket"], "cushing", 3, ["nose"])
    return pages, shown


def test_session_goes_through_both_reads_and_ends(room, kit):
    assert "0 of 30 cases answered" in room.welcome("Anna")["hello"]
    first, between = read_through(room, "Anna", 1)
    assert len(first) == 16
    assert "The first read is done" in between["hello"]
    assert visible(between, "welcome")
    second, end = read_through(room, "Anna", 2)
    assert len(second) == 14
    assert "All cases are answered" in end["hello"]
    assert "30 of 30" in end["hello"]
    assert not visible(end, "start")
    assert len(AnswerStore(kit).rows()) == 30


def test_first_read_is_blind_to_model_and_truth_and_the_second_shows_the_score(kit):
    answers = {case: kit.model_answer(case) for case in kit.readers["Anna"].orders[1]}
    key = read_key(kit.folder)
    for name in ("key.csv", "scores.json"):  # the first read can do without
        (kit.folder / name).rename(kit.folder.parent / name)
    room = Room(kit)
    first, _ = read_through(room, "Anna", 1)
    for place, shown in enumerate(first):
        assert shown["model"] == gr.update(value="", visible=False)
        row = key[kit.readers["Anna"].orders[0][place]]
        text = str(shown)
        assert not any(row[name] in text for name in ("case", "photo_id", "patient_id"))
    (kit.folder.parent / "scores.json").rename(kit.folder / "scores.json")
    shown = room.show("Anna")
    expected = answers[kit.readers["Anna"].orders[1][0]]
    text = shown["model"]["value"]
    assert f"<strong>{round(100 * expected.probability)} of 100</strong>" in text
    assert "calls the disease from 50 on" in text
    called = {"cushing": "Cushing&#x27;s syndrome", "control": "no disease"}[expected.label]
    assert f"The model says: <strong>{called}</strong>" in text
    assert visible(shown, "model")
    assert "second read" in shown["progress"]


def test_uncertain_is_said_in_both_languages(kit):
    answer = ModelAnswer(probability=0.41, threshold=0.3, label="uncertain")
    assert "The model says: <strong>uncertain" in page.model_html(answer, kit, room_words("en"))
    assert "模型判断：<strong>不确定" in page.model_html(answer, kit, room_words("zh"))


def test_a_kit_of_version_1_is_shown_as_before(kit):
    as_version_1(kit.folder, threshold=0.3)
    room = Room(read_kit(kit.folder))
    read_through(room, "Anna", 1)
    text = room.show("Anna")["model"]["value"]
    assert "calls the disease from 30 on" in text
    assert "The model says" not in text


def test_incomplete_answer_is_not_saved_and_says_what_is_missing(room, kit):
    ticket = room.show("Anna")["ticket"]
    assert "yes or no" in room.answer("Anna", ticket, None, 3, [])["message"]
    assert "how sure" in room.answer("Anna", ticket, "cushing", None, [])["message"]
    assert not AnswerStore(kit).rows()


def test_second_window_can_t_answer_twice_nor_land_on_the_next_case(room, kit):
    ticket = room.show("Anna")["ticket"]
    assert Room(kit).show("Anna")["ticket"] == ticket
    room.answer("Anna", ticket, "cushing", 5, [])
    late = Room(kit).answer("Anna", ticket, "control", 5, ["chin"])
    assert "answered already" in late["message"]
    assert late["ticket"] == "1-2"
    assert late["call"] is None
    assert [row["call"] for row in AnswerStore(kit).rows()] == ["cushing"]


def test_answer_that_cannot_be_written_says_so_and_keeps_the_page(room, monkeypatch):
    ticket = room.show("Anna")["ticket"]

    def full(*arguments):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(room.store, "save", full)
    assert list(room.answer("Anna", ticket, "cushing", 3, [])) == ["message"]
    assert "NOT saved" in room.answer("Anna", ticket, "cushing", 3, [])["message"]


def test_readers_do_not_see_each_other_s_progress(room):
    read_through(room, "Anna", 1)
    assert "0 of 30" in room.welcome("李 明")["hello"]
    assert room.show("李 明")["ticket"] == "1-1"


@pytest.mark.parametrize("language", languages())
def test_all_languages_have_the_same_words(language):
    assert set(room_words(language)) == set(room_words("en"))
    for name, text in room_words("en").items():
        other = room_words(language)[name]
        assert len(other) == len(text) if isinstance(text, list) else other
        if isinstance(text, str):
            assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", other))
    assert room_words("en")["notice"] == RESEARCH_NOTICE


def test_unknown_language_is_wrong_usage(kit):
    with pytest.raises(UsageError, match="choose en, "):
        Room(kit, "fr")


def test_every_region_can_be_ticked_by_key_by_list_and_on_the_map(kit):
    drawn = page.map_html(kit, room_words("en"))
    assert [region for _, region in page.region_choices(room_words("en"))] == list(GROUPS)
    keys = set(page.KEYS.values())
    assert len(keys) == len(GROUPS)
    assert not keys & set("yn12345")
    for region in GROUPS:
        (outline,) = re.findall(rf'data-region="{region}">.*?<path [^>]*d="([^"]*)"', drawn)
        assert outline.startswith("M")


def test_several_diseases_are_all_offered_and_the_rated_one_is_yes(kit):
    object.__setattr__(kit, "labels", ("control", "cushing", "acromegaly"))
    values = [value for _, value in page.call_choices(kit, room_words("en"))]
    assert values == ["control", "cushing", "acromegaly"]
    object.__setattr__(kit, "disease", "acromegaly")
    values = [value for _, value in page.call_choices(kit, room_words("en"))]
    assert values == ["control", "acromegaly", "cushing"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def served(room, tmp_path, monkeypatch):
    """The room on a loopback port; gives its address."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "scratch"))
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    monkeypatch.chdir(room.kit.folder)  # files of the working folder must not be served either
    blocks = build(room)
    launch(blocks, room, host="127.0.0.1", port=free_port())
    yield blocks.local_url.rstrip("/")
    blocks.close(verbose=False)


def test_server_gives_nothing_without_login_and_no_file_of_the_kit_with_it(served, made, kit):
    with httpx.Client(base_url=served) as client:
        photo = next((kit.folder / "photos").iterdir())
        files = [kit.folder / "key.csv", kit.folder / "answers.db", kit.folder / "kit.json", photo]
        offered = ("/config", "/gradio_api/info", "/gradio_api/heartbeat/x", "/gradio_api/runs")
        for path in (*offered, *(f"/gradio_api/file={f}" for f in files)):
            assert client.get(path).status_code == 401
        assert client.post("/gradio_api/process_recording").status_code == 401
        assert RESEARCH_NOTICE in client.get("/").text
        for name, code in (("Anna", "AAAA-AAAA"), ("Eve", made[1]["Anna"]), ("李 明", "")):
            answer = client.post("/login", data={"reader": name, "code": code})
            assert answer.status_code == 400
            assert room_words("en")["login_wrong"] in answer.text
        answer = client.post("/login", data={"reader": "Anna", "code": made[1]["Anna"]})
        assert (answer.status_code, answer.headers["location"]) == (303, "./")
        for path in ("/gradio_api/runs", "/gradio_api/token", "/gradio_api/deep_link"):
            assert client.get(path).status_code == 404
        assert client.post("/gradio_api/process_recording").status_code == 404
        for file in files:
            names = (str(file), str(file.relative_to(kit.folder)))
            assert {client.get(f"/gradio_api/file={name}").status_code for name in names} == {404}
        home = client.get("/")
        assert home.headers["cache-control"] == "no-store"
        assert "default-src 'self'" in home.headers["content-security-policy"]
        outside = re.findall(r'(?:src|href)="(https?://[^"]+)', home.text)
        assert all(url.startswith(served) for url in outside)


def test_login_asks_for_reader_and_code_and_failed_tries_must_wait(served, made):
    words = room_words("en")
    with httpx.Client(base_url=served) as client:
        page = client.get("/").text
        assert re.findall(r"<label[^>]*>(.*?)</label>", page) == [words["reader"], words["code"]]
        assert "username" not in page.lower()

        def enter(reader, code):
            return client.post("/login", data={"reader": reader, "code": code})

        assert {enter("<Anna>", "AAAA-AAAA").status_code for _ in range(5)} == {400}
        assert {enter("Anna", "AAAA-AAAA").status_code for _ in range(5)} == {400}
        late = enter("Anna", made[1]["Anna"])
        assert late.status_code == 429
        assert words["login_wait"].format(seconds=late.headers["retry-after"]) in late.text
        assert "&lt;Anna&gt;" in enter("<Anna>", "").text
        assert enter("李 明", made[1]["李 明"]).status_code == 303
        assert client.post("/login", content=b"x" * 5000).status_code == 400
        assert client.post("/login", content=b"reader=%ff\xff").status_code == 400


def test_room_refuses_what_is_no_kit_and_a_port_that_is_taken(kit, tmp_path):
    options = {"host": "127.0.0.1", "language": "en", "tell": print}
    with pytest.raises(UserError, match="not a reading kit"):
        serve_room(tmp_path / "nothing", port=1, **options)
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        with pytest.raises(UserError, match="choose another --port"):
            serve_room(kit.folder, port=busy.getsockname()[1], **options)


def run_main(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["hf-cushing", "readers", *map(str, arguments)])
    try:
        main()
    except SystemExit as stop:
        return stop.code or 0
    return 0


def test_commands_make_a_kit_and_write_its_answers(monkeypatch, capsys, dataset, tmp_path):
    out = tmp_path / "kit"
    options = ("make", "--dataset", dataset, "--out", out, "--readers", 2, "--level", "resident")
    assert run_main(monkeypatch, *options) == 0
    printed = capsys.readouterr()
    codes = dict(line.split("\t") for line in printed.out.splitlines())
    kit = read_kit(out)
    assert all(kit.admits(name, code) for name, code in codes.items())
    assert not any(code in printed.err for code in codes.values())
    assert run_main(monkeypatch, *options) == 1
    assert "is there already" in capsys.readouterr().err
    assert run_main(monkeypatch, "export", out, "--out", tmp_path / "long.csv") == 1
    read_through(Room(kit), "reader-2", 1)
    assert run_main(monkeypatch, "export", out, "--out", tmp_path / "long.csv") == 0
    assert (tmp_path / "long.csv").read_text().count("\nreader-2,resident,") == 15
    assert (tmp_path / "long_regions.csv").read_text().count(",nose,1") == 14


def start_server(kit, port):
    command = [sys.executable, "-m", "hf_cushing.cli", "readers", "serve", str(kit.folder)]
    scratch = kit.folder.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [*command, "--port", str(port)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=kit.folder,
        env={**os.environ, "TMPDIR": str(scratch)},
    )
    for line in process.stderr:
        if line.startswith("reading room"):
            return process
    raise AssertionError(f"the room did not open: {process.wait()}")


def sign_in(browser_page, address, name, code):
    browser_page.goto(address)
    browser_page.locator("input[type=password]").fill(code)
    browser_page.locator("input:not([type=password])").first.fill(name)
    browser_page.get_by_role("button", name="Sign in").click()
    browser_page.get_by_text("cases answered").wait_for()


def answer_by_key(browser_page, keys):
    """Type an answer and wait for the next page; gives the heading of the answered case."""
    heading = browser_page.locator("text=/^Case \\d+ of/").first.inner_text()
    for key in keys:
        browser_page.keyboard.press(key)
    browser_page.wait_for_function(
        "old => !document.body.innerText.includes(old + '\\n') || !document.querySelector('#save')"
        "?.offsetParent",
        arg=heading,
    )
    return heading


CONTRAST = """(name) => {
  const style = getComputedStyle(document.querySelector(name));
  const light = (text) => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d");
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  const [a, b] = [light(style.color), light(style.backgroundColor)];
  return Math.max(a, b) / Math.min(a, b);
}"""
"""Contrast of a text with its background, as WCAG defines it."""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_session_in_a_browser_survives_a_kill_of_the_server(made, kit, width, height):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    total = [len(order) for order in kit.readers["Anna"].orders]
    pictures = os.environ.get("READING_ROOM_PICTURES")
    outside, faults = [], []

    def picture(name):
        if pictures:
            path = Path(pictures) / f"{width}-{name}.png"
            browser_page.screenshot(path=path)

    server = start_server(kit, port)
    try:
        with playwright.sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            browser_page = browser.new_page(viewport={"width": width, "height": height})
            browser_page.on("pageerror", lambda error: faults.append(str(error)))
            browser_page.on(
                "request",
                lambda request: (
                    request.url.startswith((address, "data:", "blob:"))
                    or outside.append(request.url)
                ),
            )
            sign_in(browser_page, address, "Anna", made[1]["Anna"])
            picture("welcome")
            browser_page.keyboard.press("Enter")
            browser_page.locator("img.photo").wait_for()
            assert browser_page.evaluate("document.documentElement.scrollWidth") <= width
            picture("case")
            browser_page.keyboard.press("Enter")
            browser_page.get_by_text("Not saved: say yes or no").wait_for()
            for place in ("#save", "#message p"):  # without scrolling
                box = browser_page.locator(place).bounding_box()
                assert 0 <= box["y"] <= box["y"] + box["height"] <= height
            assert browser_page.evaluate(CONTRAST, "#save") >= 4.5
            browser_page.locator("#map g[data-region=nose] path").click()
            assert browser_page.locator("#regions input[name=nose]").is_checked()
            answer_by_key(browser_page, [*"y4m", "Enter"])
            for _ in range(4):
                answer_by_key(browser_page, [*"n2c", "Enter"])
            picture("before-kill")

            server.send_signal(signal.SIGKILL)
            server.wait()
            for key in "y5":
                browser_page.keyboard.press(key)
            browser_page.keyboard.press("Enter")  # nobody is there to save it
            browser_page.wait_for_timeout(1500)
            picture("server-gone")
            assert len(AnswerStore(kit).rows()) == 5

            server = start_server(kit, port)
            sign_in(browser_page, address, "Anna", made[1]["Anna"])
            assert f"5 of {sum(total)} cases" in browser_page.inner_text("body")
            browser_page.keyboard.press("Enter")
            browser_page.locator("img.photo").wait_for()
            for _ in range(total[0] - 5):
                answer_by_key(browser_page, [*"n3", "Enter"])
            browser_page.get_by_text("The first read is done").wait_for()
            picture("between")
            browser_page.keyboard.press("Enter")
            browser_page.locator(".model").wait_for()
            assert not browser_page.locator("input[type=text]:visible, textarea:visible").count()
            picture("second-read")
            for _ in range(total[1]):
                answer_by_key(browser_page, [*"y1x", "Enter"])
            browser_page.get_by_text("All cases are answered").wait_for()
            picture("end")
            browser.close()
    finally:
        server.kill()
        server.wait()
    table = export(kit.folder)
    assert len(table) == sum(total)
    assert len({(r["photo_id"], r["occurrence"], r["read"]) for r in table}) == sum(total)
    expected = ["9"] + ["4"] * 4 + ["3"] * (total[0] - 5) + ["6"] * total[1]
    assert [row["score"] for row in table] == expected
    assert table[0]["regions"] == "nose;malar"
    assert all(0 < float(row["seconds"]) < 120 for row in table)
    assert not outside
    assert not faults
    left = [path for path in kit.folder.parent.rglob("*") if path.is_file()]
    names = {path.name for path in left if path.parent.name != "photos"}
    assert names - {"answers.db-wal", "answers.db-shm", "lock"} == {
        *("kit.json", "key.csv", "scores.json", "answers.db")
    }
