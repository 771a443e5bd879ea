"""The Space as visitors see it: in headless Chromium, by mouse, keyboard and screen reader."""

import io
import os
import shutil
import time
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from hf_cushing.app import texts
from hf_cushing.faces.photo import open_photo

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PLACES = [os.environ.get("AXE_CORE", ""), "node_modules/axe-core/axe.min.js"]
AXE = next((path for path in PLACES if path and Path(path).is_file()), None)
"""axe-core is not ours to ship: set AXE_CORE to its axe.min.js, or `npm install axe-core`."""

TEXTS = texts.space_words("en")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser, space):
    """Open the Space; every request that leaves this machine is noted."""
    contexts = []

    def make(accept=True, **options):
        options = {"locale": "en-GB", "viewport": {"width": 1280, "height": 900}} | options
        context = browser.new_context(bypass_csp=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.outside = []
        page.on(
            "request",
            lambda r: r.url.startswith((space[0], "data:", "blob:")) or page.outside.append(r.url),
        )
        page.goto(space[0])
        page.wait_for_selector("#accept")
        if accept:
            page.click("#accept")
            page.wait_for_selector("#photo", state="visible")
        return page

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def files(tmp_path, faces):
    """Paths of files to upload."""

    def make(name, content):
        path = tmp_path / name
        if isinstance(content, Image.Image):
            content.save(path)
        else:
            path.write_bytes(content)
        return str(path)

    one, two = (open_photo(data).resize((400, 400)) for data in faces[:2])
    both = Image.new("RGB", (800, 400))
    both.paste(one, (0, 0))
    both.paste(two, (400, 0))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("one.jpg", faces[0])
        archive.writestr("notes.txt", b"hello")
    return {
        "face": make("2024-01-31.jpg", faces[0]),
        "later": make("later.jpg", faces[1]),
        "zip": make("all.zip", buffer.getvalue()),
        "no_face": make("blank.png", Image.new("RGB", (300, 300), "teal")),
        "several_faces": make("both.png", both),
        "unreadable": make("pdf.jpg", b"%PDF-1.7\n%...."),
        "too_large": make("large.png", Image.new("1", (10_000, 6_000))),
        "empty": make("empty.jpg", b""),
    }


def send_photo(page, path, wait="#photo_result .answer"):
    page.set_input_files("#photo input[type=file]", path)
    page.wait_for_selector(wait, timeout=60_000)


def test_nothing_can_be_sent_before_the_notice_is_accepted(open_page):
    page = open_page(accept=False)
    assert TEXTS["notice"] in page.inner_text("body")
    assert page.locator("input[type=file]:visible, #photo:visible").count() == 0


def test_photo_batch_and_followup_lead_to_results_and_leave_nothing(open_page, space, files):
    page = open_page()
    send_photo(page, files["face"])
    assert page.locator("#photo_result figure img[alt]").count() == 3
    assert page.get_by_role("img", name="Scale from 0 to 100 %").count() == 2
    page.get_by_role("tab", name=TEXTS["batch_tab"]).click()
    page.set_input_files("#photos input[type=file]", files["zip"])
    page.wait_for_selector("#batch_result table", timeout=60_000)
    assert "1 of 2 photographs" in page.inner_text("#batch_result")
    with page.expect_download() as download:
        page.click("#batch_result a.download")
    assert "prob_cushing" in Path(download.value.path()).read_text()
    page.get_by_role("tab", name=TEXTS["followup_tab"]).click()
    page.set_input_files("#visits input[type=file]", [files["face"], files["later"]])
    first = page.get_by_label("Date of 2024-01-31.jpg (year-month-day)")
    first.wait_for(timeout=60_000)
    assert first.input_value() == "2024-01-31"
    page.click("#compare")
    page.wait_for_selector("#followup_result .fault")
    page.get_by_label("Date of later.jpg (year-month-day)").fill("2024-06-30")
    page.click("#compare")
    page.wait_for_selector("#followup_result table", timeout=60_000)
    assert "can't be said" in page.inner_text("#followup_result")
    page.get_by_role("tab", name=TEXTS["about_tab"]).click()
    page.get_by_role("heading", name=TEXTS["about_results"]).wait_for()
    assert page.outside == []
    assert [p for p in space[1].folder.rglob("*") if p.is_file()] == []
    assert space[1].held == 0


@pytest.mark.parametrize("reason", ["no_face", "several_faces", "unreadable", "too_large", "empty"])
def test_what_can_not_be_judged_is_told_why(open_page, files, reason):
    page = open_page()
    send_photo(page, files[reason], "#photo_result .fault")
    assert page.get_by_role("alert").inner_text() == TEXTS[reason]


def test_the_page_speaks_the_language_of_the_browser_and_can_be_switched(open_page, files):
    page = open_page(locale="zh-CN")
    page.get_by_role("tab", name=texts.space_words("zh")["photo_tab"]).wait_for()
    send_photo(page, files["no_face"], "#photo_result .fault")
    assert page.get_by_role("alert").inner_text() == texts.space_words("zh")["no_face"]
    send_photo(page, files["face"])
    page.get_by_label("English").check()
    page.get_by_role("tab", name=TEXTS["photo_tab"]).wait_for()
    assert page.evaluate("document.documentElement.lang") == "en"
    page.get_by_text(TEXTS["both"]).wait_for()
    page.locator("#photo_sex").get_by_label(TEXTS["male"], exact=True).check()
    page.get_by_text(TEXTS["both"]).wait_for(state="detached")
    assert page.locator("#photo_result .answer").count() == 1


def test_a_closed_page_is_forgotten_by_the_server(open_page, space, files):
    sessions = space[2].app.state_holder.session_data
    others = set(sessions)
    page = open_page()
    send_photo(page, files["face"])
    shown = [
        key
        for key, state in sessions.items()
        if key not in others and "data:image/jpeg" in str(state.config_values)
    ]
    assert shown
    page.context.close()
    for _ in range(100):
        if not set(shown) & set(sessions):
            break
        time.sleep(0.1)
    assert not set(shown) & set(sessions)


def test_the_keyboard_alone_opens_the_page_and_reaches_the_upload(open_page):
    page = open_page(accept=False)
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "accept":
            break
    page.keyboard.press("Enter")
    page.wait_for_selector("#photo", state="visible")
    reached = []
    for _ in range(25):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.className"))
    assert any("upload-container" in name for name in reached)


def test_on_a_phone_nothing_is_wider_than_the_screen(open_page, files):
    page = open_page(viewport={"width": 390, "height": 800})
    send_photo(page, files["face"])
    for name in ("photo_tab", "batch_tab", "followup_tab", "about_tab"):
        page.get_by_role("tab", name=TEXTS[name]).click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    table = page.locator(".numbers .scroll").first
    assert table.evaluate("node => node.scrollWidth <= node.clientWidth")
    for name in ("females", "males"):
        box = table.get_by_role("columnheader", name=TEXTS[name], exact=True).bounding_box()
        assert box["x"] + box["width"] <= 390


def test_on_a_phone_the_answers_come_into_view_with_an_example_and_a_batch(open_page, files):
    page = open_page(viewport={"width": 390, "height": 800})
    page.click("#example_1")
    first = page.locator("#photo_result .answer").first
    first.wait_for(timeout=60_000)
    page.wait_for_timeout(500)
    assert 0 <= first.bounding_box()["y"] < 400
    page.get_by_role("tab", name=TEXTS["batch_tab"]).click()
    page.set_input_files("#photos input[type=file]", files["zip"])
    page.wait_for_selector("#batch_result table", timeout=60_000)
    page.wait_for_timeout(500)
    answer = page.locator("#batch_result tbody td").first.bounding_box()
    assert 0 <= answer["y"] < 800
    assert answer["x"] + answer["width"] <= 390


@pytest.mark.skipif(AXE is None, reason="axe-core is not here: set AXE_CORE to its axe.min.js")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_tab(open_page, files, scheme):
    page = open_page(accept=False, color_scheme=scheme)
    found = axe(page)
    page.click("#accept")
    send_photo(page, files["face"])
    found += axe(page)
    page.get_by_role("tab", name=TEXTS["batch_tab"]).click()
    page.set_input_files("#photos input[type=file]", files["zip"])
    page.wait_for_selector("#batch_result table", timeout=60_000)
    found += axe(page)
    page.get_by_role("tab", name=TEXTS["about_tab"]).click()
    found += axe(page)
    assert [x for x in found if x[1] in ("serious", "critical")] == []


def axe(page):
    """Name, impact and place of what axe-core finds."""
    page.wait_for_timeout(500)
    page.evaluate(Path(AXE).read_text(encoding="utf-8"))
    found = page.evaluate("async () => (await axe.run()).violations")
    return [(x["id"], x["impact"], x["nodes"][0]["html"][:120]) for x in found]
