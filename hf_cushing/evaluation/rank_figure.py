"""Mean ranks of several models over folds, with Friedman's and Nemenyi's tests and their figure."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtrc, fdtrc
from scipy.stats import rankdata, studentized_range

from hf_cushing.reports.style import new_figure, save
from hf_cushing.schema import UserError
from hf_cushing.stats.intervals import LEVEL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAN = math.nan

WIDTH, TOP, BAR = 4.6, 0.7, 0.13
"""Of the figure, in inches: the scale, the space above it, and from one bar to the next."""

EDGE = 0.04
"""How far names stand from the scale, as a share of its length."""

NAME = 40
"""Letters after which a name goes on in the next line."""


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """Mean ranks of models over folds; 1 is best.

    Attributes
    ----------
    mean_ranks : tuple of float
        1..models; tied models share the mean of their ranks.
    folds : int
        In which every model has a score.
    chi2, chi2_p : float
        Friedman's test, corrected for ties.
    f, f_p : float
        Iman and Davenport's, less cautious; infinite where all folds rank alike.
    critical_difference : float
        Mean ranks farther apart than this differ (Nemenyi, at 5 % for all pairs together).
    pairs : tuple of (int, int)
        Models that do, the better first.
    reason : str
        Why something is undefined.
    """

    mean_ranks: tuple[float, ...]
    folds: int
    chi2: float = NAN
    chi2_p: float = NAN
    f: float = NAN
    f_p: float = NAN
    critical_difference: float = NAN
    pairs: tuple[tuple[int, int], ...] = ()
    reason: str = ""


def friedman_nemenyi(scores: np.ndarray) -> Ranks:
    """Friedman's test of several models, and the difference that Nemenyi's test asks for.

    Demšar (2006, J Mach Learn Res 7:1), corrected for ties as in Conover (1999, Practical
    Nonparametric Statistics, section 5.8). The folds are taken for independent; those of one
    cross-validation share training photos, so that small p values are too small.

    Parameters
    ----------
    scores : numpy.ndarray
        float, shape (folds, models): higher is better. Folds with NaN are left out.

    Raises
    ------
    UserError
        Not a table of two or more models.

    Examples
    --------
    >>> ranks = friedman_nemenyi([[0.9, 0.8, 0.7], [0.8, 0.6, 0.7], [0.9, 0.6, 0.5]])
    >>> [round(rank, 2) for rank in ranks.mean_ranks], round(ranks.critical_difference, 2)
    ([1.0, 2.33, 2.67], 1.91)
    """
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or scores.shape[1] < 2:
        raise UserError(f"ranks need scores of shape (folds, 2 or more models), not {scores.shape}")
    complete = scores[~np.isnan(scores).any(axis=1)]
    folds, models = complete.shape
    if folds < 2:
        return Ranks(
            mean_ranks=(NAN,) * models,
            folds=folds,
            reason=f"{folds} folds have a score of every model; ranks need two or more",
        )
    ranks = rankdata(-complete, axis=1)
    mean = ranks.mean(axis=0)
    scale = math.sqrt(models * (models + 1) / (6 * folds))
    limit = float(studentized_range.ppf(LEVEL, models, np.inf)) / math.sqrt(2) * scale
    order = [int(model) for model in np.argsort(mean, kind="stable")]
    found = Ranks(
        mean_ranks=tuple(mean.tolist()),
        folds=folds,
        critical_difference=limit,
        pairs=tuple((a, b) for a, b in combinations(order, 2) if mean[b] - mean[a] > limit),
    )
    return _friedman(found, ranks)


def _friedman(found: Ranks, ranks: np.ndarray) -> Ranks:
    folds, models = ranks.shape
    centred = ranks - (models + 1) / 2
    if not centred.any():
        return replace(found, reason="all models have the same score in every fold")
    chi2 = (models - 1) * float(np.sum(centred.sum(axis=0) ** 2) / np.sum(centred**2))
    tested = replace(found, chi2=chi2, chi2_p=float(chdtrc(models - 1, chi2)))
    if (ranks == ranks[0]).all():
        ties = np.unique(ranks[0], return_counts=True)[1].tolist()
        orders = math.factorial(models) // math.prod(map(math.factorial, ties))
        return replace(tested, f=math.inf, f_p=orders ** (1.0 - folds))
    f = (folds - 1) * chi2 / (folds * (models - 1) - chi2)
    return replace(tested, f=f, f_p=float(fdtrc(models - 1, (models - 1) * (folds - 1), f)))


def plot_ranks(path: Path, ranks: Ranks, names: Sequence[str]) -> None:
    """Critical-difference diagram (Demšar 2006): bars join models that can't be told apart.

    Parameters
    ----------
    path : Path
        PNG to write.
    ranks : Ranks
    names : sequence of str
        Of the models, in the order of the columns of the scores.

    Raises
    ------
    UserError
        No ranks, or another number of names.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> ranks = friedman_nemenyi([[0.9, 0.8, 0.7], [0.8, 0.6, 0.7]])
    >>> with TemporaryDirectory() as folder:
    ...     plot_ranks(Path(folder, "ranks.png"), ranks, ["vit-b16", "swin-t", "resnet50"])
    """
    models = len(ranks.mean_ranks)
    if len(names) != models:
        raise UserError(f"{models} models have ranks, but {len(names)} names were given")
    if math.isnan(ranks.critical_difference):
        raise UserError(f"there are no ranks to draw: {ranks.reason}")
    order = np.argsort(ranks.mean_ranks, kind="stable")
    places = np.array(ranks.mean_ranks)[order]
    bars = _bars(places, ranks.critical_difference)
    labels = [textwrap.fill(f"{names[n]}  {ranks.mean_ranks[n]:.2f}", NAME) for n in order]
    line = 0.12 + 0.15 * max(label.count("\n") + 1 for label in labels)
    first = 0.2 + BAR * len(bars) + line / 2
    bottom = first + line * (math.ceil(models / 2) - 0.5) + 0.15
    axes = _empty_axes(models, bottom)
    _draw_scale(axes, models, ranks.critical_difference)
    for row, (start, end) in enumerate(bars):
        ends = [places[start] - 0.01 * models, places[end] + 0.01 * models]
        axes.plot(ends, [-0.2 - BAR * row] * 2, color="black", lw=4, solid_capstyle="butt")
    for row, (place, label) in enumerate(zip(places, labels, strict=True)):
        best = row < math.ceil(models / 2)
        depth = first + line * (row if best else models - 1 - row)
        _draw_name(axes, place, label, -depth, models, left=best)
    axes.text(0.5, -bottom, _caption(ranks), fontsize=8, color="0.25", ha="center", va="top",
              transform=axes.get_yaxis_transform())  # fmt: skip
    save(axes.figure, path)


def _bars(places: np.ndarray, limit: float) -> list[tuple[int, int]]:
    """The longest runs of neighbours in rank that don't differ: first and last of each."""
    last = np.searchsorted(places, places + limit, side="right") - 1
    longer = np.diff(last, prepend=-1) > 0
    return [(i, int(end)) for i, end in enumerate(last) if end > i and longer[i]]


