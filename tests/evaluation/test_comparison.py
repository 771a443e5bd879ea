import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
from scipy.stats import norm
from sklearn import metrics as sk

from hf_cushing.evaluation.comparison import compare_models
from hf_cushing.evaluation.operating_points import OperatingPoint
from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.evaluation.tables import _comparison_table
from hf_cushing.files import plain
from hf_cushing.schema import UserError
from hf_cushing.stats.intervals import clustered_ratio, wilson
from hf_cushing.stats.metrics import METRICS
from hf_cushing.stats.resampling import Patients
from hf_cushing.stats.significance import holm, mcnemar, tost


def make_pair(seed=0, n=240, skill=(1.5, 1.5), shared=0.7, photos=2, men=0.4):
    """Two models' test predictions of n photos, `photos` a patient, in different orders."""
    rng = np.random.default_rng(seed)
    patients = np.arange(n) // photos
    sick = (rng.random(n // photos + 1) < 0.4)[patients]
    common = rng.normal(size=n) * shared
    models = []
    for name, strength in zip("ab", skill, strict=True):
        score = 1 / (
            1 + np.exp(-(common + rng.normal(size=n) * (1 - shared) + strength * (sick - 0.5)))
        )
        models.append(
            Predictions(
                photo_id=np.array([f"photo{i:05d}" for i in range(n)]),
                patient_id=np.array([f"P{p}" for p in patients]),
                label=np.where(sick, "cushing", "control"),
                sex=np.where(rng.random(n // photos + 1) < men, "male", "female")[patients],
                split=np.full(n, "test"),
                fold=patients % 5,
                seed=np.zeros(n, int),
                probabilities=np.stack([1 - score, score], 1),
                labels=("control", "cushing"),
                model_revision=name,
                dataset_revision="d",
            )
        )
    return models[0], replace(models[1], sex=models[0].sex).select(rng.permutation(n))


def point(model, threshold=0.5):
    return [
        OperatingPoint(
            label="cushing",
            threshold=threshold,
            rule="f1",
            split="validation",
            model_revision=model,
        )
    ]


def compare(first, second, **more):
    more = {"draws": 200, "points": (point("a"), point("b", 0.4))} | more
    return compare_models(first, second, label="cushing", **more)


def same(found, expected):
    """Equal in words and numbers, NaN being equal to itself."""
    return json.dumps(plain(asdict(found))) == json.dumps(plain(asdict(expected)))


def in_order(predictions):
    return predictions.select(np.argsort(predictions.photo_id))


def test_differences_are_those_of_scikit_learn():
    first, second = make_pair()
    found = compare(first, second)
    assert list(found.differences) == list(METRICS)
    values = {name: [] for name in ("accuracy", "f1", "auroc", "brier", "recall")}
    for model, threshold in ((first, 0.5), (second, 0.4)):
        truth, score = model.label == "cushing", model.score("cushing")
        called = score >= threshold
        values["accuracy"].append(sk.accuracy_score(truth, called))
        values["f1"].append(sk.f1_score(truth, called))
        values["auroc"].append(sk.roc_auc_score(truth, score))
        values["brier"].append(sk.brier_score_loss(truth, score))
        values["recall"].append(sk.recall_score(truth, called))
    for name, (one, two) in values.items():
        each = found.differences[name]
        assert (each.first, each.second) == pytest.approx((one, two))
        assert each.difference == pytest.approx(one - two)


def test_interval_is_that_of_the_same_draws_for_both_models():
    first, second = (in_order(model) for model in make_pair())
    found = compare(first, second, draws=150).differences["f1"]
    who = Patients(first.patient_id, first.label)
    truth, gaps = first.label == "cushing", []
    for weights in who.draws(150, np.random.default_rng(0)):
        one, two = (
            sk.f1_score(truth, model.score("cushing") >= limit, sample_weight=weights)
            for model, limit in ((first, 0.5), (second, 0.4))
        )
        gaps.append(one - two)
    for level, ends in (
        (0.95, (found.low, found.high)),
        (0.9, (found.inner_low, found.inner_high)),
    ):
        tails = (1 - who.level(level)) / 2
        assert ends == pytest.approx(np.quantile(gaps, [tails, 1 - tails]))
    assert found.error == pytest.approx(np.std(gaps, ddof=1))
    assert found.method == "bootstrap"
    assert found.equivalence_p == pytest.approx(tost(found.difference, found.error, 0.05))


def test_auroc_difference_is_delongs_paired_test_by_all_pairs():
    first, second = (in_order(model) for model in make_pair(photos=1, n=150, skill=(1.5, 1.0)))
    truth, means, rows, columns = first.label == "cushing", [], [], []
    for model in (first, second):
        x, y = model.score("cushing")[truth], model.score("cushing")[~truth]
        kernel = (x[:, None] > y) + 0.5 * (x[:, None] == y)
        means.append(kernel.mean())
        rows.append(kernel.mean(1))
        columns.append(kernel.mean(0))
    covariance = np.cov(rows) / truth.sum() + np.cov(columns) / (~truth).sum()
    error = math.sqrt(np.array([1, -1]) @ covariance @ np.array([1, -1]))
    z = (means[0] - means[1]) / error
    found = compare(first, second).differences["auroc"]
    assert (found.method, found.error) == ("delong", pytest.approx(error))
    assert (found.z, found.p) == pytest.approx((z, 2 * norm.sf(abs(z))))
    half = 1.959964 * error
    assert (found.low, found.high) == pytest.approx(
        (found.difference - half, found.difference + half)
    )


def test_order_of_rows_does_not_matter(rng):
    first, second = make_pair()
    assert same(compare(first.select(rng.permutation(240)), second), compare(first, second))


def test_exchanging_the_models_turns_every_sign():
    first, second = make_pair(skill=(2.5, 1.0))
    forth = compare(first, second)
    back = compare(second, first, points=(point("b", 0.4), point("a")))
    turned = {"first better": "second better", "second better": "first better"}
    assert "first better" in {each.verdict for each in forth.differences.values()}
    for metric, each in forth.differences.items():
        other = back.differences[metric]
        assert other.verdict == turned.get(each.verdict, each.verdict)
        assert (other.low, other.high) == pytest.approx((-each.high, -each.low), nan_ok=True)
    assert (forth.by_patient.first_only, forth.by_patient.p) == (
        back.by_patient.second_only, pytest.approx(back.by_patient.p)
    )  # fmt: skip


def test_mcnemar_is_that_of_the_calls_by_photo_and_by_patient():
    first, second = (in_order(model) for model in make_pair(skill=(2.5, 0.5)))
    truth = first.label == "cushing"
    right = [(m.score("cushing") >= t) == truth for m, t in ((first, 0.5), (second, 0.4))]
    found = compare(first, second)
    assert found.by_photo == mcnemar(*right)
    assert found.by_patient == mcnemar(*right, first.patient_id)
    assert found.by_patient.p != found.by_photo.p


@pytest.mark.parametrize("primary", ["auroc", "f1"])
def test_primary_metric_stands_uncorrected_and_holm_counts_all_others(primary):
    found = compare(*make_pair(skill=(2.5, 1.0)), primary=primary)
    rest = [d for d in found.differences.values() if d.metric != primary]
    assert [d.p_holm for d in rest] == pytest.approx(holm(d.p for d in rest), nan_ok=True)
    assert any(d.p_holm > d.p for d in rest)
    assert found.differences[primary].p_holm == found.differences[primary].p


def few_discordant(discordant=4, n=10):
    """Two models on n women with and n without; one more right on some of those without."""
    sick = np.arange(2 * n) < n
    sex = np.where(np.arange(2 * n) < 2 * n - discordant, "female", "male")  # a stratum of its own
    first, second = np.where(sick, 0.9, 0.1), np.where(sick, 0.9, 0.1)
    second = np.where(sex == "male", 0.9, second)
    base = make_pair(n=2 * n, photos=1)[0]
    return [
        replace(
            base, label=np.where(sick, "cushing", "control"), sex=sex, model_revision=name,
            probabilities=np.stack([1 - score, score], 1),
        )
        for name, score in (("a", first), ("b", second))
    ]  # fmt: skip


def test_four_discordant_of_ten_show_no_difference_though_all_are_men():
    found = compare(*few_discordant(), points=(point("a"), point("b")), draws=2000)
    each = found.differences["specificity"]
    assert (each.difference, each.method) == (pytest.approx(0.4), "paired wilson")
    assert each.p == pytest.approx(0.125, abs=0.03)  # McNemar's exact test
    assert found.by_patient.p == pytest.approx(0.125)
    assert each.verdict == "undecided"


def test_six_discordant_of_ten_show_one():
    found = compare(*few_discordant(6), points=(point("a"), point("b")), draws=2000)
    each = found.differences["specificity"]
    assert each.verdict == "first better"
    assert each.p == pytest.approx(0.03125, abs=0.012)


def test_paired_interval_of_shares_is_newcombes_method_10():
    """His example (1998, Stat Med 17:2635, table III): 36, 12, 2, 0 of 50 pairs, without the
    correction of the correlation for continuity."""
    base = few_discordant(n=50)[0]
    both, one, other = 36, 12, 2
    calls = [np.arange(50) < both + one, (np.arange(50) < both) | (np.arange(50) >= both + one)]
    calls[1] &= np.arange(50) < both + one + other
    models = []
    for name, right in zip("ab", calls, strict=True):
        score = np.concatenate([np.where(right, 0.9, 0.1), np.full(50, 0.1)])
        models.append(replace(base, model_revision=name, sex=np.full(100, "female"),
                              probabilities=np.stack([1 - score, score], 1)))  # fmt: skip
    each = compare(*models, points=(point("a"), point("b"))).differences["recall"]
    phi = (36 * 0 - 12 * 2) / math.sqrt(48 * 2 * 38 * 12)
    shares = [(p, *wilson(p, n)) for p, n in zip((0.96, 0.76), effective(models), strict=True)]
    (a, al, ah), (b, bl, bh) = shares
    low = a - b - math.sqrt((a - al) ** 2 + (bh - b) ** 2 - 2 * phi * (a - al) * (bh - b))
    high = a - b + math.sqrt((ah - a) ** 2 + (b - bl) ** 2 - 2 * phi * (ah - a) * (b - bl))
    assert (each.low, each.high) == (pytest.approx(low), pytest.approx(high))
    assert (each.low, each.high) == (
        pytest.approx(0.0569, abs=0.01),
        pytest.approx(0.3404, abs=0.02),
    )


def effective(models):
    who = Patients(models[0].patient_id, models[0].label)
    sick = models[0].label == "cushing"
    return [
        clustered_ratio(sick & (m.score("cushing") >= 0.5), sick, who).effective for m in models
    ]


def test_lower_is_better_for_errors():
    found = compare(*make_pair(skill=(3.0, 0.0), n=400)).differences
    assert found["brier"].difference < 0
    assert found["brier"].verdict == found["auroc"].verdict == "first better"


def test_metric_without_a_goal_has_no_better_model():
    first, second = make_pair(n=400)
    found = compare(first, second, points=(point("a", 0.1), point("b", 0.9)))
    each = found.differences["selection_rate"]
    assert each.low > 0
    assert (each.verdict, each.reason) == ("undecided", "neither direction is better")


def test_alike_models_are_equivalent_only_in_a_large_sample():
    large = compare(*make_pair(n=3000, shared=0.97), points=(point("a"), point("b")))
    small = compare(*make_pair(n=100, shared=0.5), points=(point("a"), point("b")))
    for metric in ("auroc", "f1", "accuracy"):
        each = large.differences[metric]
        assert each.equivalent
        assert each.equivalence_p < 0.05
        assert -0.05 < each.inner_low <= each.difference <= each.inner_high < 0.05
        assert not small.differences[metric].equivalent


def test_margin_decides_what_is_equivalent():
    first, second = make_pair(n=1000, shared=0.9)
    narrow, wide = (compare(first, second, margin=m).differences["f1"] for m in (0.001, 0.5))
    assert not narrow.equivalent
    assert wide.equivalent
    assert wide.equivalence_p < narrow.equivalence_p
    with pytest.raises(UserError, match="margin"):
        compare(first, second, margin=0)


def test_agreement_of_few_patients_is_no_proof_of_equivalence():
    first, _ = make_pair(n=60)
    twin = replace(first, model_revision="b")
    found = compare(first, twin, points=(point("a"), point("b")))
    each = found.differences["f1"]
    assert (each.difference, each.method, each.verdict) == (0, "none seen", "undecided")
    assert each.low < -0.2
    assert math.isnan(each.p)
    loss = found.differences["log_loss"]
    assert (loss.verdict, loss.reason) == ("undecided", "no interval: the models agree here")
    assert math.isnan(loss.low)


def test_agreement_of_many_patients_is():
    first, _ = make_pair(n=1200, photos=1)
    score, sick = first.score("cushing"), first.label == "cushing"
    twin, cut = replace(first, model_revision="b"), float(np.quantile(score, 0.85))
    found = compare(first, twin, points=(point("a", cut), point("b", cut)), draws=50)
    each, called = found.differences["f1"], score >= cut
    assert (each.method, each.verdict) == ("none seen", "equivalent")
    assert called.sum() < min(sick.sum(), (~sick).sum())
    assert (1 - each.inner_high / 2) ** called.sum() == pytest.approx(0.05)


def test_few_patients_of_a_class_leave_everything_undecided():
    first, second = make_pair(n=24)
    found = compare(first, second)
    assert found.size == "insufficient"
    for each in found.differences.values():
        assert each.verdict == "undecided"
        assert math.isnan(each.low)
        assert each.reason
    assert found.differences["f1"].reason.startswith("no interval: fewer than")


def test_undefined_metric_is_nan_with_its_reason():
    first, second = make_pair()
    each = compare(first, second, points=(point("a", 1.0), point("b"))).differences["precision"]
    assert math.isnan(each.difference)
    assert (each.verdict, each.reason) == (
        "undecided",
        "undefined: no positives, or nobody is called positive",
    )


def test_metric_undefined_in_many_draws_has_no_interval():
    first, second = (in_order(model) for model in make_pair())
    top = np.sort(first.score("cushing"))[-2:].mean()  # one photo reaches it
    each = compare(first, second, points=(point("a", top), point("b"))).differences["precision"]
    assert math.isfinite(each.difference)
    assert math.isnan(each.low)
    assert each.reason == "no interval: undefined in too many draws"


def test_comparison_becomes_plain_json():
    found = plain(asdict(compare(*make_pair())))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["first_model"] == "a"
    assert found["second_model"] == "b"


def changed(predictions, column, rows, value):
    values = getattr(predictions, column).astype("U12")
    values[rows] = value
    return replace(predictions, **{column: values})


def test_photos_of_one_model_only_are_refused_by_name():
    first, second = make_pair()
    short = second.select(second.photo_id != "photo00007")
    with pytest.raises(
        UserError, match=r"missing from the second model \(1: photo00007\)"
    ) as error:
        compare(first, short)
    assert "evaluate both models on the same test photos" in str(error.value)
    with pytest.raises(UserError, match=r"missing from the first model \(239: .*photo00002, …\)"):
        compare(first.select(first.photo_id > "photo00238"), second)


def test_photo_scored_twice_is_refused_by_name():
    first, second = make_pair()
    twice = first.select(np.append(np.arange(240), 5))
    for pair, which in (((twice, second), "first"), ((second, twice), "second")):
        points = tuple(point(model.model_revision[0]) for model in pair)
        fault = rf"more than once by the {which} model \(1: photo00005\); compare one run"
        with pytest.raises(UserError, match=fault):
            compare(*pair, points=points)


@pytest.mark.parametrize(
    ("column", "value"), [("label", "cushing"), ("patient_id", "X"), ("sex", "unknown")]
)
def test_photos_that_the_models_know_otherwise_are_refused_by_name(column, value):
    first, second = (in_order(model) for model in make_pair())
    rows = np.flatnonzero(getattr(second, column) != value)[:5]
    fault = (
        rf"another {column} by the second model \(5: {first.photo_id[rows[0]]}, .*, …\); evaluate"
    )
    with pytest.raises(UserError, match=fault):
        compare(first, changed(second, column, rows, value))


def test_unknown_disease_and_empty_split_are_refused():
    first, second = make_pair()
    with pytest.raises(UserError, match=r"first model has no disease 'gout' \(it has: cushing\)"):
        compare_models(first, second, label="gout", points=(point("a"), point("b")))
    with pytest.raises(UserError, match="no rows of split 'train'"):
        compare(first, second, split="train")


def test_net_benefit_at_other_thresholds_is_not_compared():
    benefits = [
        compare(*make_pair(), points=(point("a"), point("b", at))).differences["net_benefit"]
        for at in (0.5, 0.4)
    ]
    assert math.isfinite(benefits[0].difference)
    assert math.isnan(benefits[1].difference)
    assert math.isnan(benefits[1].p)
    assert benefits[1].verdict == "undecided"
    assert "other thresholds" in benefits[1].reason


def test_calibration_errors_of_few_photos_are_not_compared():
    few = compare(*make_pair(n=120)).differences["ece"]
    assert "fewer than 200" in few.reason
    assert math.isnan(few.p)
    assert few.verdict == "undecided"


def test_comparison_table_counts_photos_and_says_when_no_test_is_possible():
    first, _ = make_pair()
    same_calls = compare(first, replace(first, model_revision="b"), points=(point("a"), point("b")))
    assert _comparison_table(same_calls).notes[-1] == (
        "Photos on which this model alone is right: 0; the other alone: 0. No test: the models are "
        "right equally often on every patient."
    )
    other = _comparison_table(compare(*make_pair(skill=(4.0, 0.5))))
    assert "McNemar's test with the models swapped within patients" in other.notes[-1]
    assert "this better" in {line[-1] for line in other.body}
