"""The first screen: the same order for every kind of report, and short enough for a terminal."""

import re
from dataclasses import replace

import numpy as np
import pytest

from hf_cushing.evaluation.first_screen import first_screen, sex_sentence
from hf_cushing.evaluation.operating_points import choose_operating_points
from hf_cushing.evaluation.origin import origin_of
from hf_cushing.evaluation.record import report_from_json, report_to_json
from hf_cushing.evaluation.report import evaluate, write_report
from hf_cushing.files import plain
from hf_cushing.reports.screen import MOST_LINES, WIDTH, Section, screen_markdown, screen_text
from tests.evaluation.test_grades import GRADES, graded
from tests.evaluation.test_report import FEW, make_predictions

MANIFEST = {
    "config": {
        "model": {"model": "org/vit-b16", "finetune": "lora"}, "data": {"dataset": "a/faces"},
    },
    "dataset_revision": "d0", "model_revision": "m0", "finished": "2026-11-25",
    "environment": {"hf-cushing": "0.1.0"},
}  # fmt: skip


def useless(rng):
    predictions = make_predictions(rng, n=800)
    score = rng.random(len(predictions))
    return replace(predictions, probabilities=np.stack([1 - score, score], 1))


def five_folds(rng):
    predictions = make_predictions(rng, n=800)
    return replace(predictions, model_revision=predictions.fold.astype(str))


CASES = {
    "good": lambda rng: (make_predictions(rng, n=800), FEW),
    "useless": lambda rng: (useless(rng), FEW),
    "tiny": lambda rng: (make_predictions(rng, n=40), FEW),
    "three classes": lambda rng: (
        make_predictions(rng, n=900, labels=("control", "cushing", "acromegaly")), FEW
    ),
    "ordinal": lambda rng: (
        graded(rng)[0], replace(FEW, grades=GRADES)
    ),
    "five folds": lambda rng: (five_folds(rng), FEW),
}  # fmt: skip


def screen_of(rng, case):
    report = evaluate(*CASES[case](rng))
    return first_screen(replace(report, origin=origin_of([MANIFEST], ["run7"])))


@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_report_answers_in_one_order_and_fits_a_terminal(rng, case):
    sections = screen_of(rng, case)
    assert [s.title for s in sections] == ["What", "Chance", "People", "Women, men", "Next"]
    assert "vit-b16, lora, run run7; dataset faces (d0); day 2026-11-25" in sections[0].lines[0]
    lines = screen_text(sections).splitlines()
    assert len(lines) <= MOST_LINES <= 23
    assert max(map(len, lines)) <= WIDTH
    assert "nan" not in "\n".join(lines)


def lines_of(rng, case):
    return {section.title: " ".join(section.lines) for section in screen_of(rng, case)}


def test_good_model_is_told_in_people_and_against_a_constant_answer(rng):
    lines = lines_of(rng, "good")
    assert "cushing: better than chance (0.5): AUROC 0." in lines["Chance"]
    assert "which calling everybody ill does not reach" in lines["Chance"]
    assert "Of 100 women with cushing, " in lines["People"]
    assert "hf-cushing explain" in lines["Next"]


@pytest.mark.parametrize(("source", "drawn"), [("synthetic", True), ("lfw", False)])
def test_drawn_faces_are_said_to_be_drawn(rng, source, drawn):
    predictions = make_predictions(rng)
    sources = np.full(len(predictions), source)
    report = evaluate(replace(predictions, attributes={"source": sources}), FEW)
    again = report_from_json(plain(report_to_json(report)))
    for one in (report, again):
        assert ("The faces are drawn" in screen_text(first_screen(one))) is drawn


def test_useless_model_is_not_sent_on(rng):
    lines = lines_of(rng, "useless")
    assert "worse than chance" in lines["Chance"] or "not shown to be better" in lines["Chance"]
    assert "Nothing to interpret yet" in lines["Next"]
    assert "explain" not in lines["Next"]
    assert "threshold" not in lines["Next"]


