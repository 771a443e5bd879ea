import json
import sys

import numpy as np
import pytest
from PIL import Image

from hf_cushing.data.drawing import Signs, draw
from hf_cushing.data.synthetic import invent_person, take_shot
from hf_cushing.followup import command
from hf_cushing.followup.command import run_followup
from hf_cushing.followup.options import FollowupOptions
from hf_cushing.followup.report import page_names
from hf_cushing.run import Run
from hf_cushing.schema import RESEARCH_NOTICE, UsageError, UserError
from tests.followup.visit_csv import quiet, read_csv, write_table


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
    assert "1 patient with one visit only" in (out / "followup.html").read_text()


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


def test_help_names_the_command():
    from typer.testing import CliRunner

    from hf_cushing.cli import app

    assert "followup" in CliRunner().invoke(app, ["--help"]).output
    assert sys.modules["hf_cushing.cli.followup"]
