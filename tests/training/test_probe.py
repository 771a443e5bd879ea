import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hf_cushing.schema import UserError
from hf_cushing.training.probe import C_VALUES, ProbeData, fit_probe, write_head


def cohort(classes=2, patients=60, features=12, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(patients) % classes, 2)
    rows = rng.normal(size=(2 * patients, features)) * 3 + 5
    rows[:, 0] += 2 * labels
    rows[:, 1] -= labels
    groups = np.repeat(np.arange(patients), 2)
    weights = rng.uniform(0.5, 2, len(labels))
    return ProbeData(rows.astype(np.float32), labels, weights / weights.mean(), labels, groups)


def log_odds(probe, rows):
    return rows @ probe.weight.T + probe.bias


@pytest.mark.parametrize(("classes", "features"), [(2, 12), (3, 12), (2, 300), (3, 300)])
def test_fit_is_that_of_scikit_learn_with_the_chosen_penalty(classes, features):
    data = cohort(classes, features=features)
    probe = fit_probe(data, seed=0)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=probe.chosen_c, tol=1e-8))
    model.fit(data.features, data.labels, logisticregression__sample_weight=data.weights)
    shares = torch.softmax(torch.from_numpy(log_odds(probe, data.features)), 1).numpy()
    assert np.allclose(shares, model.predict_proba(data.features), atol=2e-3)


def test_penalty_is_the_one_with_the_least_loss_in_cross_validation_by_patient():
    data = cohort(features=40)
    probe = fit_probe(data, seed=3)
    rows = StandardScaler().fit_transform(data.features.astype(float))
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=3)
    losses = []
    for strength in C_VALUES:
        shares = np.empty(len(rows))
        for fit, held in folds.split(rows, data.labels, data.groups):
            model = LogisticRegression(C=strength, max_iter=5000)
            model.fit(rows[fit], data.labels[fit], sample_weight=data.weights[fit])
            shares[held] = model.predict_proba(rows[held])[:, 1]
        losses.append(log_loss(data.labels, shares, sample_weight=data.weights))
    assert probe.chosen_c == C_VALUES[np.argmin(losses)]
    tried = dict(probe.tried)
    assert tried[probe.chosen_c] == pytest.approx(min(losses), rel=1e-3)
    assert len(tried) > 10


def test_weights_count():
    data = cohort()
    heavy = np.where(data.labels == 1, 10.0, 0.1)
    even = fit_probe(data, seed=0)
    skewed = fit_probe(
        ProbeData(data.features, data.labels, heavy, data.strata, data.groups), seed=0
    )
    called = [(log_odds(p, data.features).argmax(1) == 1).mean() for p in (even, skewed)]
    assert called[1] > called[0]


def test_same_seed_gives_the_same_bits():
    one, two = (fit_probe(cohort(), seed=1) for _ in range(2))
    assert np.array_equal(one.weight, two.weight)
    assert one.tried == two.tried


def test_too_few_patients_are_refused_with_the_way_out():
    data = cohort(patients=6)
    labels = (data.groups == 0).astype(int)
    lonely = ProbeData(data.features, labels, data.weights, labels, data.groups)
    with pytest.raises(UserError, match=r"a single training patient.*--head linear-sgd"):
        fit_probe(lonely, seed=0)


def test_unseen_features_of_the_head_get_no_weight():
    probe = fit_probe(cohort(features=4), seed=0)
    linear = torch.nn.Linear(6, 2)
    write_head(linear, probe)
    assert torch.count_nonzero(linear.weight[:, 4:]) == 0
    rows = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)
    expected = log_odds(probe, rows[:, :4])
    assert np.allclose(linear(torch.from_numpy(rows)).detach().numpy(), expected, atol=1e-4)


def test_flat_beginning_of_the_loss_does_not_end_the_search():
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    rows = rng.normal(size=(200, 60))
    rows[:, 0] *= 300  # a strong nuisance, and a weak sign beside it
    rows[:, 1] = 0.05 * (2 * labels - 1) + 0.0002 * rows[:, 0]
    data = ProbeData(rows, labels, np.ones(200), labels, np.arange(200))
    probe = fit_probe(data, seed=0)
    assert min(loss for _, loss in probe.tried) < 0.3
    assert probe.chosen_c > 1e-3


def test_strata_smaller_than_the_folds_do_not_stop_a_small_cohort():
    labels = np.array([0, 0, 0, 0, 1, 1, 1])
    sexes = np.array([0, 0, 1, 1, 0, 0, 1])
    rows = np.random.default_rng(0).normal(size=(7, 3)) + labels[:, None]
    data = ProbeData(rows, labels, np.ones(7), 3 * labels + sexes, np.arange(7))
    assert np.isfinite(fit_probe(data, seed=0).weight).all()


@pytest.mark.filterwarnings("error")
def test_search_that_stops_early_does_not_warn(monkeypatch):
    monkeypatch.setattr("hf_cushing.training.probe.SEARCH", (1e-9, 1))
    fit_probe(cohort(), seed=0)


@pytest.mark.filterwarnings("error:The least populated class")
def test_one_patient_of_unknown_sex_raises_no_warning():
    labels = np.repeat([0, 1], 4)
    rows = np.random.default_rng(0).normal(size=(8, 3)) + labels[:, None]
    strata = np.array([0, 0, 0, 0, 1, 1, 1, 2])
    fit_probe(ProbeData(rows, labels, np.ones(8), strata, np.arange(8)), seed=0)
