"""Each reader, and each majority, beside the model: as a point on its ROC, and photo by photo."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from hf_cushing.readers.rates import MAJORITY, READER, Caller, Calls
from hf_cushing.readers.study import Omissions, ReaderStudy
from hf_cushing.stats.agreement import error_overlap
from hf_cushing.stats.reader_scores import MatchedPoint, matched_point
from hf_cushing.stats.significance import McNemar, holm


@dataclass(frozen=True, kw_only=True)
class Matched(Caller):
    """A reader as a point on the model's ROC.

    Attributes
    ----------
    sensitivity, specificity : float
        The reader's.
    as_specific, as_sensitive : MatchedPoint
        The model where it is as specific, and where it is as sensitive.
    photos : int
        That the reader judged; the model on the same.
    """

    sensitivity: float
    specificity: float
    as_specific: MatchedPoint
    as_sensitive: MatchedPoint
    photos: int


@dataclass(frozen=True, kw_only=True)
class Overlap(Caller):
    """What a reader, or the majority, and the model get right: reader first, model second."""

    photos: int
    size: str
    errors: dict[str, McNemar]
    p_holm: float = math.nan


def _single_calls(
    everybody: Sequence[Calls], read: int
) -> Iterator[tuple[Caller, np.ndarray, np.ndarray]]:
    """Readers and majorities in one read: who, the numbers of the photos, and the calls (bool)."""
    for calls in everybody:
        if calls.caller.read == read and calls.caller.kind in (READER, MAJORITY):
            photos = np.flatnonzero(np.isfinite(calls.calls[0]))
            yield calls.caller, photos, calls.calls[0, photos] == 1


def matched_points(
    study: ReaderStudy, everybody: Sequence[Calls], omissions: Omissions, *, draws: int
) -> Iterator[Matched]:
    """The model at the point of each reader and majority of the first read."""
    for caller, photos, called in _single_calls(everybody, study.reads[0]):
        truth = study.truth[photos]
        if truth.all() or not truth.any():
            omissions.missing[f"matched point of {caller.name}"] = "judged photos of one class only"
            continue
        sensitivity, specificity = float(called[truth].mean()), float((~called)[~truth].mean())
        model = (study.model.score[photos], truth)
        options = {"patients": study.patients[photos], "draws": draws}
        yield Matched(
            **asdict(caller),
            sensitivity=sensitivity,
            specificity=specificity,
            as_specific=matched_point(*model, specificity=specificity, **options),
            as_sensitive=matched_point(*model, sensitivity=sensitivity, **options),
            photos=len(photos),
        )


def error_overlaps(study: ReaderStudy, everybody: Sequence[Calls]) -> list[Overlap]:
    """Readers and majorities of the first read against the model; Holm over all of them."""
    overlaps = [
        Overlap(
            **asdict(caller),
            photos=len(photos),
            size=study.size(photos),
            errors=error_overlap(
                study.truth[photos],
                called,
                study.model.called[photos],
                patients=study.patients[photos],
            ),
        )
        for caller, photos, called in _single_calls(everybody, study.reads[0])
    ]
    adjusted = holm(row.errors["everyone"].p for row in overlaps).tolist()
    return [replace(row, p_holm=p) for row, p in zip(overlaps, adjusted, strict=True)]
