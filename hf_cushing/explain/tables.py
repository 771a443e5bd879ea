"""The tables of an explanation."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hf_cushing.explain.findings import Findings
from hf_cushing.explain.marked_masks import Overlap
from hf_cushing.faces.regions import REGIONS
from hf_cushing.heatmaps.methods import METHODS
from hf_cushing.reports.table import Table, interval_text, number_text
from hf_cushing.stats.hidden_regions import HIDDEN_MEASURES, NOTHING
from hf_cushing.stats.map_faithfulness import INSENSITIVE, MethodRow
from hf_cushing.stats.region_agreement import Agreement
from hf_cushing.stats.region_shares import DIFFERENCE, RegionRow

COLUMNS = {"all": "all", "female": "women", "male": "men", DIFFERENCE: "women − men"}


def explanation_tables(findings: Findings) -> list[Table]:
    """All tables of the page."""
    shown = findings.shown
    tables = [_methods_table(findings.methods), _hidden_table(findings.hidden)]
    tables.append(_shares_table(shown, findings.regions[shown]))
    tables += [_agreement_table(findings.agreement)] if findings.agreement else []
    tables += [_overlap_table(findings.overlaps)] if findings.overlaps else []
    return tables


def row_text(row: RegionRow | Agreement | Overlap, digits: int = 3) -> str:
    """Estimate and interval of a row."""
    return interval_text(row.estimate, row.low, row.high, digits)


def _methods_table(rows: Sequence[MethodRow]) -> Table:
    body = [
        [
            row.method,
            number_text(row.gain),
            number_text(row.random),
            interval_text(row.better, row.low, row.high),
            number_text(row.sanity),
            row.verdict,
        ]
        for row in rows
    ]
    header = ["method", "gain", "random map", "difference", "random weights", "proven"]
    photos, patients = rows[0].photos, rows[0].patients
    notes = [
        f"Gain: area under insertion minus deletion, on {photos} photos of {patients} patients; "
        "higher is more faithful. The difference's interval holds for all methods together.",
        "Random weights: correlation with the same method's maps of the same network with random "
        f"weights (Adebayo et al. 2018); from {INSENSITIVE} on a map shows the photo, not the "
        "model.",
        *(f"{row.method}: {METHODS[row.method].text}." for row in rows),
    ]
    return Table("methods", "Which heatmap is faithful", header, body, notes)


def _hidden_table(rows: Sequence[RegionRow]) -> Table:
    cells = {(row.region, row.measure, row.group): row_text(row, 2) for row in rows}
    measures = ("separation", "auroc_lost", "auroc_only")
    body = [
        [name, *(cells[name, measure, "all"] for measure in measures),
         *(cells[name, "separation", group] for group in COLUMNS if group != "all")]
        for name in _by_separation(rows)
    ]  # fmt: skip
    header = ["region", "separation", "AUROC lost", "AUROC alone", *list(COLUMNS.values())[1:]]
    whole = next(row for row in rows if (row.region, row.group) == (NOTHING, "all"))
    notes = [
        f"AUROC with {NOTHING}: {row_text(whole)}.",
        f"Separation: {HIDDEN_MEASURES['separation']}; also for women, men and their difference. "
        f"AUROC alone: {HIDDEN_MEASURES['auroc_only']}.",
        "A blurred region keeps its coarse form and colour: a sign that is coarse is not hidden.",
    ]
    return Table("hidden", "What hiding a region changes", header, body, notes)


def _by_separation(rows: Sequence[RegionRow]) -> list[str]:
    """The regions that count most first; those without an estimate last."""
    known = [row for row in rows if (row.measure, row.group) == ("separation", "all")]
    known.sort(key=lambda row: (math.isnan(row.estimate), -row.estimate))
    return [row.region for row in known]


def _shares_table(method: str, rows: Sequence[RegionRow]) -> Table:
    cells = {(row.region, row.measure, row.group): row_text(row, 2) for row in rows}
    body = [
        [name, cells[name, "share", "all"], *(cells[name, "density", group] for group in COLUMNS)]
        for name in REGIONS
    ]
    header = ["region", "share", *(f"density, {name}" for name in COLUMNS.values())]
    notes = [
        "Share of the attribution; density is that share over the region's share of the area, "
        "so 1 is chance. Right and left are the person's. Intervals: 95 %, by patient.",
        "regions.csv has every method, and the asymmetry of right and left.",
    ]
    return Table("regions", f"Attribution by region ({method})", header, body, notes)


def _agreement_table(agreement: dict[str, list[Agreement]]) -> Table:
    body = [
        [name, row.measure, row.level, row_text(row), str(row.photos), str(row.patients),
         row.reason]
        for name, rows in agreement.items() for row in rows
    ]  # fmt: skip
    header = ["machine", "measure", "level", "agreement", "photos", "patients", ""]
    notes = [
        "Order of the regions by attribution over area (hidden regions: by size of the effect) "
        "against the readers' mean share. By photo: mean of photos; cohort: of the mean shares."
    ]
    return Table("readers", "Machine against readers: order of the regions", header, body, notes)


def _overlap_table(overlaps: dict[str, list[Overlap]]) -> Table:
    body = [
        [name, row.measure, row_text(row), number_text(row.chance), str(row.photos),
         str(row.patients)]
        for name, rows in overlaps.items() for row in rows
    ]  # fmt: skip
    header = ["method", "measure", "agreement", "chance", "photos", "patients"]
    notes = [
        "AUROC: that a marked pixel is hotter than one not marked. IoU: with as many of the "
        "hottest pixels. Pointing: the hottest pixel is marked."
    ]
    return Table("masks", "Machine against marked pixels", header, body, notes)
