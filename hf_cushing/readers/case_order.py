"""Which photos a reader study shows, and in what order: balanced, with repeats far apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from hf_cushing.schema import SEXES, UserError

ATTEMPTS = 200
"""Orders drawn until one has room for all repeats; more than a few are needed in tiny kits only."""

NOUNS = {"female": "women", "male": "men"}


def proportional_counts(total: int, sizes: Sequence[float]) -> np.ndarray:
    """Share out a total in proportion to sizes, by largest remainder; int, shape of `sizes`.

    Examples
    --------
    >>> proportional_counts(7, [10, 10, 20]).tolist()
    [2, 2, 3]
    """
    exact = total * np.asarray(sizes, np.float64) / np.sum(sizes)
    counts = np.floor(exact).astype(int)
    largest = np.argsort(counts - exact, kind="stable")
    counts[largest[: total - counts.sum()]] += 1
    return counts


def spread_order(strata: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random order in which every stretch holds each stratum in about its share.

    The k photos of a stratum are drawn one into each k-th of the order, at a random place within.

    Parameters
    ----------
    strata : numpy.ndarray
        Shape (n,): label × sex of each photo.

    Returns
    -------
    numpy.ndarray
        int, shape (n,): a permutation.
    """
    place = np.empty(len(strata))
    for stratum in np.unique(strata):
        rows = rng.permutation(np.flatnonzero(strata == stratum))
        place[rows] = (np.arange(len(rows)) + rng.random(len(rows))) / len(rows)
    return np.argsort(place)


def repeat_gap(cases: int) -> int:
    """At least so many photos lie between a photo and its repeat."""
    return cases // 4


def reading_order(strata: np.ndarray, repeats: int, rng: np.random.Generator) -> np.ndarray:
    """A spread order in which some photos come a second time, `repeat_gap` or more later.

    Parameters
    ----------
    strata : numpy.ndarray
        Shape (n,).
    repeats : int
        How many come twice, at most n / 2, in proportion from each stratum.

    Returns
    -------
    numpy.ndarray
        int, shape (n + repeats,).

    Raises
    ------
    UserError
        The kit is so small that repeats find no room.
    """
    count, gap = len(strata), repeat_gap(len(strata))
    names, sizes = np.unique(strata, return_counts=True)
    wanted = proportional_counts(repeats, sizes)
    for _ in range(ATTEMPTS):
        order = spread_order(strata, rng)
        early = rng.permutation(count - gap)
        of_early = strata[order[early]]
        first = np.concatenate(
            [early[of_early == name][:k] for name, k in zip(names, wanted, strict=True)]
        )
        if len(first) == repeats:
            again = rng.uniform(first + gap, count - 0.5)
            places = np.concatenate([np.arange(count), again])
            return np.concatenate([order, order[first]])[np.argsort(places)]
    raise UserError(
        f"{repeats} repeats among {count} cases find no room {gap} photos apart; "
        "lower --repeats or take more cases"
    )


def balanced_sample(
    labels: np.ndarray, sexes: np.ndarray, patients: np.ndarray, *, cases: int,
    rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """Draw as many photos of each label × sex, from as many patients as there are.

    Parameters
    ----------
    labels, sexes, patients : numpy.ndarray
        Words, shape (n,). Photos of unknown sex are not drawn.
    cases : int
        How many.

    Returns
    -------
    numpy.ndarray
        int, shape (cases,): rows, rising.

    Raises
    ------
    UserError
        A label × sex has too few photos; it says how many cases there can be.
    """
    cells = [(label, sex) for label in np.unique(labels) for sex in SEXES[:2]]
    rows = [np.flatnonzero((labels == label) & (sexes == sex)) for label, sex in cells]
    quota = [len(part) for part in np.array_split(np.arange(cases), len(cells))]
    short = [
        f"{len(have)} of {need} {NOUNS[sex]} with {label}"
        for (label, sex), have, need in zip(cells, rows, quota, strict=True)
        if len(have) < need
    ]
    if short:
        most = len(cells) * min(map(len, rows))
        remedy = f"--cases {most} is the most" if most else "leave --cases out"
        raise UserError(
            f"too few photos for {cases} balanced cases: the split has {', '.join(short)}; {remedy}"
        )
    parts = zip(rows, quota, strict=True)
    drawn = [_patients_first(rng.permutation(have), patients)[:need] for have, need in parts]
    return np.sort(np.concatenate(drawn))


def _patients_first(rows: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """The first photo of everybody, then their second photos, and so on."""
    seen: Counter[str] = Counter()
    turn = []
    for name in patients[rows].tolist():
        turn.append(seen[name])
        seen[name] += 1
    return rows[np.argsort(turn, kind="stable")]
