"""F1 of every subgroup after each evaluation of a `transformers.Trainer`, ours or any other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hf_cushing.evaluation.subgroup_metric import f1_by_group

if TYPE_CHECKING:
    from transformers import EvalPrediction

GAP = "gap"


def subgroup_f1_metrics(
    groups: Sequence[str], *, positive: int = 1, zero_division: float = math.nan
) -> Callable[[EvalPrediction], dict[str, float]]:
    """Make a function for ``Trainer(compute_metrics=...)``.

    Parameters
    ----------
    groups : sequence of str
        Subgroup of each row of the evaluation dataset, in its order; shape (n,).
    positive : int
        Class number of the disease; all other classes are negative.
    zero_division : float
        F1 where nobody is positive and nobody is called so: NaN, 0 or 1.

    Returns
    -------
    callable
        Gives ``f1``, ``f1_<group>`` for each group, and ``f1_gap``: the largest F1 of a group
        minus the smallest, NaN with fewer than two groups that have one. It takes logits, shape
        (n, classes), or class numbers, shape (n,), where `preprocess_logits_for_metrics` made
        them.

    Raises
    ------
    ValueError
        A group is missing or is called ``gap``; later, if the rows are not as many as the
        groups. A Trainer that orders evaluation by length mixes the rows up unnoticed.

    Examples
    --------
    >>> from transformers import EvalPrediction
    >>> metrics = subgroup_f1_metrics(["female", "female", "male", "male"])
    >>> logits = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    >>> values = metrics(EvalPrediction(logits, np.array([1, 0, 1, 0])))
    >>> {name: round(value, 2) for name, value in values.items()}
    {'f1': 0.8, 'f1_female': 1.0, 'f1_male': 0.67, 'f1_gap': 0.33}
    """
    names = _names(groups)
    if not (zero_division in (0, 1) or zero_division != zero_division):
        raise ValueError(f"zero_division={zero_division!r}: choose nan, 0 or 1")

    def compute(output: EvalPrediction) -> dict[str, float]:
        truth, called = (side == positive for side in _classes(output, len(groups)))
        whole, by_group, gap = f1_by_group(truth, called, names, zero_division=zero_division)
        values = {f"f1_{name}": value for name, value in by_group.items()}
        return {"f1": whole, **values, f"f1_{GAP}": gap}

    return compute


def _names(groups: Sequence[str]) -> np.ndarray:
    for row, name in enumerate(groups):
        if not isinstance(name, str) or name in ("", GAP):
            raise ValueError(
                f"groups[{row}] is {name!r}; name the subgroup by a word other than '{GAP}'"
            )
    return np.asarray(groups, dtype=str)


def _classes(output: EvalPrediction, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Class numbers of the truth and of the calls, shape (rows,) each."""
    truth, scores = (
        np.asarray(side[0] if isinstance(side, tuple) else side)  # a model may give more
        for side in (output.label_ids, output.predictions)
    )
    if scores.ndim == 2 and scores.shape[1] > 1:
        scores = scores.argmax(1)
    if not truth.shape == scores.shape == (rows,):
        raise ValueError(
            f"there are {rows} groups, labels of shape {truth.shape} and predictions of shape "
            f"{scores.shape}; give the group of each row of the evaluation dataset, and a model "
            "with a score for each class"
        )
    return truth, scores
