import csv
import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, mean_absolute_error

from hf_cushing.evaluation.grades import GradedSample, check_grades, report_grades
from hf_cushing.evaluation.options import EvaluationOptions
from hf_cushing.evaluation.report import evaluate, write_report
from hf_cushing.evaluation.subgroups import make_sample, make_samples
from hf_cushing.evaluation.tables import report_tables, report_to_csv
from hf_cushing.reports.table import tables_to_markdown
from hf_cushing.schema import UsageError
from hf_cushing.stats.agreement import cohen_kappa
from hf_cushing.stats.grade_metrics import (
    ERROR,
    KAPPA,
    median_grades,
)
from tests.evaluation.test_report import make_predictions

LABELS = ("control", "grave", "mild", "some")
GRADES = ("control", "mild", "some", "grave")
FEW = EvaluationOptions(draws=200, shuffles=200, grades=GRADES)


def graded(rng, n=800, noise=1.0, men=0.5):
    """Scores whose expected grade rises with the truth."""
    p = make_predictions(rng, n=n, labels=LABELS, men=men)
    truth = np.array([GRADES.index(label) for label in p.label])
    seen = truth + noise * rng.normal(size=n)
    logits = -((seen[:, None] - np.array([GRADES.index(label) for label in LABELS])) ** 2)
    return replace(p, probabilities=np.exp(logits) / np.exp(logits).sum(1, keepdims=True)), truth


def grading_of(predictions, draws=100, shuffles=100):
    return report_grades(make_samples(predictions, draws=draws), GRADES, shuffles=shuffles)


def row_of(grading, subgroup, unit="photo"):
    return next(r for r in grading.rows if (r.subgroup, r.unit) == (subgroup, unit))


def test_figures_are_those_of_scikit_learn_for_all_and_each_sex(rng):
    predictions, truth = graded(rng)
    called = median_grades(predictions.probabilities[:, [LABELS.index(g) for g in GRADES]])
    grading = grading_of(predictions)
    for sex in ("all", "female", "male"):
        mask = (predictions.sex == sex) | (sex == "all")
        row = row_of(grading, sex)
        kappa = cohen_kappa_score(truth[mask], called[mask], weights="quadratic", labels=range(4))
        assert row.values[KAPPA].estimate == pytest.approx(kappa)
        own = cohen_kappa(truth[mask], called[mask], "quadratic", scale=range(4))
        assert row.values[KAPPA].estimate == pytest.approx(own.estimate)
        assert row.values[ERROR].estimate == pytest.approx(
            mean_absolute_error(truth[mask], called[mask])
        )
        assert row.rows == mask.sum()
        assert row.patients == len(set(predictions.patient_id[mask]))
        assert np.array(row.pairs).sum() == mask.sum()


def test_interval_by_bootstrap_agrees_with_the_closed_form(rng):
    predictions, truth = graded(rng, n=1600)
    graded_sample = GradedSample(make_sample(predictions, draws=1000), GRADES)
    row = graded_sample.subgroup("all", np.full(len(predictions), True)).report
    columns = [LABELS.index(g) for g in GRADES]
    known = cohen_kappa(
        truth, median_grades(predictions.probabilities[:, columns]), "quadratic",
        scale=range(4), patients=predictions.patient_id,
    )  # fmt: skip
    value = row.values[KAPPA]
    assert value.low < value.estimate < value.high
    assert value.high - value.low == pytest.approx(known.high - known.low, rel=0.25)


def test_gap_is_found_where_the_model_is_blind_in_one_sex(rng):
    predictions, _ = graded(rng, noise=0.5)
    blind = predictions.sex == "male"
    shuffled = predictions.probabilities.copy()
    shuffled[blind] = shuffled[rng.permutation(np.flatnonzero(blind))]
    predictions = replace(predictions, probabilities=shuffled)
    grading = grading_of(predictions, draws=200, shuffles=500)
    for gap in grading.gaps:
        assert gap.worse == "male"
        assert gap.p_holm < 0.02
        assert (gap.low > 0) == (gap.metric == KAPPA)
        assert gap.gap == pytest.approx(gap.women - gap.men)
    text = tables_to_markdown(report_tables(evaluate(predictions, FEW)))
    assert "kappa, quadratic weights: worse for men than the sexes' mixes of grades explain" in text


def test_equal_sexes_rarely_show_a_gap(rng):
    small = []
    for _ in range(20):
        grading = grading_of(graded(rng, n=120)[0])
        small += [gap.p < 0.05 for gap in grading.gaps if gap.unit == "photo"]
    assert len(small) == 40
    assert sum(small) <= 8


