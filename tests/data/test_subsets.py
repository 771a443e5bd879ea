from collections import Counter

import numpy as np
import pytest

from hf_cushing.data.loading import class_words, load_faces
from hf_cushing.data.subsets import (
    HELD_OUT,
    with_held_out,
    with_matched_sexes,
    with_public_controls,
    with_share,
)
from hf_cushing.schema import NO_FOLD, UserError


@pytest.fixture(scope="module")
def data(dataset):
    return load_faces(str(dataset))


def as_public(data, sex):
    """Controls of one sex among the training photos turned into public ones."""
    train = data.roles["train"]
    fold = np.array(train["fold"])
    marked = (class_words(train, "label") == "control") & (class_words(train, "sex") == sex)
    train = train.remove_columns("fold").add_column("fold", np.where(marked, NO_FOLD, fold))
    roles = data.roles | {"train": train}
    return type(data)(roles, data.labels, data.revision, data.folds), int(marked.sum())


def test_matched_subset_has_as_many_women_as_men_of_each_class(data):
    train = with_matched_sexes(data, seed=0).roles["train"]
    people = set(
        zip(
            train["patient_id"], class_words(train, "label"), class_words(train, "sex"), strict=True
        )
    )
    counts = Counter(who[1:] for who in people)
    for label in data.labels:
        assert counts[label, "female"] == counts[label, "male"] > 0


def test_matched_subset_follows_its_seed(data):
    one, two, other = (
        with_matched_sexes(data, seed).roles["train"]["photo_id"][:] for seed in (0, 0, 1)
    )
    assert one == two != other


def test_matched_subset_refuses_a_class_of_one_sex(data):
    train = data.roles["train"]
    sexes, labels = class_words(train, "sex"), class_words(train, "label")
    kept = [i for i in range(len(train)) if (labels[i], sexes[i]) != ("cushing", "male")]
    roles = data.roles | {"train": train.select(kept)}
    with pytest.raises(UserError, match="'cushing' are of one sex"):
        with_matched_sexes(type(data)(roles, data.labels, data.revision, data.folds), 0)


def test_held_out_patients_do_not_train(data):
    roles = with_held_out(data, seed=0).roles
    kept, held = (set(roles[role]["patient_id"]) for role in ("train", HELD_OUT))
    assert kept.isdisjoint(held)
    assert kept | held == set(data.roles["train"]["patient_id"])
    assert set(class_words(roles[HELD_OUT], "label")) == set(data.labels)
    assert 0.2 < len(roles[HELD_OUT]) / len(data.roles["train"]) < 0.47


def test_public_controls_are_left_out_or_stay(data):
    marked, count = as_public(data, "male")
    whole = len(data.roles["train"])
    assert len(with_public_controls(marked, "all").roles["train"]) == whole
    assert len(with_public_controls(marked, "none").roles["train"]) == whole - count


def test_public_controls_of_the_rarer_sex_alone_stay(data):
    men, count = as_public(data, "male")  # men are rarer in the cohort, so these stay
    assert len(with_public_controls(men, "rarer_sex").roles["train"]) == len(data.roles["train"])
    assert count


def test_no_public_controls_of_the_rarer_sex_is_said(data):
    with pytest.raises(UserError, match="no public controls of sex male"):
        with_public_controls(data, "rarer_sex")


def test_smaller_shares_of_the_patients_lie_within_larger_ones_and_keep_the_mix(data):
    def kept(share, seed=0):
        roles = with_share(data, share, seed).roles
        assert roles["test"] is data.roles["test"]
        train = roles["train"]
        who = zip(train["patient_id"][:], class_words(train, "label"), class_words(train, "sex"),
                  strict=True)  # fmt: skip
        return {tuple(map(str, row)) for row in who}

    quarter, half, whole = (kept(share) for share in (0.25, 0.5, 1.0))
    assert quarter < half < whole
    assert kept(0.5) == half != kept(0.5, seed=1)
    for stratum in {row[1:] for row in whole}:
        everybody, own = (sum(row[1:] == stratum for row in rows) for rows in (whole, half))
        assert own == -(-everybody // 2)
    photos = set(with_share(data, 0.5, 0).roles["train"]["patient_id"])
    assert photos == {row[0] for row in half}
