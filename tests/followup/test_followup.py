import csv
import json
import re
import sys
from dataclasses import replace
from datetime import date, timedelta
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from hf_cushing.data.drawing import Signs, draw
from hf_cushing.data.synthetic import invent_person, take_shot
from hf_cushing.followup import command
from hf_cushing.followup import trend as followup_trend
from hf_cushing.followup.camera import MEASURES, measure_photo
from hf_cushing.followup.command import run_followup
from hf_cushing.followup.figures import plot_repeatability
from hf_cushing.followup.options import FollowupOptions
from hf_cushing.followup.photos import read_dataset
from hf_cushing.followup.report import page_names, write_report
from hf_cushing.followup.results import Followup
from hf_cushing.followup.trend import (
    DIFFERENCE,
    INTERCEPTS,
    SLOPES,
    TOO_FEW,
    Trend,
    fit_trend,
    mean_changes,
    require_statsmodels,
)
from hf_cushing.followup.verdicts import cohort_verdicts, patient_verdicts
from hf_cushing.followup.visits import DatedCohort
from hf_cushing.followup.visits_table import DatedPhoto, read_visits
from hf_cushing.run import Run
from hf_cushing.schema import RESEARCH_NOTICE, UsageError, UserError

COLUMNS = ("file_name", "patient_id", "date", "sex", "treatment_date", "stable", "visit")
BOTH_FORMS = [("a.jpg", "P1", "2020-01-10"), ("b.jpg", "P1", "10/04/2020")]


def quiet(title, total):
    return lambda count: None


def write_table(path, rows, columns=COLUMNS):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([*row, *[""] * (len(columns) - len(row))] for row in rows)
    return path


def read_csv(path):
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


# the table


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (BOTH_FORMS, ["row 3: date '10/04/2020' is not written YYYY-MM-DD; write all dates"]),
        ([("a.jpg", "P1", "")], ["row 2: date is empty"]),
        ([("a.jpg", "P1", "2020-02-30")], ["row 2", "no day of the calendar"]),
        ([("a.jpg", "P1", "2999-01-01")], ["row 2", "future"]),
        ([("a.jpg", "", "2020-01-01")], ["row 2: patient_id is empty"]),
        ([("a.jpg", "P1", "2020-01-01", "x")], ["row 2: sex 'x' is not known"]),
        (
            [("a.jpg", "P1", "2020-01-01"), ("a.jpg", "P1", "2020-02-01")],
            ["row 3: the photo a.jpg stands in row 2 too"],
        ),
        (
            [("a.jpg", "P1", "2020-05-01", "f", "", "", "1"), ("b.jpg", "P1", "2020-02-01", "f", "",
             "", "2")],
            ["patient P1: dates are out of order: visit 1 is of 2020-05-01, visit 2 of 2020-02-01"],
        ),
        (
            [("a.jpg", "P1", "2020-01-01", "f", "", "", "first"), ("b.jpg", "P1", "2020-02-01", "f",
             "", "", "first")],
            ["row 3: patient P1: date is 2020-02-01, but 2020-01-01 in row 2: a visit has one"],
        ),
        (
            [("a.jpg", "P1", "2020-01-01", "f", "", "", "1"), ("b.jpg", "P1", "2020-01-01", "f", "",
             "", "2")],
            ["row 3: patient P1: visit is 2, but 1 in row 2: photos of one day are one visit"],
        ),
        (
            [("a.jpg", "P1", "2020-01-01", "f", "2020-02-01"), ("b.jpg", "P1", "2020-03-01", "f",
             "2020-02-02")],
            ["row 3: patient P1: treatment_date is 2020-02-02, but 2020-02-01 in row 2"],
        ),
        (
            [("a.jpg", "P1", "2020-01-01", "f", "2020-02-01"), ("b.jpg", "P1", "2020-03-01")],
            ["treatment_date is empty, but 2020-02-01 in row 2", "sex is unknown, but female in"],
        ),
        (
            [("a.jpg", "P1", "2020-01-01", "f", "", "yes"), ("b.jpg", "P1", "2020-01-01", "f")],
            ["row 3: patient P1: stable is empty, but stable in row 2: photos of one day are one"],
        ),
        (
            [("a.jpg", "P1", "2020-01-01", "f", "2020-02-01", "yes"), ("b.jpg", "P1", "2020-03-01",
             "f", "2020-02-01", "yes")],
            ["marked as stable together ('stable'), but treatment began on 2020-02-01 between"],
        ),
    ],
)  # fmt: skip
def test_a_table_with_a_contradiction_is_refused_by_row_and_patient(tmp_path, rows, said):
    with pytest.raises(UserError) as caught:
        read_visits(write_table(tmp_path / "t.csv", rows))
    for text in said:
        assert text in str(caught.value)


