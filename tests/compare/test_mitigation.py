from dataclasses import replace

import numpy as np
import pytest

from hf_cushing.compare import command as study
from hf_cushing.compare.mitigation import compare_mitigations, mitigation_sentence
from hf_cushing.compare.plan import make_study
from hf_cushing.compare.results import collect
from hf_cushing.files import read_json
from hf_cushing.schema import UsageError

PLAN = {
    "models": ["tiny-vit"],
    "finetune": ["head"],
    "mitigation": ["none", "sampling", "reweighting", "sex_thresholds", "public_negatives"],
    "folds": 1,
    "seeds": [1],
    "options": {"init": "random", "cpu": True, "bootstrap": 100},
    "baselines": "none",
}


@pytest.fixture(scope="module")
def done(dataset, tmp_path_factory):
    """A finished study of methods against sex bias (read only)."""
    out = tmp_path_factory.mktemp("mitigation") / "out"
    plan = make_study(dict(PLAN), "here")
    return out, study.compare(plan, str(dataset), out, draws=100, say=lambda line: None)


@pytest.fixture(scope="module")
def arms(done):
    (result,) = collect(done[1].done, draws=100)
    return result.arms


def test_every_method_stands_beside_the_baseline(done):
    out, _ = done
    table = (out / "tables" / "mitigation_cushing_tiny-vit_head.csv").read_text()
    assert table.count("balanced accuracy,") == 3
    assert "reweighting" in table
    assert "sex_thresholds" in table
    page = (out / "study.html").read_text()
    assert page.count("no statement about the worse sex") == 2  # on top, and under the table
    assert list(out.glob("mitigation_cushing_0.png"))


def test_methods_that_can_not_be_had_are_left_out_with_the_reason(done):
    reasons = read_json(done[0] / "study.json")["left_out"]
    assert "no public controls" in reasons["tiny-vit, head, public_negatives"]
    assert "a probe draws no photos" in reasons["tiny-vit, head, sampling"]


def test_thresholds_per_sex_are_chosen_for_each_sex_and_change_no_ranking(done, arms):
    found = {arm.arm.treatment: arm.subgroups["all"].report.values for arm in arms}
    assert found["sex_thresholds"]["auroc"].estimate == found["none"]["auroc"].estimate
    points = {
        cell.arm.treatment: {point.sex: point.threshold for point in cell.run.operating_points}
        for cell in done[1].done
    }
    assert set(points["none"]) == {"all"}
    assert set(points["sex_thresholds"]) == {"all", "female", "male"}
    assert points["sex_thresholds"]["female"] != points["sex_thresholds"]["male"]


def moved(arm, treatment, change):
    """The same arm under another name, with all its figures of a sex moved."""
    groups = {}
    for name, found in arm.subgroups.items():
        step = change.get(name, 0.0)
        draws = {m: np.full(1000, 0.6 + step) for m in found.draws}
        values = {m: replace(v, estimate=0.6 + step) for m, v in found.report.values.items()}
        report = replace(found.report, values=values, positive_patients=40, negative_patients=40)
        groups[name] = replace(found, draws=draws, report=report)
    return replace(arm, arm=replace(arm.arm, treatment=treatment), subgroups=groups)


def test_verdicts_say_what_the_draws_support(arms):
    base = moved(arms[0], "none", {"female": 0.1})
    helped = moved(arms[0], "reweighting", {"male": 0.1, "female": 0.1, "all": -0.05})
    hurt = moved(arms[0], "dfr", {"male": -0.1, "female": 0.1})
    same = moved(arms[0], "group_dro", {"female": 0.3, "all": 0.1})
    rows = compare_mitigations([helped, hurt, base, same], "balanced_accuracy")
    assert {row.name: row.verdict for row in rows} == {
        "none": "baseline",
        "reweighting": "raises the worse sex, lowers all together",
        "dfr": "lowers the worse sex",
        "group_dro": "no change of the worse sex shown, raises all together",
    }
    assert rows[0].worst_sex == "male"
    sentence = mitigation_sentence("tiny-vit, head", rows)
    assert "the worse sex are the men, 0.60" in sentence
    assert "lowers the worse sex: dfr" in sentence


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mitigation": ["none", "magic"]}, "'magic' is not known; choose from none"),
        ({"mitigation": ["dfr"]}, "needs 'none' too"),
        ({"imbalance": ["class"]}, "two grids"),
    ],
)
def test_wrong_study_is_refused(change, message):
    with pytest.raises(UsageError, match=message):
        make_study(PLAN | change, "here")


def test_finished_study_can_be_read_back(done):
    assert study.read_plan(done[0]) == make_study(dict(PLAN), "here")
