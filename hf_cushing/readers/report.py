"""Everything that a reader study says: computed once, drawn and written elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from hf_cushing.evaluation.operating_points import OperatingPoint
from hf_cushing.files import plain
from hf_cushing.readers.agreement import Agreements, reader_agreement
from hf_cushing.readers.cases import ReaderStudy
from hf_cushing.readers.effects import Effects, reader_effects
from hf_cushing.readers.rates import (
    MAJORITY,
    READER,
    Caller,
    Rates,
    SexGap,
    make_callers,
    rates_of,
    sex_gaps,
)
from hf_cushing.readers.table import READS
from hf_cushing.readers.ticks import RegionShare, TimeRow, reading_times, region_shares
from hf_cushing.schema import RESEARCH_NOTICE
from hf_cushing.stats import DRAWS
from hf_cushing.stats.agreement import ErrorOverlap, error_overlap
from hf_cushing.stats.reader_scores import MatchedPoint, matched_point
from hf_cushing.stats.significance import holm

SCHEMA_VERSION = 1
"""Of ``readers.json``."""


@dataclass(frozen=True, kw_only=True)
class Matched:
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

    name: str
    level: str
    read: int
    sensitivity: float
    specificity: float
    as_specific: MatchedPoint
    as_sensitive: MatchedPoint
    photos: int


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """What a reader, or the majority, and the model get right: reader first, model second."""

    name: str
    kind: str
    level: str
    read: int
    photos: int
    size: str
    tied: int
    found: ErrorOverlap
    p_holm: float = math.nan


@dataclass(frozen=True, kw_only=True)
class Case:
    """One photo: how many readers were right, and the model."""

    photo_id: str
    truth: str
    sex: str
    read: int
    readers: int
    right: int
    model_score: float
    model_right: bool


@dataclass(frozen=True, kw_only=True)
class ReaderReport:
    """A reader study analysed.

    Attributes
    ----------
    label, split : str
    readers : dict
        Name to level.
    reads : list of int
    photos, patients, positive_patients, negative_patients : int
        Photos that somebody read, and whose they are.
    size : str
        ``insufficient``, ``wide`` or ``ok``, by patients.
    points : list of OperatingPoint
    rates, gaps, matched, overlaps, cases, times, regions : list
    effects : Effects
    agreement : Agreements
    notes : list of str
        Who read only a part, and how that was handled.
    left_out : dict
        What could not be computed to why.
    """

    label: str
    split: str
    readers: dict[str, str]
    reads: list[int]
    photos: int
    patients: int
    positive_patients: int
    negative_patients: int
    size: str
    points: list[OperatingPoint]
    rates: list[Rates]
    gaps: list[SexGap]
    matched: list[Matched]
    effects: Effects
    agreement: Agreements
    overlaps: list[Overlap]
    cases: list[Case]
    times: list[TimeRow]
    regions: list[RegionShare]
    notes: list[str]
    left_out: dict[str, str]


def analyse_readers(study: ReaderStudy, *, draws: int = DRAWS) -> ReaderReport:
    """Compute everything; `draws` are of the intervals of matched points."""
    callers = list(make_callers(study))
    rates = rates_of(study, callers)
    effects, agreement = reader_effects(study), reader_agreement(study)
    first = [caller for caller in callers if caller.read == study.reads[0]]
    matched, unmatched = _matched(study, first, draws)
    times, regions = reading_times(study), region_shares(study)
    left_out = effects.left_out | agreement.left_out | unmatched
    left_out |= {} if times else {"time per case": "the table has no seconds"}
    left_out |= {} if regions else {"regions": "no region was ticked"}
    everybody = np.arange(len(study.photos))
    return ReaderReport(
        label=study.label,
        split=study.split,
        readers=dict(zip(study.readers, study.levels, strict=True)),
        reads=study.reads,
        photos=len(study.photos),
        patients=len(set(study.patients.tolist())),
        positive_patients=len(set(study.patients[study.truth].tolist())),
        negative_patients=len(set(study.patients[~study.truth].tolist())),
        size=study.size(everybody),
        points=list(study.points),
        rates=rates,
        gaps=list(sex_gaps(rates)),
        matched=matched,
        effects=effects,
        agreement=agreement,
        overlaps=_overlaps(study, first),
        cases=[case for read in study.reads for case in _cases(study, read)],
        times=times,
        regions=regions,
        notes=[*_partial(study), *_narrowed(effects.narrowed + agreement.narrowed)],
        left_out=left_out,
    )


def report_to_json(report: ReaderReport) -> dict[str, Any]:
    """Plain data; NaN becomes null."""
    return plain({"schema_version": SCHEMA_VERSION, "notice": RESEARCH_NOTICE} | asdict(report))


def _matched(
    study: ReaderStudy, callers: Sequence[Caller], draws: int
) -> tuple[list[Matched], dict[str, str]]:
    found, without = [], {}
    for caller in callers:
        if caller.kind not in (READER, MAJORITY):
            continue
        photos = np.flatnonzero(np.isfinite(caller.calls[0]))
        truth, called = study.truth[photos], caller.calls[0, photos] == 1
        if truth.all() or not truth.any():
            without[f"matched point of {caller.name}"] = "judged photos of one class only"
            continue
        sensitivity, specificity = float(called[truth].mean()), float((~called)[~truth].mean())
        model, rest = (study.model.score[photos], truth), {"patients": study.patients[photos]}
        rest["draws"] = draws
        found.append(
            Matched(
                name=caller.name,
                level=caller.level,
                read=caller.read,
                sensitivity=sensitivity,
                specificity=specificity,
                as_specific=matched_point(*model, specificity=specificity, **rest),
                as_sensitive=matched_point(*model, sensitivity=sensitivity, **rest),
                photos=len(photos),
            )
        )
    return found, without


def _overlaps(study: ReaderStudy, callers: Sequence[Caller]) -> list[Overlap]:
    """Readers and majorities against the model; Holm over all of them."""
    found = []
    for caller in callers:
        if caller.kind not in (READER, MAJORITY):
            continue
        photos = np.flatnonzero(np.isfinite(caller.calls[0]))
        found.append(
            Overlap(
                name=caller.name,
                kind=caller.kind,
                level=caller.level,
                read=caller.read,
                photos=len(photos),
                size=study.size(photos),
                tied=caller.tied,
                found=error_overlap(
                    study.truth[photos],
                    caller.calls[0, photos] == 1,
                    study.model.called[photos],
                    patients=study.patients[photos],
                ),
            )
        )
    adjusted = holm(row.found.everyone.p for row in found)
    return [replace(row, p_holm=float(p)) for row, p in zip(found, adjusted, strict=True)]


def _cases(study: ReaderStudy, read: int) -> list[Case]:
    calls = study.calls[:, read - 1, 0]
    judged = np.isfinite(calls).sum(0)
    right = (calls == study.truth).sum(0)
    rows = study.photos
    return [
        Case(
            photo_id=str(rows.photo_id[photo]),
            truth=str(rows.label[photo]),
            sex=str(rows.sex[photo]),
            read=read,
            readers=int(judged[photo]),
            right=int(right[photo]),
            model_score=float(study.model.score[photo]),
            model_right=bool(study.model.called[photo] == study.truth[photo]),
        )
        for photo in np.flatnonzero(judged)
    ]


def _partial(study: ReaderStudy) -> Iterator[str]:
    """Readers who did not read all that was read."""
    for read in study.reads:
        judged = np.isfinite(study.calls[:, read - 1, 0])
        wanted = int(judged.any(0).sum())
        for name, count in zip(study.readers, judged.sum(1).tolist(), strict=True):
            where = f"of {wanted} photos {READS[read]}"
            if 0 < count < wanted:
                yield f"reader {name} read {count} {where}: their own figures are of these"
            elif not count:
                yield f"reader {name} read none {where}"


def _narrowed(narrowed: Sequence[tuple[str, str]]) -> Iterator[str]:
    """What was left out, and of which analyses: pairs of analysis and text."""
    of: dict[str, list[str]] = {}
    for name, told in narrowed:
        of.setdefault(told, []).append(name)
    for told, names in of.items():
        yield f"{told}: {'; '.join(names)}"