def test_all_problems_of_a_table_are_told_at_once(tmp_path):
    rows = [("a.jpg", "P1", ""), ("b.jpg", "P1", "1.2.2020"), ("c.jpg", "", "2020-01-01")]
    with pytest.raises(UserError, match="3 problems; nothing was written"):
        read_visits(write_table(tmp_path / "t.csv", rows))


def test_a_table_without_dates_is_refused_with_the_columns_it_needs(tmp_path):
    path = write_table(tmp_path / "t.csv", [("a.jpg", "P1")], ("file_name", "patient_id"))
    with pytest.raises(UserError, match=r"missing column date \(found: file_name, patient_id\)"):
        read_visits(path)


def test_stable_is_yes_no_or_the_name_of_a_period(tmp_path):
    yes = ["yes", "1", "TRUE", "1.0"]
    no = ["No", "false", "0", "0.0", "", "NA", "n/a", "NaN", "None"]
    words = [*yes, *no, "period:remission", "Period: after"]
    rows = [(f"{n}.jpg", f"P{n}", "2020-01-01", "f", "", word) for n, word in enumerate(words)]
    found = read_visits(write_table(tmp_path / "t.csv", rows))
    expected = ["stable"] * len(yes) + [""] * len(no) + ["remission", "after"]
    assert [photo.stable for photo in found] == expected


@pytest.mark.parametrize("word", ["unstable", "changed", "remission", "2", "period:"])
def test_a_word_that_may_mean_not_stable_is_refused_with_its_row(tmp_path, word):
    path = write_table(tmp_path / "t.csv", [("a.jpg", "P1", "2020-01-01", "f", "", word)])
    with pytest.raises(UserError, match=f"row 2: stable '{word}' is not known; write yes, no, or"):
        read_visits(path)


# photos of a dataset


@pytest.fixture(scope="session")
def test_photos(dataset):
    """(photo_id, patient_id) of the dataset's test split."""
    from hf_cushing.data.loading import load_faces

    photos = load_faces(str(dataset)).roles["test"]
    return list(zip(photos["photo_id"][:], photos["patient_id"][:], strict=True))


def dated_rows(test_photos, step=90):
    """One photo a visit, a visit each 90 days."""
    count, rows = {}, []
    for photo, patient in test_photos:
        number = count[patient] = count.get(patient, -1) + 1
        rows.append((photo, str(date(2020, 1, 1) + timedelta(number * step)), "yes"))
    return rows


VISIT_COLUMNS = ("photo_id", "date", "stable")


def test_dates_of_a_dataset_come_from_a_table_by_photo_id(run, dataset, test_photos, tmp_path):
    rows = dated_rows(test_photos)[:-1]
    table = write_table(tmp_path / "v.csv", rows, VISIT_COLUMNS)
    found = read_dataset(Run(run), str(dataset), split="test", visits=table)
    assert {(p.photo, str(p.day)) for p in found.photos} == {row[:2] for row in rows}
    assert [p.photo for p in found.photos] == found.crops["photo_id"][:]
    assert dict(test_photos)[found.photos[0].photo] == found.photos[0].patient_id
    assert found.left_out == {f"1 of {len(rows) + 1} photos": "v.csv does not name them"}


def test_a_photo_that_the_dataset_does_not_have_is_named(run, dataset, test_photos, tmp_path):
    rows = [*dated_rows(test_photos), ("0123456789abcdef", "2020-01-01", "")]
    table = write_table(tmp_path / "v.csv", rows, VISIT_COLUMNS)
    with pytest.raises(UserError, match=f"row {len(rows) + 1}: photo 0123456789abcdef is not amo"):
        read_dataset(Run(run), str(dataset), split="test", visits=table)


def test_another_patient_than_the_datasets_is_named(run, dataset, test_photos, tmp_path):
    rows = [(photo, "2020-01-01", "someone") for photo, _ in test_photos[:1]]
    table = write_table(tmp_path / "v.csv", rows, ("photo_id", "date", "patient_id"))
    with pytest.raises(UserError, match="in the dataset, not someone"):
        read_dataset(Run(run), str(dataset), split="test", visits=table)


