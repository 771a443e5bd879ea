import csv
import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from hf_cushing.evaluation.operating_points import choose_operating_points
from hf_cushing.evaluation.options import EvaluationOptions
from hf_cushing.evaluation.predictions import Predictions, concatenate, load_predictions
from hf_cushing.evaluation.record import points_from_json, report_from_json, report_to_json
from hf_cushing.evaluation.report import evaluate, write_report
from hf_cushing.evaluation.tables import report_tables, report_to_csv
from hf_cushing.evaluation.wording import format_value, title_of
from hf_cushing.files import plain
from hf_cushing.reports.table import interval_text, tables_to_latex, tables_to_markdown
from hf_cushing.schema import UsageError, UserError

FEW = EvaluationOptions(draws=100, shuffles=100)


def make_predictions(rng, n=240, labels=("control", "cushing"), men=0.4):
    """Scores of n photos of n / 2 patients, half validation and half test."""
    patients = np.repeat(np.arange(n // 2), 2)
    number = rng.integers(0, len(labels), n // 2)[patients]
    logits = rng.normal(size=(n, len(labels))) + 1.5 * np.eye(len(labels))[number]
    return Predictions(
        photo_id=np.array([f"{i:016x}" for i in range(n)]),
        patient_id=np.array([f"P{p}" for p in patients]),
        label=np.array(labels)[number],
        sex=np.where(rng.random(n // 2) < men, "male", "female")[patients],
        split=np.where(patients % 2, "test", "validation"),
        fold=patients % 5,
        seed=np.zeros(n, int),
        probabilities=np.exp(logits) / np.exp(logits).sum(1, keepdims=True),
        labels=labels,
        model_revision="m",
        dataset_revision="d",
    )


def test_subgroups_count_their_photos_and_patients(rng):
    predictions = make_predictions(rng)
    report = evaluate(predictions, FEW)
    test = predictions.of_split("test")
    for sex in ("female", "male"):
        row = report.find("cushing", sex)
        rows = test.select(test.sex == sex)
        assert row.rows == len(rows)
        assert row.positives == (rows.label == "cushing").sum()
        assert row.patients == len(set(rows.patient_id))
    total = report.find("cushing", "all")
    assert total.rows == sum(report.find("cushing", sex).rows for sex in ("female", "male"))
    assert sum(total.cells.values()) == total.rows


def test_estimates_lie_in_their_intervals(rng):
    for row in evaluate(make_predictions(rng), replace(FEW, draws=300)).subgroups:
        for name, value in row.values.items():
            if not math.isnan(value.low):
                assert value.low <= value.estimate <= value.high, name


def test_each_disease_of_several_has_its_own_rows_and_threshold(rng):
    predictions = make_predictions(rng, labels=("control", "cushing", "acromegaly"))
    report = evaluate(predictions, FEW)
    assert {row.label for row in report.subgroups} == {"cushing", "acromegaly", "macro"}
    assert [point.label for point in report.operating_points] == ["cushing", "acromegaly"]


def test_small_subgroup_is_called_insufficient_and_gets_no_false_certainty(rng):
    predictions = make_predictions(rng, men=0.05)
    report = evaluate(predictions, FEW)
    row = report.find("cushing", "male")
    assert row.size == "insufficient"
    assert math.isnan(row.values["mcc"].low)
    assert row.values["mcc"].reason.startswith("no interval: fewer than 10")
    assert row.values["f1"].high - row.values["f1"].low > 0.3
    assert row.values["accuracy"].high - row.values["accuracy"].low > 0.2
    assert "Insufficient: male" in tables_to_markdown(report_tables(report))


def test_absent_sex_is_undefined_with_a_reason(rng):
    predictions = make_predictions(rng, men=0)
    value = evaluate(predictions, FEW).find("cushing", "male").values["auroc"]
    assert math.isnan(value.estimate)
    assert value.reason == "one class only"
    text = tables_to_markdown(report_tables(evaluate(predictions, FEW)))
    assert "undefined: one class only" in text


def test_report_is_rebuilt_from_the_file_alone(rng, tmp_path):
    predictions = make_predictions(rng)
    report = evaluate(predictions, FEW)
    write_report(tmp_path, report, predictions)
    again = evaluate(load_predictions(tmp_path), FEW)
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert plain(report_to_json(again)) == written
    assert (tmp_path / "roc.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture(scope="module")
def whole(tmp_path_factory, true_figures):
    """Predictions, their report, and the folder of all its files (read only)."""
    predictions = make_predictions(np.random.default_rng(0))
    report, folder = evaluate(predictions, FEW), tmp_path_factory.mktemp("whole")
    write_report(folder, report, predictions, full=True)
    return predictions, report, folder


def test_whole_report_holds_every_table_and_figure_in_one_page(whole):
    _, report, folder = whole
    page = (folder / "report.html").read_text()
    figures = {path.stem for path in folder.glob("*.png")}
    assert figures >= {"roc", "precision_recall", "reliability", "net_benefit", "confusion"}
    assert page.count("data:image/png;base64,") == len(figures)
    assert "http" not in page  # self-contained
    assert "Research use only" in page
    for sex in ("female", "male"):
        value = report.find("cushing", sex).values["auroc"]
        assert f"{value.estimate:.3f} ({value.low:.3f}–{value.high:.3f})" in page


def test_pictures_have_the_same_bytes_twice(whole, tmp_path):
    predictions, report, folder = whole
    write_report(tmp_path, report, predictions, full=True)
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


def test_csv_has_a_line_for_every_figure(rng):
    report = evaluate(make_predictions(rng), FEW)
    rows = list(csv.DictReader(io.StringIO(report_to_csv(report))))
    wanted = [(r.label, r.unit, r.subgroup, m) for r in report.subgroups for m in r.values]
    wanted += [(g.label, g.unit, "female - male", g.metric) for g in report.gaps]
    assert [(r["label"], r["unit"], r["subgroup"], r["metric"]) for r in rows] == wanted
    assert float(rows[0]["estimate"]) == pytest.approx(
        report.subgroups[0].values[rows[0]["metric"]].estimate, abs=1e-6
    )


def test_latex_has_no_bare_special_characters(rng):
    text = tables_to_latex(report_tables(evaluate(make_predictions(rng), FEW)))
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 5
    body = text.replace(r"\%", "").replace(r"\_", "").split("\n", 1)[1]
    assert "%" not in body
    assert "_" not in body
    assert text.isascii()


def test_patients_with_several_photos_are_reported_by_patient_too(rng):
    report = evaluate(make_predictions(rng), FEW)
    by_patient = report.find("cushing", "all", "patient")
    assert by_patient.rows == by_patient.patients == report.find("cushing", "all").patients
    assert by_patient.positives == report.find("cushing", "all").positive_patients


def test_macro_is_the_mean_over_the_diseases(rng):
    report = evaluate(make_predictions(rng, labels=("control", "cushing", "acromegaly")), FEW)
    for metric in ("auroc", "f1", "brier"):
        parts = [report.find(x, "female").values[metric] for x in ("cushing", "acromegaly")]
        macro = report.find("macro", "female").values[metric]
        assert macro.estimate == pytest.approx(np.mean([part.estimate for part in parts]))
        assert macro.low < macro.estimate < macro.high


def test_thresholds_per_sex_show_what_they_change(rng):
    report = evaluate(make_predictions(rng), replace(FEW, per_sex=True))
    shared = evaluate(make_predictions(np.random.default_rng(0)), FEW)
    assert {p.sex for p in report.operating_points} == {"all", "female", "male"}
    women = next(r for r in report.shared if (r.subgroup, r.unit) == ("female", "photo"))
    assert women.values["f1"] == shared.find("cushing", "female").values["f1"]
    text = tables_to_markdown(report_tables(report))
    assert "What thresholds per sex change" in text
    assert "Threshold for female" in text


def test_age_bands_and_intersections_are_subgroups(rng):
    predictions = make_predictions(rng)
    age = rng.uniform(20, 80, len(predictions))
    age[:5] = np.nan
    predictions = replace(predictions, attributes={"age": age})
    report = evaluate(predictions, replace(FEW, by=("sex", "age:40", "sex*age:40")))
    names = {r.subgroup for r in report.subgroups if r.unit == "photo"}
    assert names == {"all", "female", "male", "age < 40", "age ≥ 40", "female & age < 40",
                     "female & age ≥ 40", "male & age < 40", "male & age ≥ 40"}  # fmt: skip
    row = report.find("cushing", "female & age < 40")
    inside = (age < 40) & (predictions.sex == "female") & (predictions.split == "test")
    assert row.rows == inside.sum()


def test_subgroup_of_an_unknown_column_or_without_edges_is_refused(rng):
    predictions = make_predictions(rng)
    predictions = replace(predictions, attributes={"bmi": np.full(len(predictions), 25.0)})
    with pytest.raises(UsageError, match=r"no column 'site' .known: sex, bmi"):
        evaluate(predictions, replace(FEW, by=("site",)))
    with pytest.raises(UsageError, match="'bmi' is a number; give rising edges"):
        evaluate(predictions, replace(FEW, by=("bmi",)))


def test_photo_scored_twice_is_named(rng):
    predictions = make_predictions(rng)
    double = concatenate([predictions, predictions.select(predictions.split == "test")])
    with pytest.raises(UserError, match=r"scored more than once \([0-9a-f]{16}, [0-9a-f]{16}"):
        evaluate(double, FEW)


def test_metrics_of_an_older_version_are_read_and_of_a_newer_one_refused(rng):
    old = {"operating_points": [{"label": "cushing", "threshold": 0.5, "rule": "f1",
                                 "split": "validation", "model_revision": "m"}]}  # fmt: skip
    assert points_from_json(old)[0].sex == "all"
    with pytest.raises(UserError, match="schema version 99"):
        points_from_json(old | {"schema_version": 99})


def test_further_intervals_of_older_files_are_passed_over(rng):
    report = evaluate(make_predictions(rng), FEW)
    metrics = plain(report_to_json(report))
    for row in metrics["subgroups"]:
        for value in row["values"].values():
            value["others"] = {"bca": [0.1, 0.9]}
    read = report_from_json(metrics)
    assert read.labels == ["cushing"]
    assert read.find("cushing", "male").values == report.find("cushing", "male").values
    assert read.gaps_of("cushing")[6] == report.gaps_of("cushing")[6]


def test_undefined_is_null_in_json_and_not_zero(rng, tmp_path):
    predictions = make_predictions(rng, men=0)
    write_report(tmp_path, evaluate(predictions, FEW), predictions)
    rows = json.loads((tmp_path / "metrics.json").read_text())["subgroups"]
    male = next(row for row in rows if row["subgroup"] == "male")
    assert male["values"]["f1"]["estimate"] is None
    assert male["values"]["f1"]["reason"]


def test_validation_figures_say_that_they_are_too_good(rng):
    report = evaluate(make_predictions(rng), replace(FEW, split="validation"))
    assert "these figures are too good" in tables_to_markdown(report_tables(report))


def test_order_of_the_rows_does_not_matter(rng):
    predictions = make_predictions(rng)
    mixed = predictions.select(rng.permutation(len(predictions)))
    assert choose_operating_points(mixed) == choose_operating_points(predictions)
    first, second = (evaluate(p, FEW) for p in (predictions, mixed))
    values = [r.subgroups[0].values["auroc"].estimate for r in (first, second)]
    assert values[0] == values[1]


def test_faulty_predictions_are_refused(rng, tmp_path):
    predictions = make_predictions(rng)
    with pytest.raises(UserError, match="do not sum to 1"):
        replace(predictions, probabilities=predictions.probabilities * 0.5)
    with pytest.raises(UserError, match=r"photo 0{16} lie outside 0..1 \(240 of 240 photos\)"):
        replace(predictions, probabilities=np.array([[1.5, -0.5]] * len(predictions)))
    with pytest.raises(UserError, match="are not all numbers"):
        replace(predictions, probabilities=predictions.probabilities * np.nan)
    with pytest.raises(UserError, match="unknown sex x"):
        replace(predictions, sex=np.full(len(predictions), "x"))
    with pytest.raises(UserError, match="no rows of split 'train'"):
        predictions.of_split("train")
    with pytest.raises(UserError, match="different labels"):
        concatenate([predictions, make_predictions(rng, labels=("control", "acromegaly"))])
    (tmp_path / "x.parquet").write_text("no")
    with pytest.raises(UserError, match="can't be read as predictions"):
        load_predictions(tmp_path / "x.parquet")


def of_one_class(predictions, sex="male"):
    """The same, with none of that sex ill among the test photos."""
    healthy = (predictions.sex == sex) & (predictions.split == "test")
    return replace(predictions, label=np.where(healthy, "control", predictions.label))


def test_sex_without_positives_has_no_f1_and_no_precision_and_is_not_called_worse(rng):
    report = evaluate(of_one_class(make_predictions(rng)), FEW)
    row = report.find("cushing", "male")
    assert row.cells["fp"] > 0
    for metric, reason in (
        ("f1", "no positives"),
        ("precision", "no positives, or nobody is called positive"),
        ("recall", "no positives"),
    ):
        value = row.values[metric]
        assert math.isnan(value.estimate)
        assert math.isnan(value.low)
        assert value.reason == reason
    for gap in report.gaps:
        assert not gap.worse
    assert all(math.isnan(g.gap) and g.reason for g in report.gaps if g.metric == "f1")


def test_calibration_error_has_a_reference_or_is_left_out(rng):
    few = evaluate(make_predictions(rng), FEW).find("cushing", "all").values["ece"]
    assert math.isnan(few.estimate)
    assert few.reason.startswith("fewer than 200")
    value = evaluate(make_predictions(rng, n=600), FEW).find("cushing", "all").values["ece"]
    assert math.isnan(value.low)
    assert 0.02 < value.reference < 0.08
    assert f"(if calibrated {value.reference:.3f})" in format_value(value)


def test_reference_is_what_a_calibrated_model_shows(rng):
    predictions = make_predictions(rng, n=1200)
    score = rng.random(1200)
    true = np.where(rng.random(1200) < score, "cushing", "control")
    alone = replace(predictions, label=true, patient_id=predictions.photo_id,
                    probabilities=np.stack([1 - score, score], 1))  # fmt: skip
    value = evaluate(alone, FEW).find("cushing", "all").values["ece"]
    assert value.estimate == pytest.approx(value.reference, abs=0.025)


def test_gap_of_f1_that_prevalence_makes_is_not_beyond_it(rng):
    n = 4000
    women = np.arange(n) < n // 2
    sick = rng.random(n) < np.where(women, 0.6, 0.2)
    score = 1 / (1 + np.exp(-(rng.normal(size=n) + 2 * sick - 1)))
    predictions = replace(
        make_predictions(rng, n=n), patient_id=np.arange(n).astype(str),
        split=np.where(np.arange(n) % 4, "test", "validation"),
        label=np.where(sick, "cushing", "control"), sex=np.where(women, "female", "male"),
        probabilities=np.stack([1 - score, score], 1),
    )  # fmt: skip
    gaps = {gap.metric: gap for gap in evaluate(predictions, FEW).gaps}
    assert gaps["f1"].low > 0
    assert gaps["f1"].beyond_low < 0 < gaps["f1"].beyond_high
    assert gaps["f1"].beyond == pytest.approx(gaps["f1"].gap - gaps["f1"].expected)
    assert gaps["f1"].beyond_high - gaps["f1"].beyond_low < 0.12
    assert math.isnan(gaps["recall"].beyond)
    assert math.isnan(gaps["calibration_intercept"].p)


def test_primary_metric_stands_uncorrected_and_the_rest_is_called_secondary(rng):
    predictions = make_predictions(rng)
    for primary in ("auroc", "f1"):
        report = evaluate(predictions, replace(FEW, primary=primary))
        own = next(gap for gap in report.gaps if gap.metric == primary)
        assert own.p_holm == own.p
        text = tables_to_markdown(report_tables(report))
        assert f"{title_of(primary)} (primary)" in text
    with pytest.raises(UsageError, match="--primary auc: choose one of"):
        replace(FEW, primary="auc")


def test_pooled_folds_show_the_auroc_within_folds_too(rng):
    predictions = make_predictions(rng)
    assert "auroc_within" not in evaluate(predictions, FEW).find("cushing", "all").values
    folds = replace(predictions, model_revision=np.where(predictions.fold < 2, "a", "b"))
    report = evaluate(folds, FEW)
    values = report.find("cushing", "all").values
    assert (
        values["auroc_within"].low < values["auroc_within"].estimate < values["auroc_within"].high
    )
    assert values["auroc_within"].estimate != values["auroc"].estimate
    assert "AUROC within folds" in tables_to_markdown(report_tables(report))


def test_models_compared_keep_their_own_rule_unless_one_is_named(rng):
    first, second = make_predictions(rng), make_predictions(rng)
    second = replace(second, model_revision="other", **{
        name: getattr(first, name) for name in ("label", "sex", "patient_id")})  # fmt: skip
    options = replace(FEW, rule="youden", against_rule="sensitivity:0.9", margin=0.2)
    found = evaluate(first, options, against=second).comparisons[0]
    assert (found.first_rule, found.second_rule, found.margin) == ("youden", "sensitivity:0.9", 0.2)
    text = tables_to_markdown(report_tables(evaluate(first, options, against=second)))
    assert "Thresholds by youden (this) and sensitivity:0.9 (the other)" in text
    assert "±0.2" in text


def test_patients_of_the_mean_over_diseases_are_all_of_them(rng):
    report = evaluate(make_predictions(rng, labels=("control", "cushing", "acromegaly")), FEW)
    row = report.find("macro", "all")
    ill = sum(report.find(x, "all").positive_patients for x in ("cushing", "acromegaly"))
    assert (row.positive_patients, row.negative_patients) == (ill, row.patients - ill)


def test_perfect_model_has_no_interval_without_width(rng):
    predictions = make_predictions(rng, n=400)
    score = np.where(predictions.label == "cushing", 0.9, 0.1)
    perfect = replace(predictions, probabilities=np.stack([1 - score, score], 1))
    report = evaluate(perfect, FEW)
    for value in (v for row in report.subgroups for v in row.values.values()):
        assert not value.high - value.low < 1e-6
    assert report.find("cushing", "all").values["mcc"].reason.startswith("no interval: the same")
    assert report.find("cushing", "all").values["recall"].low > 0.9
    for gap in report.gaps:
        assert math.isnan(gap.low) or gap.high - gap.low > 1e-6
        assert math.isnan(gap.beyond_low)


def test_zero_is_shown_without_a_sign():
    assert interval_text(-0.001, -0.004, 0.002, 2) == "0.00 (0.00–0.00)"
    assert interval_text(0.1, -0.2, 0.3, 1) == "0.1 (-0.2 to 0.3)"
