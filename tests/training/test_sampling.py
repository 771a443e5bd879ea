import numpy as np
import pytest

from hf_cushing.training.sampling import CAP, PhotoOrder, photo_weights

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


def epoch_of(order, epoch):
    order.set_epoch(epoch)
    return list(order)


def test_order_holds_every_photo_and_fills_the_last_batch_with_the_first():
    order = PhotoOrder(10, seed=1, multiple=4)
    drawn = epoch_of(order, 0)
    assert len(drawn) == len(order) == 12
    assert sorted(drawn[:10]) == list(range(10))
    assert drawn[10:] == drawn[:2]


def test_order_depends_on_seed_and_epoch_alone():
    one, two = (PhotoOrder(50, seed=1, multiple=4) for _ in range(2))
    epoch_of(one, 7)
    assert epoch_of(one, 3) == epoch_of(two, 3)
    assert epoch_of(one, 3) != epoch_of(one, 4)
    assert epoch_of(one, 3) != epoch_of(PhotoOrder(50, seed=2, multiple=4), 3)


def test_more_photos_a_batch_than_there_are_still_make_a_whole_one():
    assert len(epoch_of(PhotoOrder(3, seed=0, multiple=8), 0)) == 8


def test_drawing_makes_groups_come_alike_up_to_the_cap():
    labels = np.repeat(["control", "cushing", "acromegaly"], [8000, 2000, 20])
    weights = photo_weights(labels, np.full(len(labels), "female"), "sample_class_sex")
    drawn = labels[epoch_of(PhotoOrder(len(labels), seed=0, multiple=1, weights=weights), 0)]
    counts = {word: int((drawn == word).sum()) for word in set(labels.tolist())}
    assert 0.93 < counts["control"] / counts["cushing"] < 1.07
    assert counts["acromegaly"] / counts["control"] == pytest.approx(20 * 10 / 8000, rel=0.4)
