import numpy as np
import pytest

from hf_cushing.training.sampling import CAP, photo_weights

LABELS = np.array(["control"] * 60 + ["cushing"] * 40)
SEXES = np.array(["male"] * 30 + ["female"] * 30 + ["male"] * 10 + ["female"] * 30)


def total(weights, mask):
    return weights[mask].sum()


def test_none_weighs_all_alike():
    assert (photo_weights(LABELS, SEXES, "none") == 1).all()


def test_class_makes_the_classes_count_alike():
    weights = photo_weights(LABELS, SEXES, "class")
    assert total(weights, LABELS == "control") == pytest.approx(total(weights, LABELS == "cushing"))


def test_class_sex_makes_the_four_groups_count_alike():
    weights = photo_weights(LABELS, SEXES, "class_sex")
    groups = [(c == LABELS) & (s == SEXES) for c in set(LABELS) for s in set(SEXES)]
    assert [total(weights, g) for g in groups] == pytest.approx([25] * 4, rel=1e-5)


def test_mean_is_one_and_a_rare_group_is_capped():
    labels = np.array(["control"] * 999 + ["cushing"])
    weights = photo_weights(labels, np.full(1000, "male"), "class")
    assert weights.mean() == pytest.approx(1, rel=1e-5)
    assert weights.max() / weights.min() == pytest.approx(CAP)
