import re
from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import numpy as np
import pytest

from hf_cushing.evaluation.origin import Origin
from hf_cushing.followup.camera import MEASURES
from hf_cushing.followup.figures import plot_repeatability
from hf_cushing.followup.report import page_names, write_report
from hf_cushing.followup.results import Followup
from hf_cushing.followup.verdicts import cohort_screen, patient_verdicts
from hf_cushing.followup.visits import DatedCohort
from hf_cushing.followup.visits_table import DatedPhoto
from hf_cushing.reports.screen import screen_lines
from tests.followup.visit_csv import quiet, read_csv


def invented(patients=14, photos=2, stable=True, fall=3.0, seed=0):
    """A follow-up of two visits before treatment and one after; no pictures are needed.

    Even patients fall; in patient 1 the light changes; in all others nothing happens.
    """
    rng, dated, odds, measures = np.random.default_rng(seed), [], [], []
    for number in range(patients):
        level = rng.normal(0, 1)
        for visit, day in enumerate(("2020-01-05", "2020-04-05", "2021-04-05")):
            shift = rng.normal(0, 0.2) - fall * (visit == 2 and number % 2 == 0)
            light = rng.normal(0, 0.1, len(MEASURES))
            light[2] += 5 * (visit == 2 and number == 1)
            for shot in range(photos):
                dated.append(
                    DatedPhoto(
                        row=len(dated) + 2,
                        photo=f"{number}_{visit}_{shot}.jpg",
                        patient_id=f"P{number:02d}",
                        day=date.fromisoformat(day),
                        treatment_date=date(2020, 5, 1),
                        stable="before" if stable and visit < 2 else "",
                        sex=("female", "male")[number // 2 % 2],
                    )
                )
                odds.append(level + shift + rng.normal(0, 0.3))
                measures.append(light + rng.normal(0, 0.1, len(MEASURES)))
    model = SimpleNamespace(title="none", weights_revision="0" * 16, seen_photo_ids=None)
    return Followup(
        run=model, label="cushing", cohort=DatedCohort(dated, None), log_odds=np.array(odds),
        measures=np.array(measures),
    )  # fmt: skip


def lines(found):
    return screen_lines(cohort_screen(found))


@pytest.fixture(scope="module")
def invented_report(tmp_path_factory):
    out = tmp_path_factory.mktemp("invented") / "out"
    write_report(out, invented(), origin=Origin(), thumbnails=False, progress=quiet)
    return out


def test_a_fall_and_none_are_called_what_they_are(invented_report):
    rows = {row["patient_id"]: row for row in read_csv(invented_report / "visits.csv")
            if row["change"]}  # fmt: skip
    assert {rows[f"P{n:02d}"]["verdict"] for n in range(0, 14, 2)} == {"fell"}
    assert [rows[f"P{n:02d}"]["verdict"] for n in range(1, 14, 2)].count("no reliable change") >= 6
    fell = (invented_report / "patients" / "P02.html").read_text()
    same = (invented_report / "patients" / "P03.html").read_text()
    assert re.search(r"2020-04-05 \(baseline\) and 2021-04-05 the score fell by \d", fell)
    assert "This does not show that the face stayed the same" in same
    assert "that it follows the disease has not been shown" in fell


def test_changed_light_raises_an_alarm_where_the_score_stayed(invented_report):
    page = (invented_report / "patients" / "P01.html").read_text()
    assert "Camera, pose or light changed more than the face did" in page
    assert "light: brightness (+" in page
    row = next(r for r in read_csv(invented_report / "camera.csv")
               if (r["patient_id"], r["measure"]) == ("P01", "brightness"))  # fmt: skip
    assert (row["changed"], row["more_than_score"]) == ("1", "1")


def test_without_stable_visits_the_verdicts_say_that_changes_are_found_too_readily():
    found = invented(stable=False)
    for sentences in (lines(found), patient_verdicts(found, "P03")):
        assert any("No visits are marked as stable" in sentence for sentence in sentences)
    assert not any("No visits are marked" in text for text in lines(invented()))


def test_without_stable_visits_there_is_no_figure_of_their_differences(tmp_path):
    assert not plot_repeatability(tmp_path / "r.png", invented(stable=False))
    assert list(tmp_path.iterdir()) == []


def test_without_stable_visits_and_repeats_the_scores_are_shown_and_why_there_is_no_verdict(
    tmp_path,
):
    found = invented(patients=4, stable=False, photos=1)
    write_report(tmp_path / "out", found, origin=Origin(), thumbnails=False, progress=quiet)
    page = (tmp_path / "out" / "followup.html").read_text()
    patient = (tmp_path / "out" / "patients" / "P02.html").read_text()
    for text in (page, patient):
        assert "There is no verdict on any change" in text
        assert "nan" not in re.sub(r"base64,[^\"]+", "", text)
        assert "reliable change" not in text
    assert "reliably fell in" not in page
    assert page.count("data:image/png") == 1  # scores over time, no figure of repeatability
    rows = [row for row in read_csv(tmp_path / "out" / "visits.csv") if row["change"]]
    assert {row["verdict"] for row in rows} == {"no verdict"}
    assert {row["alarm"] for row in rows} == {""}


def test_repeatability_of_few_patients_is_called_insufficient():
    few, enough = (lines(invented(patients=count)) for count in (9, 10))
    assert any("measured on 9 patients: insufficient" in sentence for sentence in few)
    assert not any("insufficient" in sentence for sentence in enough)


def test_a_patient_id_that_is_html_is_shown_as_text(tmp_path):
    found = invented(patients=3)
    bad = "<script>x</script>"
    rename = {"P00": bad}
    cohort = found.cohort
    photos = [replace(p, patient_id=rename.get(p.patient_id, p.patient_id)) for p in cohort.photos]
    found = replace(found, cohort=replace(cohort, photos=photos))
    write_report(tmp_path / "out", found, origin=Origin(), thumbnails=False, progress=quiet)
    for page in tmp_path.rglob("*.html"):
        assert bad not in page.read_text()
        assert page.name in ("followup.html", "P01.html", "P02.html") or "script" in page.name


def test_page_names_are_safe_and_differ_even_where_capitals_do_not_count():
    names = list(page_names(["P1", "p1", "../x", "a b", "a_b", "Ä/0"]).values())
    assert len({name.casefold() for name in names}) == 6
    assert all(re.fullmatch(r"patients/[A-Za-z0-9_-]+\.html", name) for name in names)
    assert page_names(["A-1"]) == {"A-1": "patients/A-1.html"}
