"""Readers on average, against the model, and with it: the multi-reader multi-case analyses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from hf_cushing.readers.cases import ReaderStudy, crossed
from hf_cushing.readers.table import READS
from hf_cushing.schema import UserError
from hf_cushing.stats.mrmc import (
    FIXED_READERS,
    RANDOM,
    Estimate,
    compare_modalities,
    compare_with_model,
    reader_average,
)
from hf_cushing.stats.reader_scores import FIGURES, ReaderScores
from hf_cushing.stats.significance import holm

MEAN = "mean"
AGAINST = {1: "readers alone − model", 2: "readers with the model − model"}
GAIN = "with the model − alone"
SHOWN = (RANDOM, FIXED_READERS)


@dataclass(frozen=True, kw_only=True)
class Effect:
    """A mean over readers, or a difference of such means.

    Attributes
    ----------
    question : str
        `MEAN`, one of `AGAINST`, or `GAIN`.
    read : str
        One of `READS`, or both.
    group : str
        ``all readers`` or a level.
    metric : str
        One of `reader_scores.FIGURES`.
    analysis : str
        One of `SHOWN`.
    readers, photos : int
        That enter: all of these readers judged all of these photos.
    size : str
        What the patients allow: ``insufficient``, ``wide`` or ``ok``.
    first, second : float
        What is compared; of a mean only the first.
    estimate : Estimate
        The mean, or first minus second.
    p_holm : float
        Adjusted for there being several metrics.
    """

    question: str
    read: str
    group: str
    metric: str
    analysis: str
    readers: int
    photos: int
    size: str
    first: float
    second: float
    estimate: Estimate
    p_holm: float = float("nan")


@dataclass(frozen=True)
class Effects:
    """All effects, and what could not be computed.

    Attributes
    ----------
    rows : list of Effect
    left_out : dict
        What is missing to why.
    narrowed : list of (str, str)
        Analysis, and which readers and photos did not enter it.
    """

    rows: list[Effect]
    left_out: dict[str, str]
    narrowed: list[tuple[str, str]]


def reader_effects(study: ReaderStudy) -> Effects:
    """Compute all effects for all readers and, if two or more, for those of each level."""
    rows: list[Effect] = []
    left_out: dict[str, str] = {}
    narrowed: list[tuple[str, str]] = []
    both = [tuple(study.reads)] if len(study.reads) == 2 else []
    for group, readers in study.groups().items():
        if group != "all readers" and len(readers) < 2:
            continue
        for reads in [*((read,) for read in study.reads), *both]:
            for metrics in (("auroc",), FIGURES[1:]):
                name = _name(group, reads, metrics)
                try:
                    scores, photos, told = _scores(study, metrics, reads, readers)
                except UserError as error:
                    left_out[name] = str(error)
                    continue
                narrowed += [(name, told)] if told else []
                found = _compare(scores, study, photos, metrics)
                size = study.size(photos)
                rows += [replace(one, group=group, size=size) for one in found]
    return Effects(_adjusted(rows), left_out, narrowed)


def _name(group: str, reads: tuple[int, ...], metrics: tuple[str, ...]) -> str:
    what = "AUROC" if metrics == ("auroc",) else "calls"
    return f"{what} of {group}, {' and '.join(READS[read] for read in reads)}"


def _scores(
    study: ReaderStudy, metrics: tuple[str, ...], reads: tuple[int, ...], readers: np.ndarray
) -> tuple[ReaderScores, np.ndarray, str]:
    """Complete ratings, the photos they are of, and what was left out."""
    table = study.scores if metrics == ("auroc",) else study.calls
    values = table[:, [read - 1 for read in reads], 0]
    if not np.isfinite(values[readers]).any():
        raise UserError("the table has no scores; AUROC needs them, a call alone has no order")
    found = crossed(study, values, readers)
    if not len(found.readers):
        raise UserError("no reader judged half of the photos")
    if not len(found.photos):
        raise UserError("no photo was judged by all readers; give all the same photos")
    scores = ReaderScores(
        ratings=values[found.readers][..., found.photos],
        truth=study.truth[found.photos],
        patients=study.patients[found.photos],
        readers=tuple(study.readers[reader] for reader in found.readers),
        modalities=tuple(READS[read] for read in reads),
        cases=tuple(study.photos.photo_id[found.photos].tolist()),
    )
    return scores, found.photos, found.told


def _compare(
    scores: ReaderScores, study: ReaderStudy, photos: np.ndarray, metrics: tuple[str, ...]
) -> Iterator[Effect]:
    for metric in metrics:
        if len(scores.modalities) == 2:
            yield from _gain(scores, metric)
        else:
            yield from _means(scores, metric)
            yield from _against(scores, study, photos, metric)


def _effect(
    scores: ReaderScores, question: str, metric: str, analysis: str, *,
    first: float, second: float, estimate: Estimate,
) -> Effect:  # fmt: skip
    readers, _, photos = scores.ratings.shape
    return Effect(
        question=question, read=" and ".join(scores.modalities), group="", metric=metric,
        analysis=analysis, readers=readers, photos=photos, size="", first=first, second=second,
        estimate=estimate,
    )  # fmt: skip


def _means(scores: ReaderScores, metric: str) -> Iterator[Effect]:
    for analysis in SHOWN:
        found = reader_average(scores, scores.modalities[0], metric, analysis=analysis)
        yield _effect(scores, MEAN, metric, analysis, first=found.estimate, second=float("nan"),
                      estimate=found)  # fmt: skip


def _against(
    scores: ReaderScores, study: ReaderStudy, photos: np.ndarray, metric: str
) -> Iterator[Effect]:
    model = study.model.score if metric == "auroc" else study.model.called
    found = compare_with_model(scores, model[photos], metric)
    read = next(read for read, name in READS.items() if name == scores.modalities[0])
    for analysis in SHOWN:
        yield _effect(scores, AGAINST[read], metric, analysis, first=found.reader_mean,
                      second=found.model, estimate=found.analyses[analysis])  # fmt: skip


def _gain(scores: ReaderScores, metric: str) -> Iterator[Effect]:
    order = (1, 0)  # the second read first, so that a gain is above 0
    turned = replace(
        scores,
        ratings=scores.ratings[:, order],
        modalities=tuple(scores.modalities[place] for place in order),
    )
    found = compare_modalities(turned, metric)
    first, second = turned.modalities
    for analysis in SHOWN:
        yield _effect(
            turned, GAIN, metric, analysis, first=found.means[first], second=found.means[second],
            estimate=found.analyses[analysis].differences[first, second],
        )  # fmt: skip


def _adjusted(rows: list[Effect]) -> list[Effect]:
    """Holm over the metrics of one question, group and analysis."""

    def family(row: Effect) -> tuple[str, str, str]:
        return row.question, row.group, row.analysis

    found = []
    for _, part in groupby(sorted(rows, key=family), key=family):
        several = list(part)
        adjusted = holm(row.estimate.p for row in several)
        found += [replace(r, p_holm=float(p)) for r, p in zip(several, adjusted, strict=True)]
    order = {id(row.estimate): place for place, row in enumerate(rows)}
    return sorted(found, key=lambda row: order[id(row.estimate)])
