import json

import pytest

from hf_cushing.cli import main
from hf_cushing.evaluation.options import PlanOptions
from hf_cushing.evaluation.planning import make_plan, observed, plan_sentences, plan_table
from hf_cushing.evaluation.report import evaluate, write_report
from hf_cushing.schema import UsageError
from tests.evaluation.test_report import FEW, make_predictions


def test_plan_answers_first_how_many_women_and_men():
    first, second = plan_sentences(make_plan(PlanOptions()))
    assert first.startswith("You need 138 women and 138 men with the disease, and 138 women and")
    assert "552 patients who are tested" in first
    assert "63 of each sex with the disease" in second


def test_photos_of_one_patient_count_less_than_as_many_patients():
    one, three = (make_plan(PlanOptions(photos=m)).patients("with") for m in (1, 3))
    assert one / 3 < three < one
    assert make_plan(PlanOptions(photos=3, icc=1.0)).patients("with") == one


def test_other_way_round_a_number_of_patients_shows_what_it_can():
    plan = make_plan(PlanOptions(patients=138))
    assert plan.goals[0].gap == pytest.approx(0.15, abs=0.001)
    assert "from this size on: recall 0.15" in plan_sentences(plan)[0]
    few = make_plan(PlanOptions(patients=3))
    assert "none" in {line[-1] for line in plan_table(few).body}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"width": 0}, "--width 0"),
        ({"auroc": 0.5}, "--auroc 0.5: give a share above 0.5"),
        ({"icc": 2}, "--icc 2"),
        ({"photos": 0.5}, "--photos 0.5: give 1 or more"),
        ({"auroc": 0.6}, "AUROC is expected at 0.6"),
    ],
)
def test_values_that_make_no_plan_are_refused(values, words):
    with pytest.raises(UsageError, match=words):
        make_plan(PlanOptions(**values))


def test_plan_from_a_report_expects_what_it_found(rng, tmp_path, monkeypatch, capsys):
    predictions = make_predictions(rng)
    report = evaluate(predictions, FEW)
    options = observed(report, PlanOptions(specificity=0.9))
    row = report.find("cushing", "all")
    assert options.sensitivity == row.values["recall"].estimate
    assert (options.specificity, options.photos) == (0.9, row.rows / row.patients)
    write_report(tmp_path, report, predictions)
    arguments = ["hf-cushing", "plan", "--from", str(tmp_path), "--gap", "0.1", "--json"]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit):
        main()
    found = json.loads(capsys.readouterr().out)
    assert found["options"]["auroc"] == pytest.approx(row.values["auroc"].estimate)
    assert found["patients_per_sex"]["with"] > 100
