"""The record of an evaluation, and its JSON both ways."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from hf_cushing.evaluation.adjusted import Adjusted
from hf_cushing.evaluation.comparison import Comparison
from hf_cushing.evaluation.conformal import AbstentionRow
from hf_cushing.evaluation.gaps import Gap
from hf_cushing.evaluation.grades import GradeRow, Grading
from hf_cushing.evaluation.operating_points import OperatingPoint
from hf_cushing.evaluation.options import MARGIN, PRIMARY
from hf_cushing.evaluation.origin import Origin
from hf_cushing.evaluation.plain import PlainReport
from hf_cushing.evaluation.repeatability import Change, Repeatability
from hf_cushing.evaluation.subgroups import SubgroupReport, Value
from hf_cushing.schema import RESEARCH_NOTICE, UserError

SCHEMA_VERSION = 2
"""Of ``metrics.json``; raised when a reader of the old form would misread the new one."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """An evaluation.

    Attributes
    ----------
    split : str
    operating_points : list of OperatingPoint
    subgroups : list of SubgroupReport
        By photo; and by patient where a patient has several photos.
    gaps : list of Gap
        Women minus men.
    shared : list of SubgroupReport
        With thresholds per sex: what the shared threshold would have given.
    alpha : float
        Error rate of the abstention; 0 without.
    abstention : list of AbstentionRow
    comparisons : list of Comparison
        Against another model on the same photos.
    grading : Grading, optional
        Where the labels are grades.
    repeatability : Repeatability, optional
        Where photos were scored once more, altered.
    primary : str
        The metric that was chosen before looking; all others are secondary.
    margin : float
        Differences smaller than this don't matter.
    plain : PlainReport, optional
        The same photos without alignment, where the dataset has wide views.
    prevalence : tuple of float
        Shares of the ill at which calls are judged, too.
    origin : Origin, optional
        Model, run, dataset and day.
    adjusted : list of Adjusted
        Of each disease, where age, BMI or sex are known.
    drawn : bool
        All faces are drawings, as far as that is recorded.
    """

    split: str
    operating_points: list[OperatingPoint]
    subgroups: list[SubgroupReport]
    gaps: list[Gap]
    shared: list[SubgroupReport]
    alpha: float
    abstention: list[AbstentionRow]
    comparisons: list[Comparison]
    grading: Grading | None = None
    repeatability: Repeatability | None = None
    primary: str = PRIMARY
    margin: float = MARGIN
    plain: PlainReport | None = None
    prevalence: tuple[float, ...] = ()
    origin: Origin | None = None
    adjusted: list[Adjusted] = field(default_factory=list)
    drawn: bool = False

    @property
    def labels(self) -> list[str]:
        """Diseases, and ``macro`` where there are several."""
        return list(dict.fromkeys(row.label for row in self.subgroups))

    @property
    def units(self) -> list[str]:
        """``photo``, and ``patient`` where a patient has several photos."""
        return list(dict.fromkeys(row.unit for row in self.subgroups))

    def rows(self, label: str, unit: str = "photo") -> list[SubgroupReport]:
        """All subgroups of a disease."""
        return [r for r in self.subgroups if (r.label, r.unit) == (label, unit)]

    def gaps_of(self, label: str, unit: str = "photo") -> list[Gap]:
        """All gaps of a disease."""
        return [gap for gap in self.gaps if (gap.label, gap.unit) == (label, unit)]

    def find(self, label: str, subgroup: str, unit: str = "photo") -> SubgroupReport:
        """One subgroup of a disease."""
        return next(row for row in self.rows(label, unit) if row.subgroup == subgroup)


def report_to_json(report: Report) -> dict[str, Any]:
    """Plain data; NaN becomes null beside its reason."""
    return {"schema_version": SCHEMA_VERSION, "notice": RESEARCH_NOTICE} | asdict(report)


def points_from_json(metrics: dict[str, Any], *, plain: bool = False) -> list[OperatingPoint]:
    """Read the operating points of a ``metrics.json``, of this version or an earlier one.

    With `plain` those of photos as they are, none where these were not scored.
    """
    if metrics.get("schema_version", 1) > SCHEMA_VERSION:
        raise UserError(
            f"metrics.json has schema version {metrics['schema_version']}, this hf-cushing reads "
            f"up to {SCHEMA_VERSION}; install a newer one"
        )
    part = (metrics.get("plain") or {"operating_points": []}) if plain else metrics
    return [_record(OperatingPoint, point) for point in part["operating_points"]]


def origin_from_json(metrics: dict[str, Any]) -> Origin | None:
    """Where a ``metrics.json`` of any version comes from; None where it doesn't say."""
    return _record(Origin, metrics["origin"]) if metrics.get("origin") else None


