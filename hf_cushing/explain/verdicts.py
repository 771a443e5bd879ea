"""What to read first of an explanation; a claim only where an interval supports it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from hf_cushing.explain.cohort import Explained
from hf_cushing.explain.findings import Findings
from hf_cushing.explain.tables import row_text
from hf_cushing.faces.regions import REGIONS
from hf_cushing.reports.screen import Section
from hf_cushing.reports.table import interval_text
from hf_cushing.stats.hidden_regions import excludes_zero
from hf_cushing.stats.map_faithfulness import INSENSITIVE
from hf_cushing.stats.region_shares import DIFFERENCE, OUTSIDE, RegionRow, shortcut_alarm


def explanation_screen(explained: Explained, findings: Findings) -> list[Section]:
    """Titled sentences; a claim only where an interval supports it."""
    sections = [
        Section("What", (_what(explained),)),
        Section("Hidden", (_hidden_sentence(findings.hidden),)),
        Section("Heatmaps", (_method_sentence(findings),)),
        Section("Women, men", (_sexes_sentence(findings.hidden),)),
        Section("Outside", (_outside_sentence(explained, findings),)),
        Section("Readers", tuple(_reader_sentences(findings))),
    ]
    return [section for section in sections if section.lines]


def _what(explained: Explained) -> str:
    patients, truth = explained.patients, explained.truth
    sick, well = (len(np.unique(patients[mask])) for mask in (truth, ~truth))
    return (
        f"What counts for {explained.label} in the model {explained.run.title}: {len(patients)} "
        f"photos of {len(np.unique(patients))} patients, {sick} with and {well} without it."
    )


def _method_sentence(findings: Findings) -> str:
    best = findings.best
    if best is None:
        few = next((row.reason for row in findings.methods if row.reason), "")
        return (
            "No heatmap is shown to be better than a random map on these photos and to depend on "
            "what the model learned"
            + (f" ({few})" if few else "")
            + f": do not trust them. The figures show {findings.shown} all the same; rather "
            "read the hidden regions."
        )
    return (
        f"The most faithful heatmap here is {best.method}: insertion minus deletion is "
        f"{interval_text(best.better, best.low, best.high)} above that of a random map "
        f"({best.photos} photos), and its maps correlate by {best.sanity:.2f} with those of a "
        f"network that learned nothing (from {INSENSITIVE} on it would show the photo, not the "
        "model). The figures show it."
    )


def _outside_sentence(explained: Explained, findings: Findings) -> str:
    """The shortcut alarm beside what hiding the field outside the face changes."""
    method = findings.shown
    area = explained.areas[:, REGIONS.index(OUTSIDE)].sum() / explained.areas.sum()
    hidden = next(row for row in separations(findings.hidden) if row.region == OUTSIDE)
    alarm = shortcut_alarm(findings.regions[method])
    alarm = alarm or f"No alarm that the model looks beside the face ({method})."
    return (
        f"{alarm} The field outside the face is {100 * area:.0f} % of the picture; hiding it takes "
        f"{row_text(hidden, 2)} from the log-odds between the classes. The fat under the chin "
        "counts as outside."
    )


def _hidden_sentence(rows: Sequence[RegionRow]) -> str:
    judged = sorted(separations(rows), key=lambda row: -row.estimate)
    if not any(math.isfinite(row.low) for row in judged):
        return f"Hidden regions: {judged[0].reason} with or without the label: no statement."
    proven, others = (
        [f"{row.region} {row_text(row, 2)}" for row in judged if (row.low > 0) == shown]
        for shown in (True, False)
    )
    start = "How much less the classes differ, in log-odds, when a region is hidden alone: "
    if not proven:
        start = "No region is shown to carry what separates the classes when it is hidden alone"
    rest = f"not shown for {', '.join(others)}" if others else "shown for all"
    return (
        f"{start}{', '.join(proven)}; {rest}. The intervals are not corrected for {len(judged)} "
        "regions: one region in 20 would miss 0 by chance."
    )


def separations(rows: Sequence[RegionRow], group: str = "all") -> list[RegionRow]:
    """What hiding each region takes from the separation of the classes."""
    return [row for row in rows if (row.measure, row.group) == ("separation", group)]


def _sexes_sentence(rows: Sequence[RegionRow]) -> str:
    known = separations(rows, DIFFERENCE)
    differ = [row.region for row in known if excludes_zero(row)]
    if all(row.reason for row in known):
        return (
            f"Women against men: {known[0].reason} with or without the label in one of the sexes."
        )
    if not differ:
        return "No region is shown to count differently for women and men."
    return (
        f"Women and men may differ in: {', '.join(differ)} (their own 95 % intervals miss 0; "
        f"of {len(known)} regions, one in 20 does so by chance)."
    )


def _reader_sentences(findings: Findings) -> Iterator[str]:
    method = findings.shown
    for row in findings.agreement.get(method, ()):
        if (row.measure, row.level) == ("spearman", "cohort"):
            yield (
                f"Order of the regions, {method} against the readers: Spearman "
                f"{row_text(row, 2)}, {row.photos} photos."
            )
    for row in findings.overlaps.get(method, ()):
        if row.measure == "auroc":
            yield f"{method} against the marked pixels: AUROC {row_text(row, 2)}, 0.5 is chance."
