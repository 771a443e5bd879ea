"""How far the readers of a study agree with each other, with themselves and with the model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from hf_cushing.readers.cases import ReaderStudy, crossed, ordinal_scale
from hf_cushing.stats.agreement import (
    IntraReader,
    Kappa,
    answer_counts,
    cohen_kappa,
    fleiss_kappa,
    intra_reader,
)

MODEL = "model"
WEIGHTS = "quadratic"


@dataclass(frozen=True, kw_only=True)
class Fleiss:
    """Agreement of several readers on the calls of photos that all judged."""

    group: str
    read: int
    readers: int
    size: str
    kappa: Kappa


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two readers, or a reader and the model, on the photos that both judged.

    Attributes
    ----------
    first, second : str
    with_model : bool
        The second is the model.
    read : int
    calls : Kappa
        Cohen's, unweighted.
    scores : Kappa or None
        Cohen's with quadratic weights, where scores are an ordinal scale.
    """

    first: str
    second: str
    with_model: bool
    read: int
    calls: Kappa
    scores: Kappa | None


@dataclass(frozen=True, kw_only=True)
class Intra:
    """A reader who saw photos twice; ``all readers`` pools them."""

    name: str
    level: str
    read: int
    calls: IntraReader
    scores: Kappa | None


@dataclass(frozen=True)
class Agreements:
    """All of the agreement.

    Attributes
    ----------
    fleiss, pairs, intra : list
    scale : list of float
        The steps of ordinal scores; empty where there are none.
    left_out : dict
        What could not be computed to why.
    narrowed : list of (str, str)
        Analysis, and which readers and photos did not enter it.
    """

    fleiss: list[Fleiss]
    pairs: list[Pair]
    intra: list[Intra]
    scale: list[float]
    left_out: dict[str, str]
    narrowed: list[tuple[str, str]]


def reader_agreement(study: ReaderStudy) -> Agreements:
    """Compute all of it."""
    scale = ordinal_scale(study.scores)
    fleiss, left_out, narrowed = _fleiss(study)
    if len(study.readers) < 2:
        left_out["agreement between readers"] = "one reader only"
    if scale is None:
        left_out["weighted kappa"] = "the scores are no ordinal scale of 3 to 11 whole numbers"
    intra = list(_intra(study, scale))
    if not intra:
        left_out["agreement of readers with themselves"] = "no photo was shown twice"
    steps = [] if scale is None else scale.tolist()
    return Agreements(fleiss, list(_pairs(study, scale)), intra, steps, left_out, narrowed)


def _fleiss(study: ReaderStudy) -> tuple[list[Fleiss], dict[str, str], list[tuple[str, str]]]:
    rows: list[Fleiss] = []
    left_out: dict[str, str] = {}
    narrowed: list[tuple[str, str]] = []
    for read in study.reads:
        calls = study.calls[:, read - 1, 0]
        for group, readers in study.groups().items():
            found = crossed(study, calls[:, None], readers)
            name = f"Fleiss' kappa of {group}{' with the model' if read == 2 else ''}"
            if len(found.readers) < 2 or not len(found.photos):
                if len(readers) > 1:
                    left_out[name] = "no photos that two or more readers all judged"
                continue
            narrowed += [(name, found.told)] if found.told else []
            counts = answer_counts(calls[found.readers][:, found.photos], scale=(0.0, 1.0))
            rows.append(
                Fleiss(
                    group=group,
                    read=read,
                    readers=len(found.readers),
                    size=study.size(found.photos),
                    kappa=fleiss_kappa(counts, patients=study.patients[found.photos]),
                )
            )
    return rows, left_out, narrowed


def _pairs(study: ReaderStudy, scale: np.ndarray | None) -> Iterator[Pair]:
    model = study.model.called.astype(float)
    for read in study.reads:
        calls, scores = study.calls[:, read - 1, 0], study.scores[:, read - 1, 0]
        for a, b in combinations(range(len(study.readers)), 2):
            kappa = _kappa(study, calls[a], calls[b])
            if kappa.photos:
                weighted = None if scale is None else _kappa(study, scores[a], scores[b], scale)
                yield Pair(first=study.readers[a], second=study.readers[b], with_model=False,
                           read=read, calls=kappa, scores=weighted)  # fmt: skip
        for number, name in enumerate(study.readers):
            kappa = _kappa(study, calls[number], model)
            if kappa.photos:
                yield Pair(first=name, second=MODEL, with_model=True, read=read, calls=kappa,
                           scores=None)  # fmt: skip


def _kappa(
    study: ReaderStudy, first: np.ndarray, second: np.ndarray, scale: np.ndarray | None = None
) -> Kappa:
    both = np.isfinite(first) & np.isfinite(second)
    weights = None if scale is None else WEIGHTS
    patients = study.patients[both]
    return cohen_kappa(first[both], second[both], weights, scale=scale, patients=patients)


def _intra(study: ReaderStudy, scale: np.ndarray | None) -> Iterator[Intra]:
    for read in study.reads:
        rows = [n for n in range(len(study.readers)) if _twice(study.calls[n, read - 1]).any()]
        for number in rows:
            yield _intra_of(study, np.array([number]), read, scale, name=study.readers[number])
        if len(rows) > 1:
            yield _intra_of(study, np.array(rows), read, scale, name="all readers")


def _twice(values: np.ndarray) -> np.ndarray:
    """Photos that both showings have a value for; the next to last axis is the showing."""
    return np.isfinite(values).all(-2)


def _intra_of(
    study: ReaderStudy, readers: np.ndarray, read: int, scale: np.ndarray | None, *, name: str
) -> Intra:
    calls, scores = study.calls[readers, read - 1], study.scores[readers, read - 1]
    row, photo = np.nonzero(_twice(calls))
    found = intra_reader(*calls[row, :, photo].T, patients=study.patients[photo])
    weighted = None
    row, photo = np.nonzero(_twice(scores))
    if scale is not None and len(photo):
        pair = scores[row, :, photo].T
        weighted = cohen_kappa(*pair, WEIGHTS, scale=scale, patients=study.patients[photo])
    level = study.levels[readers[0]] if len(readers) == 1 else ""
    return Intra(name=name, level=level, read=read, calls=found, scores=weighted)