def test_a_dataset_without_dates_says_how_to_give_them(run, dataset):
    with pytest.raises(UserError, match="give --visits TABLE"):
        read_dataset(Run(run), str(dataset), split="test", visits=None)


def test_an_unknown_split_is_wrong_usage():
    with pytest.raises(UsageError, match="train or validation or test or all"):
        FollowupOptions(split="some")


def test_photos_that_trained_the_model_are_refused(run, dataset, tmp_path):
    from hf_cushing.data.loading import load_faces

    photos = load_faces(str(dataset)).roles["train"]["photo_id"][:4]
    rows = [(photo, "2020-01-01", "") for photo in photos]
    table = write_table(tmp_path / "v.csv", rows, VISIT_COLUMNS)
    options = FollowupOptions(split="train", visits=table, cpu=True)
    with pytest.raises(UserError, match="4 of the 4 photos were among the train or validation"):
        run_followup(Run(run), str(dataset), tmp_path / "out", options, progress=quiet)


def test_a_dataset_is_followed_up_to_its_report(run, dataset, test_photos, tmp_path):
    table = write_table(tmp_path / "v.csv", dated_rows(test_photos), VISIT_COLUMNS)
    options = FollowupOptions(visits=table, regions=True, cpu=True)
    out = tmp_path / "out"
    found = run_followup(Run(run), str(dataset), out, options, progress=quiet)
    recorded = {row["photo"]: float(row["log_odds"]) for row in read_csv(out / "photos.csv")}
    from hf_cushing.evaluation.predictions import load_predictions

    test = load_predictions(run).of_split("test")
    odds = np.log(test.score("cushing")) - np.log(test.score("control"))
    for photo, value in zip(test.photo_id.tolist(), odds, strict=True):
        assert recorded[photo] == pytest.approx(value, abs=1e-4)
    assert found.shares.means.sum(1) == pytest.approx(1, abs=1e-5)
    assert len(read_csv(out / "regions.csv")) == len(found.cohort.visits)
    assert not out.with_name(".out.partial").exists()


# photographs named by a table, through the command line


@pytest.fixture(scope="session")
def raw_visits(tmp_path_factory):
    """Table of four drawn patients: three visits of two photos each, and one who came once."""
    folder = tmp_path_factory.mktemp("followup")
    rng, rows = np.random.default_rng(4), []
    for number in range(4):
        sex = ("female", "male")[number % 2]
        person = invent_person(rng, sex, 40)
        for visit in range(3 if number < 3 else 1):
            for shot in range(2):
                name = f"{number}_{visit}_{shot}.png"
                face = draw(person, take_shot(rng, "reflex"), Signs(cushing=(0.8, 0.8, 0.1)[visit]))
                Image.fromarray(face[0]).save(folder / name)
                treated = "2020-06-01" if number < 3 else ""
                stable = "yes" if visit < 2 and number < 3 else ""
                day = ("2020-01-05", "2020-04-05", "2021-04-05")[visit]
                rows.append((name, f"Ä/{number}", day, sex, treated, stable, str(visit + 1)))
    Image.new("RGB", (300, 300), "tan").save(folder / "empty.png")
    rows.append(("empty.png", "Ä/0", "2021-04-05", "female", "2020-06-01", "", "3"))
    return write_table(folder / "visits.csv", rows)


@pytest.fixture(scope="session")
def report(run, raw_visits):
    out = raw_visits.with_name("report")
    options = FollowupOptions(cpu=True)
    found = run_followup(Run(run), str(raw_visits), out, options, progress=quiet)
    return out, found


def test_a_photo_without_a_face_is_left_out_and_named(report):
    out, found = report
    assert list(found.left_out) == ["row 22, empty.png"]
    assert "row 22, empty.png: no face was found" in (out / "followup.html").read_text()
    assert len(found.cohort.photos) == 20


def test_baseline_is_the_last_visit_before_treatment(report):
    _, found = report
    assert {str(found.cohort.day(row)) for row in found.cohort.pairs[0]} == {"2020-04-05"}


