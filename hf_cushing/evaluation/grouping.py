"""Which photos make a subgroup: by sex, by another column, by several."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.schema import KNOWN_SEXES, UsageError

AGE_BANDS = (30.0, 45.0, 60.0)
"""Years at which age is cut where the user names no others."""


QUALITY = {"blur": "sharpness", "pose": "turned", "face_size": "face_size"}
"""Strata of the photo's quality, and the columns that `scoring.quality_columns` measures."""


def asks_for_quality(by: Sequence[str]) -> bool:
    """Whether any of these subgroups is one of `QUALITY`."""
    return any(part.partition(":")[0] in QUALITY for term in by for part in term.split("*"))


def with_thirds(rows: Predictions, by: Sequence[str]) -> tuple[str, ...]:
    """The subgroups, with thirds of these rows as the edges of a quality that has none."""
    return tuple("*".join(_with_thirds(rows, part) for part in term.split("*")) for term in by)


def _with_thirds(rows: Predictions, part: str) -> str:
    if part not in QUALITY or QUALITY[part] not in rows.attributes:
        return part
    thirds = np.nanquantile(rows.attributes[QUALITY[part]], [1 / 3, 2 / 3])
    return f"{part}:{','.join(f'{edge:.3g}' for edge in np.unique(thirds))}"


def subgroup_masks(rows: Predictions, by: Sequence[str] = ("sex",)) -> dict[str, np.ndarray]:
    """Name each subgroup and mark its rows.

    Parameters
    ----------
    rows : Predictions
    by : sequence of str
        ``sex``, another column, a column of numbers with the edges of its bands
        (``bmi:25,30``), a word of `QUALITY` with edges, or several joined by ``*``.

    Returns
    -------
    dict
        Name to bool, shape (n,); ``all`` first. Women and men are there even if there are none.

    Raises
    ------
    UsageError
        No such column, or numbers without edges.
    """
    masks = {"all": np.full(len(rows), True)}
    for term in by:
        crossed = {"": np.full(len(rows), True)}
        for part in term.split("*"):
            level = _levels(rows, part)
            crossed = {
                f"{name} & {word}" if name else word: mask & inside
                for name, mask in crossed.items()
                for word, inside in level.items()
            }
        several = "*" in term
        masks |= {name: mask for name, mask in crossed.items() if mask.any() or not several}
    return masks


def _levels(rows: Predictions, part: str) -> dict[str, np.ndarray]:
    """The values of one column, each with its mask."""
    column, _, edges = part.partition(":")
    if column == "sex":
        return {sex: rows.sex == sex for sex in KNOWN_SEXES}
    measured, column = column in QUALITY, QUALITY.get(column, column)
    if column not in rows.attributes:
        known = ", ".join(["sex", *rows.attributes])
        remedy = "; add --dataset, whose photos are measured" if measured else ""
        raise UsageError(
            f"--by {part}: the predictions have no column '{column}' (known: {known}){remedy}"
        )
    values = rows.attributes[column]
    if values.dtype.kind != "f":
        return {f"{column} {word}": values == word for word in sorted(set(values.tolist()) - {""})}
    return _bands(column, values, _edges(part, column, edges))


def _edges(part: str, column: str, text: str) -> list[float]:
    if not text and column == "age":
        return list(AGE_BANDS)
    try:
        edges = [float(word) for word in text.split(",")]
    except ValueError:
        edges = []
    if not edges or sorted(set(edges)) != edges:
        raise UsageError(
            f"--by {part}: '{column}' is a number; give rising edges, as in {column}:25,30"
        )
    return edges


def _bands(column: str, values: np.ndarray, edges: list[float]) -> dict[str, np.ndarray]:
    names = [f"{column} < {edges[0]:g}"]
    names += [f"{column} {low:g}–{high:g}" for low, high in pairwise(edges)]
    names += [f"{column} ≥ {edges[-1]:g}"]
    known = np.isfinite(values)
    band = np.digitize(np.where(known, values, edges[0]), edges)
    return {name: known & (band == number) for number, name in enumerate(names)}
