"""What experts say they looked at: a table of readers, photos and regions of the face."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hf_cushing.data.table import read_table
from hf_cushing.faces.regions import GROUPS, REGIONS
from hf_cushing.schema import UserError

READER_COLUMNS = ("reader", "photo_id", "region", "score")

READER_REGIONS = tuple(dict.fromkeys([*REGIONS, *GROUPS]))
"""What readers may name: a region, or a group of both sides as the reading room has them."""


@dataclass(frozen=True)
class ReaderRegions:
    """How much readers say they used each region of each photo.

    Attributes
    ----------
    readers, photo_ids, regions : tuple of str
    scores : numpy.ndarray
        float64, shape (readers, photos, regions), 0 or more; NaN where a reader has not scored
        the photo.
    """

    readers: tuple[str, ...]
    photo_ids: tuple[str, ...]
    regions: tuple[str, ...]
    scores: np.ndarray

    def consensus(self) -> np.ndarray:
        """Mean over readers of their shares, shape (photos, regions).

        Shares, so that one who gives high marks counts no more; who marks nothing gives zeros.
        """
        total = self.scores.sum(2, keepdims=True)
        shares = self.scores / np.where(total == 0, 1, total)
        return np.nansum(shares, axis=0) / np.isfinite(total).sum(0)


def read_reader_regions(
    path: Path, photo_ids: Collection[str], regions: Sequence[str] = READER_REGIONS
) -> ReaderRegions:
    """Read a CSV table with columns reader, photo_id, region, score (UTF-8, comma or semicolon).

    A region that a reader leaves out of a photo they scored counts 0.

    Parameters
    ----------
    path : Path
    photo_ids : collection of str
        The photos that there are; others are an error.
    regions : sequence of str
        What readers may name.

    Raises
    ------
    UserError
        For a missing column, an unknown region or photo, a score that is not a number of 0 or
        more, or a line that stands twice; it names the row (the header is row 1).
    """
    scores: dict[tuple[str, str, str], float] = {}
    for number, cells in read_table(Path(path)):
        if missing := [name for name in READER_COLUMNS if name not in cells]:
            raise UserError(f"{path} lacks column {', '.join(missing)}; add it")
        reader, photo, region, text = (cells[name] for name in READER_COLUMNS)
        where = f"{path}, row {number}"
        if not reader:
            raise UserError(f"{where}: no reader; write a name or number")
        _known(where, "region", region, regions)
        _known(where, "photo", photo, photo_ids)
        if (reader, photo, region) in scores:
            raise UserError(f"{where}: {reader}, {photo}, {region} stands twice; delete one")
        scores[reader, photo, region] = _score(where, text)
    readers, photos = (tuple(sorted({key[n] for key in scores})) for n in (0, 1))
    table = np.full((len(readers), len(photos), len(regions)), np.nan)
    at = [{name: n for n, name in enumerate(part)} for part in (readers, photos, regions)]
    for reader, photo, _ in scores:
        table[at[0][reader], at[1][photo]] = 0.0
    for key, value in scores.items():
        table[tuple(place[name] for place, name in zip(at, key, strict=True))] = value
    return ReaderRegions(readers, photos, tuple(regions), table)


def _known(where: str, kind: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, sorted(known), n=2)
        some = sorted(known) if kind == "region" else sorted(known)[:3]
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(some)}"
        raise UserError(f"{where}: unknown {kind} '{name}'; {hint}")


def _score(where: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise UserError(f"{where}: score '{text}' is not a number of 0 or more; correct it")
    return value