def test_who_came_once_has_a_page_that_says_so(report):
    out, found = report
    page = (out / page_names(list(found.cohort.patients))["Ä/3"]).read_text()
    assert "One visit only: no change can be measured" in page
    assert "1 patients have one visit only" in (out / "followup.html").read_text()


def test_every_page_carries_the_research_notice_and_no_path(report, raw_visits):
    out, found = report
    pages = [out / name for name in page_names(list(found.cohort.patients)).values()]
    assert sorted(p.name for p in pages) == sorted(p.name for p in (out / "patients").iterdir())
    for page in [*pages, out / "followup.html"]:
        text = page.read_text()
        assert RESEARCH_NOTICE in text
        assert str(raw_visits.parent) not in text
    assert "contains patient ids" in (out / "followup.html").read_text()


def test_faces_are_shown_once_a_visit_and_without_metadata(report):
    out, found = report
    page = (out / page_names(list(found.cohort.patients))["Ä/0"]).read_text()
    assert page.count("data:image/jpeg") == 3


def test_command_writes_the_report_and_prints_json(monkeypatch, capsys, run, raw_visits, tmp_path):
    from tests.test_cli import run_main

    out = tmp_path / "out"
    rows = [row for row in read_csv(raw_visits) if row["file_name"][0] in "01"]
    few = raw_visits.with_name("few.csv")
    write_table(few, [tuple(row.values()) for row in rows])
    code = run_main(monkeypatch, "followup", "--run", run, "--dataset", few, "--out", out,
                    "--no-thumbnails", "--num-proc", 1, "--cpu", "--json")  # fmt: skip
    captured = capsys.readouterr()
    assert code == 0, captured.err
    found = json.loads(captured.out)
    assert (found["patients"], found["visits"], found["photos"]) == (2, 6, 12)
    assert found["repeatability"]["source"] == "stable visits"
    assert sum(found["verdicts"].values()) == 2
    assert not any("data:image/jpeg" in p.read_text() for p in (out / "patients").iterdir())


def test_a_stopped_followup_goes_on_with_the_crops_that_are_there(
    monkeypatch, run, raw_visits, tmp_path
):
    from hf_cushing.data import chunks

    few = raw_visits.with_name("two.csv")
    rows = [row for row in read_csv(raw_visits) if row["file_name"][0] == "2"]
    write_table(few, [tuple(row.values()) for row in rows])
    out, options = tmp_path / "out", FollowupOptions(cpu=True)

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(command, "write_report", stop)
        with pytest.raises(KeyboardInterrupt):
            run_followup(Run(run), str(few), out, options, progress=quiet)
    assert not out.exists()
    monkeypatch.setattr(chunks, "crop_photo", stop)
    run_followup(Run(run), str(few), out, options, progress=quiet)
    assert (out / "followup.json").is_file()


def test_a_table_that_is_not_there_or_has_dates_twice_is_refused(run, raw_visits, tmp_path):
    absent, both = tmp_path / "no.csv", FollowupOptions(visits=raw_visits)
    with pytest.raises(UserError, match=r"no\.csv is no table"):
        run_followup(Run(run), str(absent), tmp_path / "o", FollowupOptions(), progress=quiet)
    with pytest.raises(UsageError, match="--visits is for a prepared dataset"):
        run_followup(Run(run), str(raw_visits), tmp_path / "o", both, progress=quiet)


def test_patients_with_one_visit_each_are_no_followup(run, raw_visits, tmp_path):
    rows = [r for r in read_csv(raw_visits) if r["visit"] == "1" and r["file_name"][0] in "01"]
    table = raw_visits.with_name("once.csv")
    write_table(table, [tuple(row.values()) for row in rows])
    with pytest.raises(UserError, match="no patient has two visits"):
        run_followup(Run(run), str(table), tmp_path / "o", FollowupOptions(cpu=True),
                     progress=quiet)  # fmt: skip


def test_absent_and_doubled_files_are_named(run, raw_visits, tmp_path):
    photo = (raw_visits.parent / "0_0_0.png").read_bytes()
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(photo)
    table = write_table(
        tmp_path / "t.csv",
        [("a.png", "P1", "2020-01-01"), ("b.png", "P1", "2020-01-01"), ("c.png", "P1",
         "2020-02-01")],
    )  # fmt: skip
    with pytest.raises(UserError) as caught:
        run_followup(Run(run), str(table), tmp_path / "out", FollowupOptions(), progress=quiet)
    assert "row 3: b.png has the same content as row 2" in str(caught.value)
    assert "row 4: c.png: no such file" in str(caught.value)