def report_from_json(metrics: dict[str, Any]) -> Report:
    """Read ``metrics.json`` back: the standard figures, not comparisons and abstentions.

    Operating points that came from the test split are left out, since there is no such thing.
    """
    version = metrics.get("schema_version", 1)
    if version != SCHEMA_VERSION:
        raise UserError(
            f"metrics.json has schema version {version}, cards are made from {SCHEMA_VERSION}; "
            "evaluate the run again with this hf-cushing"
        )
    points = [point for point in metrics["operating_points"] if point["split"] != "test"]
    return Report(
        split=metrics["split"],
        operating_points=[_record(OperatingPoint, point) for point in points],
        subgroups=[_record(SubgroupReport, row) for row in metrics["subgroups"]],
        gaps=[_record(Gap, gap) for gap in metrics["gaps"]],
        shared=[],
        alpha=0.0,
        abstention=[],
        comparisons=[],
        grading=_grading(metrics["grading"]) if metrics.get("grading") else None,
        repeatability=_repeatability(metrics.get("repeatability")),
        primary=metrics.get("primary", PRIMARY),
        margin=metrics.get("margin", MARGIN),
        plain=_plain(metrics["plain"]) if metrics.get("plain") else None,
        prevalence=tuple(metrics.get("prevalence", ())),
        origin=origin_from_json(metrics),
        adjusted=[_adjusted(row) for row in metrics.get("adjusted", ())],
        drawn=metrics.get("drawn", False),
    )


def _record(kind: type, row: dict[str, Any]) -> Any:
    """A record from plain data: NaN where JSON has null; what it doesn't know is left out."""
    known = {item.name for item in fields(kind)}
    row = {name: math.nan if v is None else v for name, v in row.items() if name in known}
    if "values" in row:
        row["values"] = {name: _record(Value, value) for name, value in row["values"].items()}
    return kind(**row)


def _adjusted(row: dict[str, Any]) -> Adjusted:
    values = {name: _record(Value, row[name]) for name in ("crude", "adjusted", "odds_ratio")}
    return _record(Adjusted, row | values | {"covariates": tuple(row["covariates"])})


def _grading(grading: dict[str, Any]) -> Grading:
    rows = [_record(GradeRow, row) for row in grading["rows"]]
    gaps = [_record(Gap, gap) for gap in grading["gaps"]]
    return Grading(**grading | {"grades": tuple(grading["grades"]), "rows": rows, "gaps": gaps})


def _repeatability(facts: dict[str, Any] | None) -> Repeatability | None:
    if facts is None:
        return None
    return Repeatability(**facts | {"changes": [_record(Change, row) for row in facts["changes"]]})


def _plain(plain: dict[str, Any]) -> PlainReport:
    return PlainReport(
        operating_points=[_record(OperatingPoint, point) for point in plain["operating_points"]],
        subgroups=[_record(SubgroupReport, row) for row in plain["subgroups"]],
        at_aligned=[_record(SubgroupReport, row) for row in plain["at_aligned"]],
    )