def _empty_axes(models: int, bottom: float) -> Axes:
    """Ranks across, inches down from the scale; what lies outside is kept by `save`."""
    figure = new_figure(WIDTH, TOP + bottom)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    edge = EDGE * (models - 1)
    axes.set(xlim=(1 - edge, models + edge), ylim=(-bottom, TOP))
    return axes


def _draw_scale(axes: Axes, models: int, limit: float) -> None:
    """The ranks from best to worst, and the length of the critical difference above them."""
    axes.plot([1, models], [0, 0], color="black", lw=1.2)
    for rank in range(1, models + 1):
        axes.plot([rank, rank], [0, 0.07], color="black", lw=1.2)
        axes.text(rank, 0.1, str(rank), ha="center", va="bottom", fontsize=9)
    axes.plot([1, 1 + limit], [0.42, 0.42], color="black", lw=1.2, clip_on=False)
    for end in (1, 1 + limit):
        axes.plot([end, end], [0.37, 0.47], color="black", lw=1.2, clip_on=False)
    axes.text(1 + limit / 2, 0.5, f"critical difference {limit:.2f}", ha="center", fontsize=9)
    axes.text(1 - EDGE * (models - 1), 0, "best", ha="right", va="center", fontsize=9)
    axes.text(models + EDGE * (models - 1), 0, "worst", ha="left", va="center", fontsize=9)


def _draw_name(axes: Axes, place: float, label: str, y: float, models: int, *, left: bool) -> None:
    edge = 1 - EDGE * (models - 1) if left else models + EDGE * (models - 1)
    axes.plot([place, place, edge], [0, y, y], color="0.35", lw=0.9, solid_joinstyle="miter")
    axes.plot(place, 0, "o", color="black", ms=4, clip_on=False)
    axes.annotate(
        label, (edge, y), (-4 if left else 4, 0), textcoords="offset points", fontsize=9,
        ha="right" if left else "left", va="center",
    )  # fmt: skip


def _caption(ranks: Ranks) -> str:
    p = f"p {ranks.f_p:.3f}" if ranks.f_p >= 0.001 else "p < 0.001"
    friedman = f"Friedman's test in Iman and Davenport's form: {p}"
    return (
        f"mean ranks over {ranks.folds} folds; bars join models that Nemenyi's test (5 %) can't "
        f"tell apart\n{ranks.reason or friedman}"
    )
