import math
import sys
from pathlib import Path

import evaluate
import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import MetricFrame
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from hf_cushing.evaluation import intervals
from hf_cushing.evaluation.subgroup_f1 import app

FOLDER = Path(app.__file__).parent
AVERAGES = ("macro", "micro", "weighted")
SIX = {
    "predictions": [1, 1, 0, 1, 0, 0],
    "references": [1, 1, 0, 1, 1, 0],
    "groups": ["female", "female", "female", "male", "male", "male"],
}


def load(config=None, **options):
    return evaluate.load(str(FOLDER), config, **options)


METRIC = load(keep_in_memory=True)
MODULE = sys.modules[type(METRIC).__module__]


def columns(rows):
    references, predictions, groups = (list(column) for column in zip(*rows, strict=True))
    return {"references": references, "predictions": predictions, "groups": groups}


def tables(labels, groups=("female", "male", "unknown")):
    row = st.tuples(*(st.sampled_from(part) for part in (labels, labels, groups)))
    return st.lists(row, min_size=1, max_size=30).map(columns)


def drawn_table(rng, size, labels=2, groups=("female", "male")):
    """Random examples of which two thirds are called what they are."""
    references = rng.integers(labels, size=size)
    right = rng.random(size) < 2 / 3
    predictions = np.where(right, references, rng.integers(labels, size=size))
    rows = zip(references.tolist(), predictions.tolist(), rng.choice(groups, size), strict=True)
    return columns(rows)


zero_divisions = st.sampled_from([math.nan, 0, 1])


@settings(max_examples=1000, deadline=None)
@given(tables([0, 1]), zero_divisions)
def test_binary_f1_agrees_with_scikit_learn_and_fairlearn(table, zero_division):
    assume(1 in table["references"] + table["predictions"])
    found = METRIC._compute(**table, zero_division=zero_division)
    frame = MetricFrame(
        metrics=lambda y, p: f1_score(y, p, zero_division=zero_division),
        y_true=table["references"],
        y_pred=table["predictions"],
        sensitive_features=table["groups"],
    )
    by_group = frame.by_group.to_dict()
    assert found["f1"] == pytest.approx(frame.overall, abs=1e-12)
    assert {n: row["f1"] for n, row in found["by_group"].items()} == pytest.approx(
        by_group, abs=1e-12, nan_ok=True
    )
    known = {name: value for name, value in by_group.items() if not math.isnan(value)}
    if len(known) < 2:
        assert math.isnan(found["gap"])
        assert found["gap_reason"]
        assert found["worst_group"] is None
    else:
        assert found["gap"] == pytest.approx(max(known.values()) - min(known.values()))
        if found["worst_group"] is not None:
            assert known[found["worst_group"]] == min(known.values())


@settings(max_examples=1000, deadline=None)
@given(tables(["acromegaly", "control", "cushing"]), st.sampled_from(AVERAGES), zero_divisions)
def test_averages_agree_with_scikit_learn(table, average, zero_division):
    found = METRIC._compute(**table, average=average, zero_division=zero_division, intervals=False)
    truth, called, groups = (
        np.array(table[name]) for name in ("references", "predictions", "groups")
    )
    labels = sorted({*truth.tolist(), *called.tolist()})
    options = {"labels": labels, "average": average, "zero_division": zero_division}
    assert found["f1"] == pytest.approx(f1_score(truth, called, **options), abs=1e-12)
    for name, row in found["by_group"].items():
        inside = groups == name
        expected = f1_score(truth[inside], called[inside], **options)
        assert row["f1"] == pytest.approx(expected, abs=1e-12, nan_ok=True)
        assert row["n"] == inside.sum()


@settings(max_examples=1000, deadline=None)
@given(
    st.lists(st.integers(0, 60), min_size=8, max_size=8),
    st.floats(0.5, 0.999),
)
def test_binary_intervals_are_the_packages_wilson_and_difference(cells, level):
    kinds = [(1, 1), (1, 0), (0, 1), (0, 0)]
    rows = [
        (*kind, sex)
        for (sex, kind), count in zip(
            ((sex, kind) for sex in ("female", "male") for kind in kinds), cells, strict=True
        )
        for _ in range(count)
    ]
    ends = {}
    for sex, (hits, missed, false, _) in (("female", cells[:4]), ("male", cells[4:])):
        involved = hits + missed + false
        assume(involved)
        bounds = (hits / involved, *intervals.wilson(hits / involved, involved, level))
        ends[sex] = tuple(2 * x / (1 + x) for x in bounds)
    found = METRIC._compute(**columns(rows), level=level)
    for sex, row in found["by_group"].items():
        assert (row["f1"], row["low"], row["high"]) == pytest.approx(ends[sex], abs=1e-12)
        assert row["low"] <= row["f1"] + 1e-12
        assert row["f1"] <= row["high"] + 1e-12
    best, worst = sorted(ends.values(), reverse=True)
    expected = intervals.difference_interval(best, worst)
    if best[0] > worst[0]:
        assert (found["gap_low"], found["gap_high"]) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=1000, deadline=None)
