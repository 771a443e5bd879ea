import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from hf_cushing.data.probes import _auroc, one_hot, probe


def cohort(rng, patients=150, photos=2, labels=("control", "cushing")):
    person = np.repeat(np.arange(patients), photos)
    label = np.repeat(rng.choice(labels, patients), photos)
    sex = np.repeat(rng.choice(["female", "male"], patients), photos)
    return {"labels": label, "patients": person, "sexes": sex}


def test_auroc_of_weighted_photos_is_that_of_repeated_photos(rng):
    scores = rng.integers(0, 6, 40).astype(float)
    positive = rng.random(40) < 0.4
    weights = rng.integers(0, 4, (5, 40))
    values = _auroc(scores, positive, np.zeros(40, int), weights)
    for value, weight in zip(values, weights, strict=True):
        again = roc_auc_score(np.repeat(positive, weight), np.repeat(scores, weight))
        assert value == pytest.approx(again)


def test_auroc_compares_photos_of_one_fold_only(rng):
    positive = np.array([False, True, False, True])
    scores, fold = np.array([0.0, 1.0, 10.0, 11.0]), np.array([0, 0, 1, 1])
    assert _auroc(scores, positive, fold, np.ones((1, 4), int))[0] == 1.0


@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_site_that_goes_with_the_label_is_raised(rng, strength):
    common = cohort(rng)
    own = rng.random(len(common["labels"])) < strength
    site = np.where(own, np.where(common["labels"] == "control", "A", "B"), "C")
    result = probe("site", one_hot(site), kind="shortcut", **common)
    assert result.raised
    assert 0.75 < result.low <= result.auroc <= result.high <= 1


def test_noise_is_not_raised_and_its_interval_mostly_holds_one_half():
    """The bootstrap does not fit anew, so the interval covers 85 to 92 % instead of 95 %."""
    hits = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        common = cohort(rng)
        result = probe("noise", rng.normal(size=(300, 3)), kind="shortcut", **common)
        assert not result.raised
        hits += result.low <= 0.5 <= result.high
    assert hits >= 15


def test_a_mark_of_the_person_is_no_mark_of_the_label(rng):
    """Photos of one patient share their wall; split by photo, it would tell the label."""
    common = cohort(rng, patients=40, photos=8)
    wall = np.repeat(rng.normal(size=(40, 30)), 8, axis=0)
    assert not probe("background", wall, kind="shortcut", **common).raised


def test_three_labels_are_probed_together(rng):
    common = cohort(rng, labels=("control", "cushing", "acromegaly"))
    site = np.where(common["labels"] == "acromegaly", "B", "A")
    result = probe("site", one_hot(site), kind="shortcut", **common)
    assert result.raised
    assert result.auroc < 1


def test_what_never_varies_or_has_too_few_patients_is_undefined_with_a_reason(rng):
    common = cohort(rng)
    same = probe("site", one_hot(np.full(300, "A")), kind="shortcut", **common)
    assert np.isnan(same.auroc)
    assert "the same for all photos" in same.reason
    few = {"labels": np.array(["control"] * 30 + ["cushing"] * 9), "patients": np.arange(39)}
    result = probe("x", rng.normal(size=(39, 1)), kind="shortcut", sexes=few["labels"], **few)
    assert result.reason == "insufficient: 9 patients with 'cushing'"
    assert not result.raised
