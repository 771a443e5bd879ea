"""The formula of F1: the one that `subgroup_f1`, reports, bootstrap draws and thresholds share.

It lies here since a metric's folder must be complete for `evaluate.load`, and imports numpy alone.
"""

import numpy as np


def f1_score(hits: np.ndarray | float, involved: np.ndarray | float) -> np.ndarray:
    """F1 = 2 TP / (2 TP + FP + FN); NaN where nobody is positive or called so.

    With the Jaccard index J for `hits` and 1 for `involved` it is 2 J / (1 + J), so that an
    interval of J gives one of F1.

    Parameters
    ----------
    hits : numpy.ndarray or float
        True positives: counts, weights or shares of any shape.
    involved : numpy.ndarray or float
        True positives, false positives and false negatives together.

    Examples
    --------
    >>> float(f1_score(6, 8)), float(f1_score(6 / 8, 1))
    (0.8571428571428571, 0.8571428571428571)
    """
    both = np.add(hits, involved)
    return np.where(both > 0, 2 * np.asarray(hits) / np.where(both > 0, both, 1), np.nan)