@given(st.integers(0, 500), st.integers(0, 500), st.floats(0.01, 0.999))
def test_repeated_interval_functions_equal_the_packages(hits, misses, level):
    count = hits + misses
    share = hits / count if count else math.nan
    ours, theirs = (f(share, count, level) for f in (MODULE.wilson, intervals.wilson))
    assert ours == pytest.approx(theirs, nan_ok=True)
    sides = (share, *ours), (0.3, 0.1, 0.6)
    assert MODULE.difference_interval(*sides) == pytest.approx(
        intervals.difference_interval(*sides), nan_ok=True
    )


def test_binary_interval_covers_the_true_f1_as_often_as_it_says(rng):
    """Of 1000 samples with sensitivity 0.8, specificity 0.9 and one positive in two."""
    expected = 2 * 0.4 / (2 * 0.4 + 0.1 + 0.05)
    covered = 0
    for _ in range(1000):
        truth = rng.random(80) < 0.5
        called = rng.random(80) < np.where(truth, 0.8, 0.1)
        table = columns(zip(truth.astype(int), called.astype(int), ["all"] * 80, strict=True))
        row = METRIC._compute(**table)["by_group"]["all"]
        covered += row["low"] <= expected <= row["high"]
    assert 0.93 <= covered / 1000 <= 0.97


def brute_force(table, patients, average, rng, draws=1500):
    """F1 of draws of patients with the same labels within each group, by group."""
    frame = pd.DataFrame(table | {"patients": patients})
    labels = sorted({*table["references"], *table["predictions"]})
    found = {}
    for name, part in frame.groupby("groups"):
        rows_of = {who: one for who, one in part.groupby("patients")}
        kinds = {}
        for who, one in rows_of.items():
            kinds.setdefault(tuple(sorted(set(one["references"]))), []).append(who)
        values = []
        for _ in range(draws):
            chosen = [w for kind in kinds.values() for w in rng.choice(kind, len(kind))]
            pairs = np.concatenate(
                [rows_of[w][["references", "predictions"]].to_numpy() for w in chosen]
            )
            per_label = [
                2 * np.sum((pairs == label).all(1)) / np.sum(pairs == label)
                for label in labels
                if (pairs == label).any()
            ]
            support = [np.sum(pairs[:, 0] == x) for x in labels if (pairs == x).any()]
            weights = support if average == "weighted" else None
            values.append(np.average(per_label, weights=weights))
        found[name] = np.array(values)
    return found


@pytest.mark.parametrize(("average", "photos"), [("macro", 1), ("weighted", 3)])
def test_bootstrap_agrees_with_drawing_patients_one_by_one(average, photos, rng):
    table = drawn_table(rng, 80, labels=3)
    patients = np.arange(80) if photos == 1 else rng.integers(80 // photos, size=80) * 2
    patients = patients + (np.array(table["groups"]) == "male")  # nobody is in two groups
    found = METRIC.compute(
        **table, patients=patients.tolist(), average=average, draws=20_000, intervals=True
    )
    if photos == 1:
        assert found == METRIC.compute(**table, average=average, draws=20_000)
    drawn = brute_force(table, patients, average, rng)
    for name, row in found["by_group"].items():
        low, high = np.quantile(drawn[name], [0.025, 0.975])
        if row["size"] != "insufficient":
            assert (row["low"], row["high"]) == pytest.approx((low, high), abs=0.03)
    sizes = {row["size"] for row in found["by_group"].values()}
    if "insufficient" not in sizes:
        best, worst = sorted(found["by_group"], key=lambda n: -found["by_group"][n]["f1"])
        ends = np.quantile(drawn[best] - drawn[worst], [0.025, 0.975])
        assert (found["gap_low"], found["gap_high"]) == pytest.approx(tuple(ends), abs=0.04)
    assert sizes != {"insufficient"}
