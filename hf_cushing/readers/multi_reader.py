"""Readers on average, against the model, and with it: the multi-reader multi-case analyses."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from hf_cushing.readers.study import READS, CrossedDesign, Omissions, ReaderStudy, fully_crossed
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
ANALYSES = (RANDOM, FIXED_READERS)


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
        `ALL_READERS` or a level.
    metric : str
        One of `reader_scores.FIGURES`.
    analysis : str
        One of `ANALYSES`.
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
    p_holm: float = math.nan


def reader_effects(study: ReaderStudy, omissions: Omissions) -> list[Effect]:
    """Compute all effects for all readers and those of each level."""
    reads = [(read,) for read in study.reads]
    reads += [(2, 1)] if len(study.reads) == 2 else []  # so that a gain is above 0
    effects = [
        effect
        for group in study.groups()
        for compared in reads
        for metrics in (("auroc",), FIGURES[1:])
        for effect in _effects(study, omissions, group, compared, metrics)
    ]
    return _adjusted(effects)


def _effects(
    study: ReaderStudy,
    omissions: Omissions,
    group: str,
    reads: tuple[int, ...],
    metrics: tuple[str, ...],
) -> Iterator[Effect]:
    """Of metrics that rest on the same answers: scores, or calls."""
    what = "AUROC" if metrics == ("auroc",) else "calls"
    name = f"{what} of {group}, {' and '.join(READS[read] for read in sorted(reads))}"
    try:
        scores, design = _complete_scores(study, metrics, reads, study.groups()[group])
    except UserError as error:
        omissions.missing[name] = str(error)
        return
    omissions.narrow(name, design)
    model = study.model.score if metrics == ("auroc",) else study.model.called
    for metric in metrics:
        estimates = _estimates(scores, metric, reads, model[design.photos])
        for question, analysis, first, second, estimate in estimates:
            yield Effect(
                question=question, read=" and ".join(scores.modalities), group=group,
                metric=metric, analysis=analysis, readers=len(design.readers),
                photos=len(design.photos), size=study.size(design.photos), first=first,
                second=second, estimate=estimate,
            )  # fmt: skip


def _complete_scores(
    study: ReaderStudy, metrics: tuple[str, ...], reads: tuple[int, ...], readers: np.ndarray
) -> tuple[ReaderScores, CrossedDesign]:
    """Ratings of readers who all judged the same photos, and who and which these are."""
    table = study.scores if metrics == ("auroc",) else study.calls
    values = table[:, [read - 1 for read in reads], 0]
    if not np.isfinite(values[readers]).any():
        raise UserError("the table has no scores; AUROC needs them, a call alone has no order")
    design = fully_crossed(study, values, readers)
    if not len(design.readers):
        raise UserError("no reader judged half of the photos")
    if not len(design.photos):
        raise UserError("no photo was judged by all readers; give all the same photos")
    scores = ReaderScores(
        ratings=values[design.readers][..., design.photos],
        truth=study.truth[design.photos],
        patients=study.patients[design.photos],
        modalities=tuple(READS[read] for read in reads),
    )
    return scores, design


def _estimates(
    scores: ReaderScores, metric: str, reads: tuple[int, ...], model: np.ndarray
) -> Iterator[tuple[str, str, float, float, Estimate]]:
    """Question, analysis, what is compared, and the estimate."""
    if len(reads) == 2:
        gain = compare_modalities(scores, metric)
        means = [gain.means[read] for read in scores.modalities]
        for name in ANALYSES:
            yield GAIN, name, *means, gain.analyses[name].differences[scores.modalities]
        return
    for name in ANALYSES:
        mean = reader_average(scores, scores.modalities[0], metric, analysis=name)
        yield MEAN, name, mean.estimate, math.nan, mean
    versus = compare_with_model(scores, model, metric)
    for name in ANALYSES:
        yield AGAINST[reads[0]], name, versus.reader_mean, versus.model, versus.analyses[name]


def _adjusted(effects: list[Effect]) -> list[Effect]:
    """Holm over the metrics of one question, group and analysis."""
    families: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for place, row in enumerate(effects):
        families[row.question, row.group, row.analysis].append(place)
    adjusted = list(effects)
    for places in families.values():
        p_holm = holm(effects[place].estimate.p for place in places)
        for place, p in zip(places, p_holm.tolist(), strict=True):
            adjusted[place] = replace(effects[place], p_holm=p)
    return adjusted
