"""F1 by subgroup, for epochs and reports: what `subgroup_f1`, loaded by `evaluate`, computes."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).with_name("subgroup_f1")


def subgroup_f1_path() -> str:
    """Path of the packaged metric, for ``evaluate.load``; needs no network.

    >>> import evaluate, hf_cushing
    >>> metric = evaluate.load(hf_cushing.subgroup_f1_path())
    >>> metric.name
    'subgroup_f1'
    """
    return str(FOLDER)


@cache
def load_metric() -> Any:
    """The metric of the installed package, by `evaluate.load`; needs no network."""
    import evaluate

    return evaluate.load(subgroup_f1_path(), keep_in_memory=True)


def f1_by_group(
    truth: np.ndarray, called: np.ndarray, groups: np.ndarray, *, zero_division: float = math.nan
) -> tuple[float, dict[str, float], float]:
    """F1 of all, of each group, and the largest of a group minus the smallest.

    Parameters
    ----------
    truth, called : numpy.ndarray
        bool, shape (n,): has the disease; is called so.
    groups : numpy.ndarray
        Words, shape (n,).
    zero_division : float
        F1 where nobody is positive and nobody is called so: NaN, 0 or 1.
    """
    if not (truth | called).any():
        names = np.unique(groups).tolist()
        known = len(names) > 1 and not math.isnan(zero_division)
        gap = 0.0 if known else math.nan
        return float(zero_division), dict.fromkeys(names, float(zero_division)), gap
    found = load_metric().compute(
        predictions=called.astype(int).tolist(),
        references=truth.astype(int).tolist(),
        groups=groups.tolist(),
        zero_division=zero_division,
        intervals=False,
    )
    by_group = {name: row["f1"] for name, row in found["by_group"].items()}
    return found["f1"], by_group, found["gap"]