def test_subgroup_with_a_rare_grade_is_insufficient_and_has_no_interval(rng):
    predictions, _ = graded(rng, n=400, men=0.1)
    grading = grading_of(predictions)
    row = row_of(grading, "male")
    assert row.size == "insufficient"
    assert min(row.grade_patients.values()) < 10
    for value in row.values.values():
        assert math.isnan(value.low)
        assert value.reason == "no interval: fewer than 10 patients of a grade"
    assert all(math.isnan(gap.low) and not gap.worse for gap in grading.gaps)
    text = tables_to_markdown(report_tables(evaluate(predictions, FEW)))
    assert "Insufficient: male (fewer than 10 patients of a grade)" in text
    assert "no statement about women and men" in text


def test_one_sex_only_is_reported_without_a_gap(rng):
    predictions, _ = graded(rng, men=0)
    grading = grading_of(predictions)
    assert grading.gaps == []
    assert row_of(grading, "male").rows == 0
    assert math.isnan(row_of(grading, "male").values[KAPPA].estimate)


def test_report_of_grades_is_in_every_file(rng, tmp_path):
    predictions = replace(graded(rng, n=240)[0], patient_id=np.arange(240).astype(str))
    labels = ("control", "mild")  # two keep the figures of the diseases few
    grave = np.isin(predictions.label, ("some", "grave"))
    first = predictions.probabilities[:, [0, 2]].sum(1, keepdims=True)
    shares = predictions.probabilities[:, [0, 2]] / first
    predictions = replace(predictions, labels=labels, probabilities=shares,
                          label=np.where(grave, "mild", predictions.label))  # fmt: skip
    report = evaluate(predictions, replace(FEW, draws=100, grades=labels))
    write_report(tmp_path, report, predictions, full=True)
    value = row_of(report.grading, "female").values[KAPPA]
    shown = f"{value.estimate:.3f} ({value.low:.3f}–{value.high:.3f})"
    assert shown in (tmp_path / "metrics.md").read_text()
    page = (tmp_path / "report.html").read_text()
    assert shown in page
    assert "(0): quadratic kappa" in page
    written = json.loads((tmp_path / "metrics.json").read_text())["grading"]
    assert written["grades"] == list(labels)
    assert written["rows"][1]["values"][KAPPA]["estimate"] == value.estimate
    rows = csv.DictReader(io.StringIO((tmp_path / "metrics.csv").read_text()))
    lines = [row for row in rows if row["label"] == "grades"]
    assert {r["metric"] for r in lines} == {KAPPA, ERROR}
    assert {r["subgroup"] for r in lines} == {"all", "female", "male", "female - male"}


def test_grades_by_patient_stand_beside_those_by_photo(rng):
    report = evaluate(graded(rng, n=200)[0], replace(FEW, draws=100))
    lines = [r for r in csv.DictReader(io.StringIO(report_to_csv(report)))]
    assert {r["unit"] for r in lines if r["label"] == "grades"} == {"photo", "patient"}
    assert "Grades, test photos, by patient" in tables_to_markdown(report_tables(report))
    patients = row_of(report.grading, "all", "patient")
    assert patients.rows == patients.patients == 50


def test_report_without_grades_has_no_table_of_them(rng):
    report = evaluate(graded(rng, n=200)[0], replace(FEW, grades=()))
    assert report.grading is None
    assert "Grades" not in tables_to_markdown(report_tables(report))


@pytest.mark.parametrize(
    ("grades", "fault"),
    [
        (("control", "mild", "some"), "--grades lacks grave"),
        ((*GRADES, "dire"), "the dataset doesn't know dire"),
        (
            ("control", "mild", "dire", "grave"),
            "--grades lacks some; the dataset doesn't know dire",
        ),
        ((*GRADES, "mild"), "names a label twice"),
        (GRADES[::-1], "begins with grave instead of control"),
    ],
)
def test_grades_that_are_not_the_labels_are_refused_by_name(grades, fault):
    with pytest.raises(UsageError, match=fault):
        check_grades(grades, LABELS)


def test_grades_of_a_diagnosis_are_told_how_the_column_severity_becomes_the_labels():
    with pytest.raises(UsageError) as caught:
        check_grades(("control", "mild", "severe"), ("control", "cushing"))
    assert "Grades are labels of the dataset" in str(caught.value)
    assert "--column label=severity --map label 0=control 1=mild 2=severe" in str(caught.value)
