"""Every kind of page: one head, one look; and in a browser, nothing wider than the page."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from hf_cushing.compare import command as study
from hf_cushing.compare.grid import make_cells
from hf_cushing.compare.plan import make_study
from hf_cushing.data.audit_photos import photos_of_folder
from hf_cushing.data.audit_report import dataset_head
from hf_cushing.data.loading import load_faces
from hf_cushing.data.options import no_progress
from hf_cushing.data.pairs_page import write_pairs
from hf_cushing.data.persons import Alike
from hf_cushing.evaluation.origin import origin_of
from hf_cushing.evaluation.report import evaluate, write_report
from hf_cushing.explain.command import explain_to
from hf_cushing.explain.options import ExplainOptions
from hf_cushing.files import write_json
from hf_cushing.followup.report import write_report as write_followup
from hf_cushing.readers.page import write_reader_report
from hf_cushing.readers.report import analyse_readers
from hf_cushing.run import Run
from hf_cushing.schema import RESEARCH_NOTICE
from tests.evaluation.test_first_screen import MANIFEST
from tests.evaluation.test_report import FEW, make_predictions
from tests.followup.test_report import invented
from tests.readers.kits import fake_run
from tests.readers.test_reader_report import answers_of, predictions_of, study_of

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
ORIGIN = origin_of([MANIFEST], ["run7"])
OF_A_RUN = ("report", "study", "readers", "followup", "patient", "explain")
OF_A_DATASET = ("audit", "pairs")
FACTS = ("Run", "Model", "Dataset", "Versions", "Date")

LAYOUT = """() => [...document.querySelectorAll("body *")].filter(element => {
  const edge = document.documentElement.clientWidth + 1;
  if (element.getBoundingClientRect().right <= edge) return false;
  for (let up = element.parentElement; up && up !== document.body; up = up.parentElement)
    if (getComputedStyle(up).overflowX !== "visible") return false;
  return true;
}).map(element => element.outerHTML.slice(0, 120))"""
"""Elements that reach beyond the window, and no box of their own scrolls them."""


def finished_cell(cell, dataset):
    """Write what a finished run of a study leaves, without training."""
    fake_run(dataset, cell.folder, splits=("validation", "test"))
    config = {
        "model": {"model": cell.arm.model, "finetune": cell.arm.finetune},
        "data": {"dataset": str(dataset)},
    }
    facts = {"seconds": 1.0, "processes": 1, "trainable": 9}
    revisions = {"dataset_revision": load_faces(str(dataset)).revision, "model_revision": "m1"}
    write_json(
        cell.folder / "manifest.json", MANIFEST | revisions | {"config": config, "run": facts}
    )


@pytest.fixture(scope="module")
def cheap(dataset, tmp_path_factory):
    """A page of each kind but of an explanation, by name."""
    out, rng = tmp_path_factory.mktemp("pages"), np.random.default_rng(0)
    predictions = make_predictions(rng)
    report = replace(evaluate(predictions, FEW), origin=ORIGIN)
    write_report(out / "report", report, predictions, full=True)
    readers = replace(study_of(answers_of(predictions_of())), origin=ORIGIN)
    write_reader_report(out / "readers", readers, analyse_readers(readers, draws=50))
    followup = invented(patients=3)
    write_followup(out / "followup", followup, origin=ORIGIN, thumbnails=False,
                   progress=no_progress)  # fmt: skip
    grid = {"models": ["tiny-vit", "tiny-resnet"], "finetune": ["head"], "folds": 1}
    grid |= {"baselines": ["demographics"], "options": {"init": "random"}}
    plan = make_study(grid, "here")
    for cell in make_cells(plan, str(dataset), load_faces(str(dataset)), out / "study")[0]:
        finished_cell(cell, dataset)
    study.compare(plan, str(dataset), out / "study", draws=50, say=lambda line: None)
    write_two_pairs(out / "pairs", dataset)
    return {
        "report": out / "report" / "report.html",
        "study": out / "study" / "study.html",
        "readers": out / "readers" / "report.html",
        "followup": out / "followup" / "followup.html",
        "patient": out / "followup" / "patients" / "P01.html",
        "audit": dataset / "audit.html",
        "pairs": out / "pairs" / "pairs.html",
    }


def write_two_pairs(out, dataset):
    photos = photos_of_folder(dataset, identity=False, num_proc=1, progress=no_progress)
    ids, patients = (photos.columns[name][:2].tolist() for name in ("photo_id", "patient_id"))
    alike = [Alike(photo_ids=tuple(ids), patient_ids=tuple(patients), rows=("2", "3"), ratio=0.8,
                   state="unsure")]  # fmt: skip
    head = dataset_head(dataset, photos)
    out.mkdir()
    write_pairs(out, alike, photos, head=head, thumbnails=True)


def head_of(page):
    text = page.read_text(encoding="utf-8")
    head = re.search(r"<header>.*?</header>", text, re.S)[0]
    return dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", head)), head, text


@pytest.mark.parametrize("kind", [*OF_A_RUN[:-1], *OF_A_DATASET])
def test_every_page_has_the_head_the_notice_and_a_print_style(cheap, dataset, kind):
    check_page(cheap[kind], kind, dataset)


def check_page(page, kind, dataset):
    facts, head, text = head_of(page)
    wanted = FACTS if kind in OF_A_RUN else ("Dataset", "Versions")
    assert tuple(facts) == wanted
    assert "page made with hf-cushing" in facts["Versions"]
    assert RESEARCH_NOTICE in head
    assert "@media print" in text
    assert "prefers-color-scheme: dark" in text
    assert "http" not in re.sub(r"base64,[^\"]+", "", text)
    assert not re.search(
        r"\bnan\b", re.sub(r"base64,[^\"]+|<style>.*?</style>", "", text, flags=re.S)
    )
    if kind in ("study", "explain", *OF_A_DATASET):
        assert f"revision {load_faces(str(dataset)).revision}" in facts["Dataset"]


@pytest.fixture(scope="module")
def pages(cheap, run, dataset, tmp_path_factory):
    """All kinds, that of an explanation too."""
    out = tmp_path_factory.mktemp("explain")
    options = ExplainOptions(methods=("grad-cam",), limit=8, faithful_photos=2, cpu=True)
    explain_to(out, Run(str(run)), str(dataset), options, progress=no_progress)
    return cheap | {"explain": out / "report.html"}


@pytest.mark.slow
def test_explanation_has_the_head_too(pages, dataset):
    check_page(pages["explain"], "explain", dataset)


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
@pytest.mark.parametrize(
    ("width", "media"), [(1280, "screen"), (390, "screen"), (688, "print")], ids=str
)
def test_nothing_is_wider_than_the_page(browser, pages, width, media):
    """The last is an A4 page without its margins of 14 mm, at 96 pixels an inch."""
    opened = browser.new_page(viewport={"width": width, "height": 900})
    opened.emulate_media(media=media)
    wide = {}
    for kind, page in pages.items():
        opened.goto(page.as_uri())
        opened.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
        if found := opened.evaluate(LAYOUT):
            wide[kind] = found[:3]
    opened.close()
    assert not wide
