"""Several readers judge the same photos: with and without the model, and against it.

The analysis is that of Obuchowski and Rockette (1995, Commun Stat Simul 24:285) with the degrees
of freedom of Hillis (2007, Stat Med 26:596). With covariances by jackknife it gives the same F
and p as the pseudovalues of Dorfman, Berbaum and Metz (1992, Invest Radiol 27:723) in the form
that Hillis, Berbaum and Metz gave them (2008, Acad Radiol 15:647); unlike these it also takes
other covariances, here DeLong's. The design is fully crossed: each reader judges each case in
each modality.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy.special import chdtrc, expit, fdtrc, logit, ndtr, ndtri, stdtr, stdtrit

from hf_cushing.schema import UserError
from hf_cushing.stats.intervals import LEVEL
from hf_cushing.stats.reader_scores import (
    FixedCovariances,
    ReaderScores,
    averaged,
    figures_of_rows,
    reader_figures,
)
from hf_cushing.stats.significance import holm

NAN = math.nan

RANDOM = "random readers, random cases"
FIXED_READERS = "fixed readers, random cases"
FIXED_CASES = "random readers, fixed cases"
ANALYSES = (RANDOM, FIXED_READERS, FIXED_CASES)
"""Whom the result is about: other readers and patients (the main one), only these readers, or
only these patients."""

NO_SPREAD = 1e-14
"""Variances below this are rounding."""


@dataclass(frozen=True)
class Estimate:
    """A mean over readers, or a difference, in one of the `ANALYSES`; NaN where undefined.

    Attributes
    ----------
    estimate, error, df, low, high : float
        With its standard error, degrees of freedom (infinite: normal) and interval.
    p : float
        Two-sided, of 0.
    reason : str
        Why there is no error.
    """

    estimate: float
    error: float = NAN
    df: float = NAN
    low: float = NAN
    high: float = NAN
    p: float = NAN
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """One of the `ANALYSES` of several modalities.

    Attributes
    ----------
    f, df1, df2, p : float
        Global test that no modality differs; infinite `df2` is a chi-square test.
    differences : dict
        ``(first, second)`` to `Estimate` of the first modality minus the second.
    p_holm : dict
        Likewise to p adjusted for there being several pairs.
    reason : str
        Why there is no test.
    """

    f: float
    df1: float
    df2: float
    p: float
    differences: dict[tuple[str, str], Estimate]
    p_holm: dict[tuple[str, str], float]
    reason: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class MrmcComparison:
    """Modalities compared.

    Attributes
    ----------
    figures : numpy.ndarray
        Shape (readers, modalities).
    means : dict
        Modality to the mean over readers.
    covariances : FixedCovariances
    analyses : dict
        Name in `ANALYSES` to `Analysis`.
    """

    figures: np.ndarray
    means: dict[str, float]
    covariances: FixedCovariances
    analyses: dict[str, Analysis]


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelComparison:
    """Readers against the model alone.

    Attributes
    ----------
    figures : numpy.ndarray
        Shape (readers,).
    reader_mean, model : float
    analyses : dict
        Name in `ANALYSES` to `Estimate` of the readers' mean minus the model.
    """

    figures: np.ndarray
    reader_mean: float
    model: float
    analyses: dict[str, Estimate]


def compare_modalities(
    scores: ReaderScores, metric: str = "auroc", *, method: str = "delong"
) -> MrmcComparison:
    """Compare the modalities, such as reading alone and reading with the model.

    Parameters
    ----------
    metric, method : str
        See `reader_figures`.

    Examples
    --------
    >>> ratings = np.array([[[1, 2, 3, 4], [1, 2, 4, 3]], [[1, 3, 2, 4], [1, 2, 3, 4]]])
    >>> scores = ReaderScores(ratings=ratings, truth=np.array([False, False, True, True]))
    >>> found = compare_modalities(scores)
    >>> found.means, found.analyses[RANDOM].df1
    ({'1': 0.875, '2': 1.0}, 1)
    """
    if len(scores.modalities) < 2:
        raise UserError("a comparison needs at least two modalities, found one")
    table, covariance = reader_figures(scores, metric, method=method)
    fixed, names = averaged(covariance), scores.modalities
    return MrmcComparison(
        figures=table,
        means=dict(zip(names, table.mean(0).tolist(), strict=True)),
        covariances=fixed,
        analyses={name: _analyse(table, fixed, names, name) for name in ANALYSES},
    )


def _analyse(
    table: np.ndarray, fixed: FixedCovariances, names: tuple[str, ...], analysis: str
) -> Analysis:
    readers, modalities = table.shape
    means = table.mean(0)
    rest = table - means - table.mean(1, keepdims=True) + table.mean()
    free = (readers - 1) * (modalities - 1)
    term, df2 = _term(
        spread=float((rest**2).sum()) / free if free else NAN,
        free=free,
        shared=fixed.cov2 - fixed.cov3,
        alone=fixed.var - fixed.cov1,
        readers=readers,
        analysis=analysis,
    )
    differences = {
        (names[a], names[b]): _estimate(float(means[a] - means[b]), 2 / readers * term, df2)
        for a, b in combinations(range(modalities), 2)
    }
    p_values = holm(d.p for d in differences.values()).tolist()
    reason = next(iter(differences.values())).reason
    f, df1 = NAN if reason else readers * float(means.var(ddof=1)) / term, modalities - 1
    return Analysis(
        f=f,
        df1=df1,
        df2=NAN if reason else df2,
        p=float(chdtrc(df1, df1 * f) if math.isinf(df2) else fdtrc(df1, df2, f)),
        differences=differences,
        p_holm=dict(zip(differences, p_values, strict=True)),
        reason=reason,
    )


def _term(
    *, spread: float, free: int, shared: float, alone: float, readers: int, analysis: str
) -> tuple[float, float]:
    """What one reader adds to the variance of a mean, and its degrees of freedom.

    `spread` is a mean square with `free` degrees of freedom, `shared` the covariance of two
    readers, `alone` the variance that fixed readers have by themselves.
    """
    shared = max(0.0, shared)  # 0 also for NaN: where there is only one reader
    if analysis == FIXED_READERS:
        return alone + (readers - 1) * shared, math.inf
    if analysis == FIXED_CASES or not free:
        return spread, free
    term = spread + readers * shared
    return term, free * (term / spread) ** 2 if spread > NO_SPREAD else math.inf


def _estimate(value: float, variance: float, df: float) -> Estimate:
    if not df or not variance > NO_SPREAD:
        reason = "no spread is seen" if df else "one reader only"
        return Estimate(value, reason=reason)
    error, tail = math.sqrt(variance), 0.5 + LEVEL / 2
    half = error * float(ndtri(tail) if math.isinf(df) else stdtrit(df, tail))
    far = -abs(value) / error
    p = 2 * float(ndtr(far) if math.isinf(df) else stdtr(df, far))
    return Estimate(value, error, df, value - half, value + half, p)


def mean_estimate(
    figures: np.ndarray, covariance: np.ndarray, *, analysis: str = RANDOM
) -> Estimate:
    """Mean over readers with its error, by Hillis's single-modality form of the analysis.

    Parameters
    ----------
    figures : numpy.ndarray
        float, shape (readers,).
    covariance : numpy.ndarray
        float, shape (readers, readers): for fixed readers.
    """
    if analysis not in ANALYSES:
        raise UserError(f"expected one of {ANALYSES}, found {analysis!r}")
    readers = len(figures)
    fixed = averaged(covariance[:, None, :, None])
    term, df = _term(
        spread=float(figures.var(ddof=1)) if readers > 1 else NAN,
        free=readers - 1,
        shared=fixed.cov2,
        alone=fixed.var,
        readers=readers,
        analysis=analysis,
    )
    return _estimate(float(figures.mean()), term / readers, df)


def reader_average(
    scores: ReaderScores,
    modality: str,
    metric: str = "auroc",
    *,
    analysis: str = RANDOM,
) -> Estimate:
    """Mean figure of the readers in one modality; only that modality's data enter.

    Its interval lies on the scale of the log-odds, which holds the truth more often near 1 than
    that of the figure (`mean_estimate`), which other programs give. The p value is left out: 0 is
    no hypothesis.
    """
    table, covariance = reader_figures(scores, metric)
    place = _place(scores, modality)
    mean = mean_estimate(table[:, place], covariance[:, place, :, place], analysis=analysis)
    low, high = np.clip([mean.low, mean.high], 0, 1).tolist()
    if 0 < mean.estimate < 1:
        half = (mean.high - mean.estimate) / (mean.estimate * (1 - mean.estimate))
        low, high = expit(logit(mean.estimate) + np.array([-half, half])).tolist()
    return replace(mean, low=low, high=high, p=NAN)


def _place(scores: ReaderScores, modality: str) -> int:
    if modality not in scores.modalities:
        raise UserError(f"modality {modality!r}: expected one of {scores.modalities}")
    return scores.modalities.index(modality)


def compare_with_model(
    scores: ReaderScores,
    model_score: np.ndarray,
    metric: str = "auroc",
    *,
    modality: str | None = None,
) -> ModelComparison:
    """Readers' mean minus the figure of the model alone, on the same cases.

    Each reader's difference from the model is taken for a figure of merit of one modality, whose
    covariances hold the model's own error (Chakraborty 2017, Observer Performance Methods for
    Diagnostic Imaging, chapter 22). The model is fixed: it is not drawn from other models.

    Parameters
    ----------
    model_score : numpy.ndarray
        float, shape (cases,): scores, or calls (0 or 1) for metrics other than AUROC.
    modality : str, optional
        Of the readers; needed if there are several.
    """
    model_score = np.asarray(model_score, dtype=np.float64)
    if model_score.shape != scores.truth.shape or np.isnan(model_score).any():
        raise UserError(f"the model needs one score for each of the {len(scores.truth)} cases")
    if modality is None and len(scores.modalities) > 1:
        raise UserError(f"say which modality, one of {scores.modalities}")
    place = 0 if modality is None else _place(scores, modality)
    rows = np.vstack([scores.ratings[:, place], model_score])
    values, covariance = figures_of_rows(rows, scores, metric=metric)
    contrast = np.hstack([np.eye(len(values) - 1), -np.ones((len(values) - 1, 1))])
    differences, between = contrast @ values, contrast @ covariance @ contrast.T
    return ModelComparison(
        figures=values[:-1],
        reader_mean=float(values[:-1].mean()),
        model=float(values[-1]),
        analyses={name: mean_estimate(differences, between, analysis=name) for name in ANALYSES},
    )