def test_a_foreign_out_folder_is_left_alone(run, raw_visits, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="was not made by `followup`"):
        run_followup(Run(run), str(raw_visits), tmp_path / "out", FollowupOptions(), progress=quiet)
    with pytest.raises(UsageError, match="holds a run"):
        run_followup(Run(run), str(raw_visits), run, FollowupOptions(), progress=quiet)


# verdicts and alarms, from invented scores


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


@pytest.fixture(scope="module")
def invented_report(tmp_path_factory):
    out = tmp_path_factory.mktemp("invented") / "out"
    write_report(out, invented(), thumbnails=False, progress=quiet)
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
    for sentences in (cohort_verdicts(found), patient_verdicts(found, "P03")):
        assert any("No visits are marked as stable" in sentence for sentence in sentences)
    assert not any("No visits are marked" in text for text in cohort_verdicts(invented()))


def test_without_stable_visits_there_is_no_figure_of_their_differences(tmp_path):
    assert not plot_repeatability(tmp_path / "r.png", invented(stable=False))
    assert list(tmp_path.iterdir()) == []


def test_repeatability_of_few_patients_is_called_insufficient():
    few, enough = (cohort_verdicts(invented(patients=count)) for count in (9, 10))
    assert any("measured on 9 patients: insufficient" in sentence for sentence in few)
    assert not any("insufficient" in sentence for sentence in enough)


def test_a_patient_id_that_is_html_is_shown_as_text(tmp_path):
    found = invented(patients=3)
    bad = "<script>x</script>"
    rename = {"P00": bad}
    cohort = found.cohort
    photos = [replace(p, patient_id=rename.get(p.patient_id, p.patient_id)) for p in cohort.photos]
    found = replace(found, cohort=replace(cohort, photos=photos))
    write_report(tmp_path / "out", found, thumbnails=False, progress=quiet)
    for page in tmp_path.rglob("*.html"):
        assert bad not in page.read_text()
        assert page.name in ("followup.html", "P01.html", "P02.html") or "script" in page.name


def test_page_names_are_safe_and_differ_even_where_capitals_do_not_count():
    names = list(page_names(["P1", "p1", "../x", "a b", "a_b", "Ä/0"]).values())
    assert len({name.casefold() for name in names}) == 6
    assert all(re.fullmatch(r"patients/[A-Za-z0-9_-]+\.html", name) for name in names)
    assert page_names(["A-1"]) == {"A-1": "patients/A-1.html"}


# the cohort


def course(rng, patients=40, slope=(-0.2, -0.2), own=0.1, noise=0.4):
    who = np.repeat(np.arange(patients), 4)
    months = np.tile([0.0, 3, 6, 12], patients)
    slopes = np.array(slope)[who % 2] + rng.normal(0, own, patients)[who]
    scores = rng.normal(0, 1, patients)[who] + slopes * months + rng.normal(0, noise, len(who))
    return scores, months, who.astype(str), np.where(who % 2, "male", "female")


def test_slopes_of_women_and_men_and_their_difference_are_found(rng):
    found = fit_trend(*course(rng, patients=120, slope=(-0.3, -0.1)))
    assert found.effects == SLOPES
    by = {row.group: row for row in found.slopes}
    assert by["female"].value == pytest.approx(-0.3, abs=0.04)
    assert by["male"].value == pytest.approx(-0.1, abs=0.04)
    assert by[DIFFERENCE].low < -0.2 < by[DIFFERENCE].high < 0
    assert by["female"].size == "ok"


def test_slope_agrees_with_the_mean_of_patients_own_slopes(rng):
    scores, months, who, sexes = course(rng, patients=60)
    own = [np.polyfit(months[who == name], scores[who == name], 1)[0] for name in np.unique(who)]
    all_of_them = fit_trend(scores, months, who, sexes).slopes[0]
    assert all_of_them.value == pytest.approx(np.mean(own), abs=1e-3)
    error = np.std(own, ddof=1) / np.sqrt(60)
    assert all_of_them.high - all_of_them.low == pytest.approx(4 * error, rel=0.05)