def test_tiny_cohort_supports_no_statement_and_names_the_remedy(rng):
    lines = lines_of(rng, "tiny")
    assert "not to be told (fewer than 10 patients" in lines["Chance"]
    assert "insufficient" in lines["People"]
    assert "not to be told" in lines["Women, men"]
    assert "train --fold all" in lines["Next"]


def test_with_several_diseases_nobody_is_called_ill_by_the_threshold_of_one(rng):
    lines = lines_of(rng, "three classes")
    assert "said to have it" in lines["People"]
    assert "called ill" not in lines["People"]


def test_grades_are_told_by_kappa_and_by_people(rng):
    lines = lines_of(rng, "ordinal")
    assert "quadratic kappa" in lines["Chance"]
    assert "calling everybody “" in lines["Chance"]
    assert "get their grade" in lines["People"]


def test_sexes_differ_or_are_alike_or_it_is_not_to_be_told(rng):
    gaps = evaluate(make_predictions(rng, n=800), FEW).gaps
    gap = next(gap for gap in gaps if (gap.metric, gap.unit) == ("auroc", "photo"))

    def sentence(**change):
        return sex_sentence(replace(gap, **change), margin=0.05, primary="auroc")

    shown = sentence(gap=0.2, low=0.1, high=0.3, worse="male", p=0.001, p_holm=0.001)
    assert shown.startswith("AUROC: a difference is shown, worse for men")
    alike = sentence(gap=0.0, low=-0.04, high=0.04, worse="", p_holm=0.9)
    assert alike.startswith("AUROC: no difference of 0.05 or more")
    open_ = sentence(gap=0.0, low=-0.1, high=0.1, worse="", p_holm=0.9, detectable=0.14)
    assert "AUROC: not to be told" in open_
    assert "finds gaps from 0.14" in open_
    few = sentence(size="insufficient", gap=0.2, low=0.1, high=0.3)
    assert few.startswith("AUROC: not to be told (fewer than 10")


def test_page_has_the_screen_the_origin_and_the_other_tables_folded(rng, tmp_path):
    predictions = make_predictions(rng)
    report = replace(evaluate(predictions, FEW), origin=origin_of([MANIFEST], ["run7"]))
    write_report(tmp_path, report, predictions, full=True)
    page = (tmp_path / "report.html").read_text()
    assert "run finished 2026-11-25" in page
    first, rest = page.split("<details>", 1)
    assert first.index("<dt>Chance</dt>") < first.index("<dt>People</dt>")
    assert "<td>F1</td>" in first
    assert "<td>MCC</td>" not in first
    assert "<td>MCC</td>" in rest


def test_runs_that_are_pooled_are_named_by_the_first_and_the_last():
    origin = origin_of([MANIFEST] * 5, [f"r{n}" for n in range(5)])
    assert (origin.model, origin.runs) == ("vit-b16", "r0 … r4 (5 runs)")
    assert origin_of([{}], ["x"]).model == "not recorded"


def test_too_long_a_screen_is_cut_and_markdown_lists_everything():
    sections = [Section("What", tuple(f"Sentence {n}." for n in range(40)))]
    assert len(screen_text(sections).splitlines()) == MOST_LINES
    assert screen_markdown(sections).count("\n- ") == 40


def test_grades_of_a_hundred_patients_have_intervals(rng):
    assert re.search(r"\d+ \(\d+–\d+\) get their grade", lines_of(rng, "ordinal")["People"])


@pytest.mark.parametrize(("score", "advised"), [(0.9, False), (0.1, True)])
def test_rare_disease_that_is_found_needs_no_other_threshold(rng, score, advised):
    predictions = make_predictions(rng, n=2400)
    predictions = predictions.select((predictions.label == "control") | (np.arange(2400) % 120 < 4))
    given = np.where(predictions.label == "cushing", score, 0.2)
    predictions = replace(predictions, probabilities=np.stack([1 - given, given], 1))
    half = [replace(p, threshold=0.5) for p in choose_operating_points(predictions)]
    report = evaluate(predictions, FEW, operating_points=half)
    said = " ".join(first_screen(report)[-1].lines)
    assert ("Nearly nobody is said to have cushing" in said) == advised
