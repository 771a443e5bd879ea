"""Everything that a reader study says: computed once, drawn and written elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from hf_cushing.evaluation.operating_points import OperatingPoint
from hf_cushing.files import plain
from hf_cushing.readers.against_model import Matched, Overlap, error_overlaps, matched_points
from hf_cushing.readers.agreement import (
    NO_SCALE,
    Fleiss,
    Intra,
    Pair,
    fleiss_kappas,
    ordinal_scale,
    reader_pairs,
    readers_with_themselves,
)
from hf_cushing.readers.descriptions import (
    Case,
    ReadingTime,
    RegionShare,
    case_counts,
    reading_times,
    region_shares,
)
from hf_cushing.readers.multi_reader import Effect, reader_effects
from hf_cushing.readers.rates import KINDS, Rates, SexGap, all_calls, rates_of, sex_gaps
from hf_cushing.readers.study import READS, Omissions, ReaderStudy
from hf_cushing.schema import RESEARCH_NOTICE
from hf_cushing.stats import DRAWS
from hf_cushing.stats.intervals import size_word

SCHEMA_VERSION = 2
"""Of ``readers.json``."""


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
    rates, gaps, matched, effects, fleiss, pairs, intra, overlaps, cases, times, regions : list
    scale : list of float
        The steps of ordinal scores; empty where there are none.
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
    effects: list[Effect]
    fleiss: list[Fleiss]
    pairs: list[Pair]
    intra: list[Intra]
    scale: list[float]
    overlaps: list[Overlap]
    cases: list[Case]
    times: list[ReadingTime]
    regions: list[RegionShare]
    notes: list[str]
    left_out: dict[str, str]

    def rates_in(self, read: int, *kinds: str, subgroup: str = "all") -> list[Rates]:
        """The model and everybody in one read; of these kinds only."""
        return [
            row
            for row in self.rates
            if row.subgroup == subgroup and row.read in (0, read) and row.kind in (kinds or KINDS)
        ]


def analyse_readers(study: ReaderStudy, *, draws: int = DRAWS) -> ReaderReport:
    """Compute everything; `draws` are of the intervals of matched points."""
    omissions, everybody = Omissions(), all_calls(study)
    rates, scale = rates_of(study, everybody), ordinal_scale(study.scores)
    positive, negative = study.patients_by_class(np.arange(len(study.photos)))
    report = ReaderReport(
        label=study.label,
        split=study.split,
        readers=dict(zip(study.readers, study.levels, strict=True)),
        reads=study.reads,
        photos=len(study.photos),
        patients=len(np.unique(study.patients)),
        positive_patients=positive,
        negative_patients=negative,
        size=size_word(min(positive, negative)),
        points=list(study.points),
        rates=rates,
        gaps=list(sex_gaps(rates)),
        effects=reader_effects(study, omissions),
        fleiss=list(fleiss_kappas(study, omissions)),
        pairs=list(reader_pairs(study, scale)),
        intra=list(readers_with_themselves(study, everybody, scale)),
        scale=scale,
        matched=list(matched_points(study, everybody, omissions, draws=draws)),
        overlaps=error_overlaps(study, everybody),
        cases=case_counts(study),
        times=list(reading_times(study, everybody)),
        regions=region_shares(study),
        notes=[*_partial_readers(study), *omissions.notes()],
        left_out=omissions.missing,
    )
    return replace(report, left_out=report.left_out | _missing(report))


def _missing(report: ReaderReport) -> dict[str, str]:
    analyses = (
        ("agreement between readers", len(report.readers) > 1, "one reader only"),
        ("weighted kappa", report.scale, NO_SCALE),
        ("agreement of readers with themselves", report.intra, "no photo was shown twice"),
        ("time per case", report.times, "the table has no seconds"),
        ("regions", report.regions, "no region was ticked"),
    )
    return {analysis: reason for analysis, there, reason in analyses if not there}


def report_to_json(report: ReaderReport) -> dict[str, Any]:
    """Plain data; NaN becomes null."""
    return plain({"schema_version": SCHEMA_VERSION, "notice": RESEARCH_NOTICE} | asdict(report))


def _partial_readers(study: ReaderStudy) -> Iterator[str]:
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
