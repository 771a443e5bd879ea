"""How far the readers of a study agree with each other, with themselves and with the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

import numpy as np

from hf_cushing.readers.rates import MODEL, READER, Caller, Calls
from hf_cushing.readers.study import ALL_READERS, Omissions, ReaderStudy, fully_crossed
from hf_cushing.stats.agreement import (
    IntraReader,
    Kappa,
    answer_counts,
    cohen_kappa,
    fleiss_kappa,
    intra_reader,
)

WEIGHTS = "quadratic"

MOST_STEPS = 11
"""Whole-number scores of at most so many steps (0 to 10) are an ordinal scale."""

NO_SCALE = f"the scores are no ordinal scale of 3 to {MOST_STEPS} whole numbers"


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
class Intra(Caller):
    """A reader who saw photos twice; all readers together pool them."""

    calls: IntraReader
    scores: Kappa | None


def ordinal_scale(scores: np.ndarray) -> list[float]:
    """The steps, if scores are whole numbers of 3 to `MOST_STEPS` steps; else empty."""
    known = scores[np.isfinite(scores)]
    if not len(known) or (known != np.rint(known)).any() or np.ptp(known) >= MOST_STEPS:
        return []
    scale = np.arange(known.min(), known.max() + 1).tolist()
    return scale if len(scale) > 2 else []


def fleiss_kappas(study: ReaderStudy, omissions: Omissions) -> Iterator[Fleiss]:
    """Of all readers and of each level, in each read."""
    for read in study.reads:
        calls = study.calls[:, read - 1, 0]
        for group, readers in study.groups().items():
            design = fully_crossed(study, calls[:, None], readers)
            name = f"Fleiss' kappa of {group}{' with the model' if read == 2 else ''}"
            if len(design.readers) < 2 or not len(design.photos):
                if len(readers) > 1:
                    omissions.missing[name] = "no photos that two or more readers all judged"
                continue
            omissions.narrow(name, design)
            judged = calls[np.ix_(design.readers, design.photos)]
            yield Fleiss(
                group=group,
                read=read,
                readers=len(design.readers),
                size=study.size(design.photos),
                kappa=fleiss_kappa(
                    answer_counts(judged, scale=(0.0, 1.0)), patients=study.patients[design.photos]
                ),
            )


def reader_pairs(study: ReaderStudy, scale: list[float]) -> Iterator[Pair]:
    """All pairs of readers, then each reader with the model; scores need a `scale`."""
    names, model = [*study.readers, MODEL], len(study.readers)
    pairs = sorted(combinations(range(len(names)), 2), key=lambda pair: pair[1] == model)
    for read in study.reads:
        calls = np.vstack([study.calls[:, read - 1, 0], study.model.called])
        scores = study.scores[:, read - 1, 0]
        for a, b in pairs:
            kappa = _kappa(study, calls[a], calls[b])
            if kappa.photos:
                weighted = scale and b != model
                yield Pair(
                    first=names[a],
                    second=names[b],
                    with_model=b == model,
                    read=read,
                    calls=kappa,
                    scores=_kappa(study, scores[a], scores[b], scale) if weighted else None,
                )


def _kappa(
    study: ReaderStudy, first: np.ndarray, second: np.ndarray, scale: list[float] | None = None
) -> Kappa:
    both = np.isfinite(first) & np.isfinite(second)
    weights = WEIGHTS if scale else None
    patients = study.patients[both]
    return cohen_kappa(first[both], second[both], weights, scale=scale, patients=patients)


def readers_with_themselves(
    study: ReaderStudy, everybody: Sequence[Calls], scale: list[float]
) -> Iterator[Intra]:
    """Each reader who saw photos twice, and all of them together."""
    for by in everybody:
        if by.caller.kind != READER and by.caller.name != ALL_READERS:
            continue
        calls, readers, patients = _shown_twice(study, study.calls, by)
        if len(np.unique(readers)) < min(2, len(by.readers)):
            continue
        scores, _, scored = _shown_twice(study, study.scores, by)
        weighted = None
        if scale and len(scored):
            weighted = cohen_kappa(*scores, WEIGHTS, scale=scale, patients=scored)
        yield Intra(**asdict(by.caller), calls=intra_reader(*calls, patients=patients),
                    scores=weighted)  # fmt: skip


def _shown_twice(
    study: ReaderStudy, values: np.ndarray, by: Calls
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First and second answers, shape (2, n), and readers and patients, shape (n,)."""
    answers = values[by.readers, by.caller.read - 1]
    reader, photo = np.nonzero(np.isfinite(answers).all(1))
    return answers[reader, :, photo].T, reader, study.patients[photo]
