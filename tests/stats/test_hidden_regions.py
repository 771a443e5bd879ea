import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from hf_cushing.stats.hidden_regions import NOTHING, excludes_zero, hidden_table
from hf_cushing.stats.region_shares import DIFFERENCE

NAMES = ["cheek", "chin"]


@pytest.fixture(scope="module")
def cohort():
    """The cheek carries the disease in women; the chin carries nothing."""
    rng = np.random.default_rng(0)
    truth = np.arange(160) % 2 == 0
    sexes = np.where(np.arange(160) < 80, "female", "male")
    cheek = np.where(truth & (sexes == "female"), 3.0, 0.0) + rng.normal(0, 0.3, 160)
    absent = np.stack([cheek, rng.normal(0, 0.3, 160)], 1)
    return {
        "absent": absent,
        "only": absent + rng.normal(0, 0.1, absent.shape),
        "log_odds": cheek + rng.normal(0, 1, 160),
        "truth": truth,
        "patients": np.arange(160) // 2 * 2 + truth,
        "sexes": sexes,
    }


def row_of(rows, region, measure, group):
    (row,) = [r for r in rows if (r.region, r.measure, r.group) == (region, measure, group)]
    return row


@pytest.fixture(scope="module")
def rows(cohort):
    return hidden_table(**cohort, names=NAMES, draws=300)


def test_estimates_are_those_of_plain_means_and_of_scikit_learn(cohort, rows):
    ill, women = cohort["truth"], cohort["sexes"] == "female"
    cheek = cohort["absent"][:, 0]
    expected = cheek[ill & women].mean() - cheek[~ill & women].mean()
    assert row_of(rows, "cheek", "separation", "female").estimate == pytest.approx(expected)
    without = roc_auc_score(ill, cohort["log_odds"] - cheek)
    whole = roc_auc_score(ill, cohort["log_odds"])
    assert row_of(rows, "cheek", "auroc_absent", "all").estimate == pytest.approx(without)
    assert row_of(rows, "cheek", "auroc_lost", "all").estimate == pytest.approx(whole - without)
    assert row_of(rows, NOTHING, "auroc", "all").estimate == pytest.approx(whole)
    alone = roc_auc_score(ill, cohort["only"][:, 1])
    assert row_of(rows, "chin", "auroc_only", "all").estimate == pytest.approx(alone)


def test_only_the_region_that_carries_the_disease_is_shown_to(rows):
    assert excludes_zero(row_of(rows, "cheek", "separation", "all"))
    assert excludes_zero(row_of(rows, "cheek", "separation", DIFFERENCE))
    assert not excludes_zero(row_of(rows, "chin", "separation", "all"))
    assert not excludes_zero(row_of(rows, "cheek", "separation", "male"))


def test_group_with_a_class_of_few_patients_has_no_interval(cohort):
    few = cohort | {"truth": cohort["truth"] & (np.arange(160) < 92)}
    rows = hidden_table(**few, names=NAMES, draws=50)
    row = row_of(rows, "cheek", "separation", "male")
    assert np.isnan(row.low)
    assert "insufficient" in row.reason
    assert not excludes_zero(row)


def test_photo_without_the_region_is_left_out_of_it_only(cohort):
    lacking = cohort["absent"].copy()
    lacking[:10, 1] = np.nan
    rows = hidden_table(**cohort | {"absent": lacking}, names=NAMES, draws=20)
    assert row_of(rows, "chin", "effect", "all").photos == 150
    assert row_of(rows, "cheek", "effect", "all").photos == 160


def test_shapes_that_do_not_fit_are_an_error(cohort):
    with pytest.raises(ValueError, match="160 × 3"):
        hidden_table(**cohort, names=["a", "b", "c"])
