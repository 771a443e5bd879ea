import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr
from sklearn.metrics import jaccard_score, roc_auc_score

from hf_cushing.stats.intervals import TOO_FEW
from hf_cushing.stats.region_agreement import mask_agreement, rank_agreement
from hf_cushing.stats.region_shares import region_table, shortcut_alarm

NAMES = ("eye_right", "eye_left", "nose", "outside")
DRAWS = 400


def cohort(rng, people=40, outside=0.3):
    patients = np.repeat([f"P{n:03d}" for n in range(people)], 2)
    sexes = np.where(np.arange(2 * people) % 4 < 2, "female", "male")
    classes = np.where(np.arange(2 * people) % 8 < 4, "control", "cushing")
    mean = np.array([0.4, 0.2, 0.1, 0.3])
    mean = np.where(np.arange(4) == 3, outside, mean / 0.7 * (1 - outside))
    values = rng.dirichlet(mean * 50, 2 * people)
    return values, {"patients": patients, "sexes": sexes, "classes": classes, "names": NAMES}


def pick(table, region, measure, group="all"):
    (row,) = [r for r in table if (r.region, r.measure, r.group) == (region, measure, group)]
    return row


def test_shares_density_and_asymmetry(rng):
    values, who = cohort(rng)
    area = np.tile([10, 10, 20, 60], (len(values), 1))
    sign = rng.choice([-3.0, 3.0], values.shape)  # neither sign nor scale matters
    table = region_table(values * sign, area, **who, draws=DRAWS)
    women = who["sexes"] == "female"
    for n, name in enumerate(NAMES):
        row = pick(table, name, "share", "female")
        assert row.estimate == pytest.approx(values[women, n].mean(), rel=1e-5)
        assert row.low < row.estimate < row.high
        assert (row.patients, row.photos) == (20, 40)
        assert pick(table, name, "density").estimate == pytest.approx(
            values[:, n].mean() / (area[0, n] / 100), rel=1e-5
        )
    gap = pick(table, "nose", "share", "female − male")
    assert gap.estimate == pytest.approx(values[women, 2].mean() - values[~women, 2].mean())
    right, left = values[:, :2].mean(0)
    row = pick(table, "eye", "asymmetry")
    assert row.estimate == pytest.approx((right - left) / (right + left), rel=1e-5)


def test_interval_has_the_width_of_the_clustered_standard_error(rng):
    values, who = cohort(rng, people=200)
    values = np.repeat(values[::2], 2, axis=0)  # both photos of a patient alike
    row = pick(region_table(values, np.ones((400, 4)), **who, draws=2000), "nose", "share")
    error = values[::2, 2].std(ddof=1) / np.sqrt(200)
    assert (row.high - row.low) / 2 == pytest.approx(1.97 * error, rel=0.12)


def test_few_patients_have_no_interval_and_a_missing_region_is_not_zero(rng):
    values, who = cohort(rng, people=18)
    values[:, 0] = np.nan
    values[0] = 0  # a photo without attribution is left out
    area = np.ones(values.shape)
    table = region_table(values, area, **who, draws=50)
    row = pick(table, "nose", "share", "male")
    assert row.reason == TOO_FEW
    assert np.isnan([row.low, row.high]).all()
    assert row.estimate > 0
    gone = pick(table, "eye_right", "share")
    assert np.isnan(gone.estimate)
    assert gone.reason
    assert pick(table, "nose", "share").photos == 35
    with pytest.raises(ValueError, match="4"):
        region_table(values[:, :3], area, **who)


def test_alarm_rings_only_for_a_sure_shortcut(rng):
    area = np.tile([10, 10, 20, 60], (80, 1))
    values, who = cohort(rng, outside=0.3)
    assert shortcut_alarm(region_table(values, area, **who, draws=DRAWS)) == ""
    values, who = cohort(rng, outside=0.8)
    text = shortcut_alarm(region_table(values, area, **who, draws=DRAWS))
    assert "Possible shortcut (female): 8" in text
    assert "times what its area would" in text
    assert "−" not in text


def test_ranks_agree_with_scipy(rng):
    machine, human = rng.random((30, 6)), rng.integers(0, 4, (30, 6)).astype(float)
    human[:, 0], human[:, 1] = 5, 0
    human[3] = 0  # nothing marked: no order
    patients = np.repeat(np.arange(15), 2).astype(str)
    rows = rank_agreement(machine, human, patients, draws=DRAWS)
    kept = np.arange(30) != 3
    shares = [v[kept] / v[kept].sum(1, keepdims=True) for v in (machine, human)]
    for name, by_hand in (("spearman", spearmanr), ("kendall", kendalltau)):
        photo, whole = [row for row in rows if row.measure == name]
        each = [by_hand(a, b)[0] for a, b in zip(machine[kept], human[kept], strict=True)]
        assert photo.estimate == pytest.approx(np.mean(each))
        assert whole.estimate == pytest.approx(by_hand(shares[0].mean(0), shares[1].mean(0))[0])
        assert photo.low < photo.estimate < photo.high
        assert (photo.level, whole.level, photo.photos) == ("photo", "cohort", 29)
    few = rank_agreement(machine[:6], human[:6], patients[:6], draws=20)
    assert all(row.reason == TOO_FEW and np.isnan(row.low) for row in few)
    none = rank_agreement(machine, np.ones_like(human), patients, draws=20)
    assert all(np.isnan(row.estimate) and row.reason for row in none)
    with pytest.raises(ValueError, match="0 or more"):
        rank_agreement(-machine, human, patients)


def test_heat_against_mask(rng):
    heat, mask = rng.random((20, 30)), rng.random((20, 30)) < 0.2
    found = mask_agreement(heat, mask)
    top = heat >= np.sort(heat.ravel())[-mask.sum()]
    assert found.iou == pytest.approx(jaccard_score(mask.ravel(), top.ravel()))
    coarse = np.round(heat, 1)
    ties = mask_agreement(coarse, mask)
    assert ties.auroc == pytest.approx(roc_auc_score(mask.ravel(), coarse.ravel()))
    assert found.hit == mask.ravel()[heat.argmax()]
    assert found.area == mask.mean()
    flat = mask_agreement(np.zeros((20, 30)), mask)
    assert (flat.auroc, flat.hit) == (0.5, pytest.approx(mask.mean()))
    assert mask_agreement(np.where(mask, 1, heat - 1), mask).iou == 1
    nothing = mask_agreement(heat, np.zeros_like(mask))
    assert np.isnan([nothing.iou, nothing.auroc, nothing.hit]).all()
    assert "empty" in nothing.reason
    with pytest.raises(ValueError, match="shape"):
        mask_agreement(heat, mask[:5])