def test_without_slopes_of_their_own_the_intercept_model_is_used_and_named(rng, monkeypatch):
    fit = followup_trend._fit
    monkeypatch.setattr(
        followup_trend, "_fit",
        lambda *args: None if args[-1] == SLOPES else fit(*args),
    )  # fmt: skip
    found = fit_trend(*course(rng))
    assert found.effects == INTERCEPTS
    assert found.reason == "random intercept and slope did not converge"
    assert len(found.slopes) == 4


def test_scores_without_any_noise_do_not_break_the_model(rng):
    scores, months, who, sexes = course(rng, noise=0.0, own=0.0)
    found = fit_trend(scores, months, who, sexes)
    assert found.reason or found.slopes[0].value == pytest.approx(-0.2, abs=1e-6)


def test_too_few_patients_for_a_model_is_said(rng):
    assert fit_trend(*course(rng, patients=2)) == Trend(reason=TOO_FEW)


def test_patients_of_one_time_count_for_no_slope(rng):
    scores, months, who, sexes = course(rng, patients=58)
    once = (np.isin(who, [str(n) for n in range(18, 58, 2)])) & (months > 0)
    found = fit_trend(*(values[~once] for values in (scores, months, who, sexes)))
    by = {row.group: row for row in found.slopes}
    assert [by[g].patients for g in ("all", "female", "male", DIFFERENCE)] == [38, 9, 29, 38]
    assert (by["female"].size, by[DIFFERENCE].size) == ("insufficient", "insufficient")
    assert np.isnan([by["female"].low, by[DIFFERENCE].high]).all()
    assert np.isfinite([by["all"].low, by["male"].high]).all()


def test_nine_women_get_no_interval(rng):
    changes, sexes = rng.normal(size=29), np.array(["female"] * 9 + ["male"] * 20)
    by = {row.group: row for row in mean_changes(changes, sexes)}
    assert (by["female"].size, by[DIFFERENCE].size, by["male"].size) == (
        "insufficient", "insufficient", "wide",
    )  # fmt: skip
    assert np.isnan([by["female"].low, by[DIFFERENCE].high]).all()
    assert by["male"].low < changes[9:].mean() < by["male"].high


def test_missing_statsmodels_is_told_before_any_work(monkeypatch):
    monkeypatch.setattr(followup_trend, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"hf-cushing\[followup\]"):
        require_statsmodels()


# camera, light and pose


@pytest.fixture(scope="module")
def face():
    from hf_cushing.faces.align import align_face

    rng = np.random.default_rng(2)
    drawn, _ = draw(invent_person(rng, "female", 40), take_shot(rng, "reflex"), Signs())
    aligned = align_face(Image.fromarray(drawn))
    return aligned.image, aligned.landmarks, list(aligned.face_box)


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        ("brightness", lambda image: ImageEnhance.Brightness(image).enhance(0.6)),
        ("contrast", lambda image: ImageEnhance.Contrast(image).enhance(0.5)),
        ("sharpness", lambda image: image.resize((64, 64)).resize(image.size)),
        ("colour_cast", lambda image: Image.merge(
            "RGB", [*image.split()[:2], image.split()[2].point(lambda v: v * 0.8)])),
        ("side_light", lambda image: Image.fromarray(np.uint8(
            np.asarray(image) * np.linspace(0.5, 1, image.width)[None, :, None]))),
    ],
)  # fmt: skip
def test_each_measure_sees_its_own_change(face, name, edit):
    image, landmarks, box = face
    before, after = (measure_photo(i, landmarks, box) for i in (image, edit(image)))
    place = list(MEASURES).index(name)
    assert abs(after[place] - before[place]) > 0.1
    pose = [list(MEASURES).index(n) for n in ("yaw", "pitch", "mouth_open", "face_size")]
    assert after[pose] == pytest.approx(before[pose])


def test_redness_of_the_face_is_no_colour_cast(face):
    image, landmarks, box = face
    red = Image.merge("RGB", [image.split()[0].point(lambda v: min(255, v * 1.2)),
                              *image.split()[1:]])  # fmt: skip
    place = list(MEASURES).index("colour_cast")
    values = [measure_photo(i, landmarks, box)[place] for i in (image, red)]
    assert values[1] == pytest.approx(values[0])


def test_help_names_the_command():
    from typer.testing import CliRunner

    from hf_cushing.cli import app

    assert "followup" in CliRunner().invoke(app, ["--help"]).output
    assert sys.modules["hf_cushing.cli.followup"]
