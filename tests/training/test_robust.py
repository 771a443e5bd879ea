import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from hf_cushing.schema import UserError
from hf_cushing.training.probe import ProbeData, fit_probe
from hf_cushing.training.robust import GroupWeights, fit_dfr, fit_group_dro

GROUPS = {(0, 0): 40, (1, 0): 160, (0, 1): 160, (1, 1): 20}
"""Photos by (class, sex): sex foretells the class, and sick men (1, 1) are rare."""


def rows(rng, groups=None):
    """A feature that shows the class, weakly, and one that shows the sex, clearly."""
    parts = [(np.full(n, label), np.full(n, sex)) for (label, sex), n in (groups or GROUPS).items()]
    labels, sexes = (np.concatenate(part) for part in zip(*parts, strict=True))
    features = np.column_stack([1.6 * labels, 6.0 * sexes]) + rng.normal(size=(len(labels), 2))
    strata = 3 * labels + sexes
    return ProbeData(
        features.astype(np.float32), labels, np.ones(len(labels)), strata, np.arange(len(labels))
    )


def worst_loss(probe, fresh):
    logits = fresh.features @ probe.weight.T + probe.bias
    losses = -log_softmax(logits, axis=1)[np.arange(len(fresh.labels)), fresh.labels]
    return max(losses[fresh.strata == group].mean() for group in np.unique(fresh.strata))


@pytest.mark.parametrize("fit", [fit_group_dro, fit_dfr])
def test_worst_group_fares_better_than_by_the_plain_fit(rng, fit):
    known, fresh = rows(rng), rows(rng, dict.fromkeys(GROUPS, 2000))
    plain, robust = (f(known, seed=0) for f in (fit_probe, fit))
    assert worst_loss(robust, fresh) < 0.75 * worst_loss(plain, fresh)


@pytest.fixture
def few_fits(monkeypatch):
    monkeypatch.setattr("hf_cushing.training.robust.FEWER_C_VALUES", (0.01, 1.0))


@pytest.mark.parametrize("fit", [fit_group_dro, fit_dfr])
def test_same_seed_gives_the_same_head(rng, few_fits, fit):
    known = rows(rng, dict.fromkeys(GROUPS, 12))
    one, two = (fit(known, seed=3) for _ in range(2))
    assert np.array_equal(one.weight, two.weight)


@pytest.mark.parametrize("fit", [fit_group_dro, fit_dfr])
def test_three_classes_have_three_rows(rng, few_fits, fit):
    groups = {(label, sex): 10 for label in range(3) for sex in range(2)}
    assert fit(rows(rng, groups), seed=0).weight.shape == (3, 2)


def test_dfr_refuses_a_group_that_is_all_but_missing(rng):
    with pytest.raises(UserError, match="fewer than 3 photos"):
        fit_dfr(rows(rng, GROUPS | {(1, 1): 2}), seed=0)
    without = {key: n for key, n in GROUPS.items() if key != (1, 1)}
    with pytest.raises(UserError, match="fewer than 3 photos"):
        fit_dfr(rows(rng, without), seed=0)


def test_group_with_the_higher_loss_gains_weight():
    weights = GroupWeights(np.repeat([0, 1], 50))
    losses = torch.tensor([0.1, 0.1, 2.0, 2.0])
    before = weights.loss(losses, torch.tensor([0, 1, 50, 51]), lambda tensor: tensor)
    for _ in range(200):
        after = weights.loss(losses, torch.tensor([0, 1, 50, 51]), lambda tensor: tensor)
    assert weights.shares[1] > 0.95
    assert weights.shares.sum() == pytest.approx(1)
    assert float(before) == pytest.approx(1.05, abs=0.02)
    assert float(after) > 1.8


def test_two_processes_weigh_as_one_does():
    losses, index = torch.tensor([0.1, 0.4, 2.0, 1.0]), torch.tensor([0, 1, 50, 2])
    groups = np.repeat([0, 1], 50)
    alone = GroupWeights(groups)
    expected = alone.loss(losses, index, lambda tensor: tensor)
    sums = torch.tensor([[1.5, 2.0], [3.0, 1.0]], dtype=torch.float64)

    def add(tensor):
        return sums if tensor.shape == sums.shape else tensor * 2

    both = [GroupWeights(groups) for _ in range(2)]
    parts = [w.loss(losses[s], index[s], add) for w, s in zip(both, (slice(2), slice(2, 4)),
                                                              strict=True)]  # fmt: skip
    assert float(sum(parts) / 2) == pytest.approx(float(expected))
    assert torch.equal(both[0].shares, both[1].shares)
    assert torch.allclose(both[0].shares, alone.shares)
