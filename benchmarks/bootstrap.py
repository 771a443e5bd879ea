"""Bootstrap of all metrics for all, women and men: ours against fairlearn's own.

    python benchmarks/bootstrap.py [--photos 1000] [--draws 2000] [--fairlearn-draws 60]

Ours draws patients and gives 19 metrics of three groups with their intervals. fairlearn's
`MetricFrame` draws rows and gives the 12 of them that scikit-learn has, overall and by group; its
time is measured for fewer draws and scaled.
"""

import argparse
import time
import warnings
from collections.abc import Callable

import numpy as np
from fairlearn.metrics import MetricFrame
from sklearn import metrics as sk

from hf_cushing.evaluation.grouping import subgroup_masks
from hf_cushing.evaluation.operating_points import OperatingPoint
from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.evaluation.subgroups import make_sample, report_subgroups
from hf_cushing.stats.metrics import METRICS


def photos(count: int) -> Predictions:
    """Photos of half as many patients, with scores that tell something."""
    rng = np.random.default_rng(0)
    patients = np.arange(count) // 2
    sick = (rng.random(count) < 0.4)[patients]
    score = 1 / (1 + np.exp(-(rng.normal(size=count) + 1.5 * sick - 0.75)))
    return Predictions(
        photo_id=np.array([f"{i:016x}" for i in range(count)]),
        patient_id=patients.astype(str),
        label=np.where(sick, "cushing", "control"),
        sex=np.where((rng.random(count) < 0.6)[patients], "female", "male"),
        split=np.full(count, "test"),
        fold=np.zeros(count, int),
        seed=np.zeros(count, int),
        probabilities=np.stack([1 - score, score], 1),
        labels=("control", "cushing"),
        model_revision="m",
        dataset_revision="d",
    )


def ours(rows: Predictions, draws: int) -> float:
    """Seconds."""
    point = OperatingPoint(
        label="cushing", threshold=0.5, rule="f1", split="validation", model_revision="m"
    )
    started = time.perf_counter()
    sample = make_sample(rows, "photo", draws=draws)
    report_subgroups(sample, "cushing", [point], subgroup_masks(sample.rows))
    return time.perf_counter() - started


def fairlearn(rows: Predictions, draws: int) -> tuple[float, int]:
    """Seconds, and the number of metrics."""
    truth, score = rows.label == "cushing", rows.score("cushing")
    called = {
        name: getattr(sk, name)
        for name in ("accuracy_score", "balanced_accuracy_score", "precision_score",
                     "recall_score", "f1_score", "matthews_corrcoef")
    }  # fmt: skip
    called["specificity"] = lambda t, p: sk.recall_score(t, p, pos_label=False)
    called["npv"] = lambda t, p: sk.precision_score(t, p, pos_label=False)
    scored = {
        name: _of_scores(getattr(sk, name))
        for name in ("roc_auc_score", "average_precision_score", "brier_score_loss", "log_loss")
    }
    started = time.perf_counter()
    MetricFrame(
        metrics=called | scored,
        y_true=truth,
        y_pred=score >= 0.5,
        sensitive_features=rows.sex,
        sample_params={name: {"score": score} for name in scored},
        n_boot=draws,
        ci_quantiles=[0.025, 0.975],
        random_state=0,
    )
    return time.perf_counter() - started, len(called | scored)


def _of_scores(metric: Callable[..., float]) -> Callable[..., float]:
    """A metric that looks at the scores instead of the calls."""
    return lambda truth, called, score: metric(truth, score)


def main() -> None:
    """Measure both and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--fairlearn-draws", type=int, default=60)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = photos(options.photos)
    ours(rows, 10)
    seconds = min(ours(rows, options.draws) for _ in range(3))
    short, count = fairlearn(rows, options.fairlearn_draws)
    other = short * options.draws / options.fairlearn_draws
    print(f"{options.photos} photos, {options.draws} draws, three groups")
    print(f"ours: {seconds:.2f} s for {len(METRICS)} metrics")
    print(
        f"fairlearn: {other:.0f} s for {count} metrics ({short:.1f} s for "
        f"{options.fairlearn_draws} draws): ours is {other / seconds:.0f} times as fast"
    )


if __name__ == "__main__":
    main()
