"""The report of an explanation: regions.csv, figures, one page."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from hf_cushing import __version__
from hf_cushing.explain.cohort import Explained
from hf_cushing.explain.figures import plot_densities, plot_examples, plot_hidden, plot_mean_faces
from hf_cushing.explain.findings import Findings
from hf_cushing.explain.options import ExplainOptions
from hf_cushing.faces.regions import GROUPS, REGIONS
from hf_cushing.files import write_json, write_text
from hf_cushing.heatmaps.methods import METHODS
from hf_cushing.reports.page import tables_to_page
from hf_cushing.reports.table import Table, interval_text, number_text, tables_to_markdown
from hf_cushing.schema import RESEARCH_NOTICE
from hf_cushing.stats.hidden_regions import HIDDEN_MEASURES, NOTHING, excludes_zero
from hf_cushing.stats.map_faithfulness import INSENSITIVE, MethodRow
from hf_cushing.stats.region_shares import DIFFERENCE, OUTSIDE, RegionRow

SCHEMA_VERSION = 1
COLUMNS = ["all", "women", "men", "women − men"]
KINDS = ("all", "female", "male", DIFFERENCE)


def write_explanation(
    out: Path, explained: Explained, found: Findings, options: ExplainOptions, *, thumbnails: bool
) -> None:
    """Write ``regions.csv``, ``explain.json``, ``explain.md``, figures and ``report.html``.

    Parameters
    ----------
    out : Path
    thumbnails : bool
        Whether photos of persons may be shown, in ``figures/examples.png`` and on the page.
    """
    hidden_by = f"hidden ({options.how})"
    write_text(out / "regions.csv", _regions_csv(found, hidden_by))
    tables = list(explanation_tables(explained, found))
    write_text(out / "explain.md", tables_to_markdown(tables))
    sentences = verdicts(explained, found)
    page = tables_to_page(
        f"Where in the face: {explained.label}, {len(explained.truth)} photos",
        verdicts=sentences,
        tables=tables,
        figures=_figures(out, explained, found, thumbnails),
    )
    write_text(out / "report.html", page)
    write_json(out / "explain.json", explanation_to_json(explained, found, options))


def explanation_to_json(
    explained: Explained, found: Findings, options: ExplainOptions
) -> dict[str, Any]:
    """Everything of the report as plain values."""
    return {
        "schema_version": SCHEMA_VERSION,
        "version": __version__,
        "notice": RESEARCH_NOTICE,
        "model_revision": explained.model_revision,
        "dataset_revision": explained.dataset_revision,
        "label": explained.label,
        "photos": len(explained.truth),
        "options": asdict(options),
        "verdicts": verdicts(explained, found),
        "best_method": found.best.method if found.best else None,
        "methods": [asdict(row) for row in found.methods],
        "hidden": [asdict(row) for row in found.hidden],
        "agreement": {name: [asdict(r) for r in rows] for name, rows in found.agreement.items()},
        "overlaps": {name: [asdict(r) for r in rows] for name, rows in found.overlaps.items()},
    }


def shown_method(found: Findings) -> str:
    """The method that the figures show: the best, or the least bad."""
    return (found.best or found.methods[0]).method


def verdicts(explained: Explained, found: Findings) -> list[str]:
    """What to read first; a claim only where an interval supports it."""
    return [
        _method_sentence(found),
        _hidden_sentence(found.hidden),
        _sexes_sentence(found.hidden),
        _outside_sentence(explained, found),
        *_reader_sentences(found),
    ]


def _method_sentence(found: Findings) -> str:
    best = found.best
    if best is None:
        few = next((row.reason for row in found.methods if row.reason), "")
        return (
            "No heatmap is shown to be better than a random map on these photos and to depend on "
            "what the model learned"
            + (f" ({few})" if few else "")
            + f": do not trust them. The figures show {shown_method(found)} all the same; rather "
            "read the hidden regions."
        )
    return (
        f"The most faithful heatmap here is {best.method}: insertion minus deletion is "
        f"{interval_text(best.better, best.low, best.high)} above that of a random map "
        f"({best.photos} photos). The figures show it."
    )


def _outside_sentence(explained: Explained, found: Findings) -> str:
    """The shortcut alarm beside what hiding the field outside the face changes."""
    method = shown_method(found)
    area = explained.areas[:, REGIONS.index(OUTSIDE)].sum() / explained.areas.sum()
    hidden = next(
        r for r in found.hidden if (r.region, r.measure, r.group) == (OUTSIDE, "separation", "all")
    )
    alarm = found.alarms[method] or f"No alarm that the model looks beside the face ({method})."
    return (
        f"{alarm} The field outside the face is {area:.0%} of the picture; hiding it takes "
        f"{interval_text(hidden.estimate, hidden.low, hidden.high, 2)} from the log-odds between "
        "the classes. The fat under the chin counts as outside."
    )


def _hidden_sentence(rows: Sequence[RegionRow]) -> str:
    proven = [
        row
        for row in rows
        if (row.measure, row.group) == ("separation", "all") and excludes_zero(row) and row.low > 0
    ]
    judged = [row for row in rows if (row.measure, row.group) == ("separation", "all")]
    if not any(math.isfinite(row.low) for row in judged):
        return f"Hidden regions: {judged[0].reason} with or without the label: no statement."
    if not proven:
        return "No region is shown to carry what separates the classes when it is hidden alone."
    proven.sort(key=lambda row: -row.estimate)
    named = [f"{r.region} ({interval_text(r.estimate, r.low, r.high, 2)})" for r in proven]
    return (
        f"Log-odds between the classes that are lost when a region is hidden: {', '.join(named)}. "
        f"It is not shown for the others of the {len(GROUPS)} regions. The intervals are not "
        "corrected for their number: one region in 20 would miss 0 by chance."
    )


def _sexes_sentence(rows: Sequence[RegionRow]) -> str:
    known = [row for row in rows if (row.measure, row.group) == ("separation", DIFFERENCE)]
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


def _reader_sentences(found: Findings) -> Iterator[str]:
    method = shown_method(found)
    for row in found.agreement.get(method, ()):
        if (row.measure, row.level) == ("spearman", "cohort"):
            yield (
                f"Order of the regions, {method} against the readers: Spearman "
                f"{interval_text(row.estimate, row.low, row.high, 2)}, {row.photos} photos."
            )
    for row in found.overlaps.get(method, ()):
        if row.measure == "auroc":
            yield (
                f"{method} against the marked pixels: AUROC "
                f"{interval_text(row.estimate, row.low, row.high, 2)}, 0.5 is chance."
            )


def explanation_tables(explained: Explained, found: Findings) -> Iterator[Table]:
    """All tables of the page."""
    yield _methods_table(found.methods)
    yield _hidden_table(found.hidden)
    yield _shares_table(shown_method(found), found.regions[shown_method(found)])
    if found.agreement:
        yield _agreement_table(found)
    if found.overlaps:
        yield _overlap_table(found)


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
    whole = {row.group: row for row in rows if row.region == NOTHING}
    measures = ("separation", "auroc_lost", "auroc_only")
    body = [
        [name, *(_cell(rows, name, measure, "all") for measure in measures),
         *(_cell(rows, name, "separation", group) for group in KINDS[1:])]
        for name in _by_separation(rows)
    ]  # fmt: skip
    header = ["region", "separation", "AUROC lost", "AUROC alone", *COLUMNS[1:]]
    whole_text = interval_text(whole["all"].estimate, whole["all"].low, whole["all"].high)
    notes = [f"AUROC with {NOTHING}: {whole_text}."]
    notes += [
        f"Separation: {HIDDEN_MEASURES['separation']}; also for women, men and their difference. "
        f"AUROC alone: {HIDDEN_MEASURES['auroc_only']}.",
        "A blurred region keeps its coarse form and colour: a sign that is coarse is not hidden.",
    ]
    return Table("hidden", "What hiding a region changes", header, body, notes)


def _by_separation(rows: Sequence[RegionRow]) -> list[str]:
    found = {r.region: r.estimate for r in rows if (r.measure, r.group) == ("separation", "all")}
    return sorted(found, key=lambda name: (found[name] != found[name], -found[name]))


def _shares_table(method: str, rows: Sequence[RegionRow]) -> Table:
    body = [
        [name, _cell(rows, name, "share", "all", 2),
         *(_cell(rows, name, "density", group, 2) for group in KINDS)]
        for name in (*(r for r in REGIONS if r != OUTSIDE), OUTSIDE)
    ]  # fmt: skip
    header = ["region", "share", *(f"density, {name}" for name in COLUMNS)]
    notes = [
        "Share of the attribution; density is that share over the region's share of the area, "
        "so 1 is chance. Right and left are the person's. Intervals: 95 %, by patient.",
        "regions.csv has every method, and the asymmetry of right and left.",
    ]
    return Table("regions", f"Attribution by region ({method})", header, body, notes)


def _agreement_table(found: Findings) -> Table:
    body = [
        [name, row.measure, row.level, interval_text(row.estimate, row.low, row.high),
         str(row.photos), str(row.patients), row.reason]
        for name, rows in found.agreement.items() for row in rows
    ]  # fmt: skip
    header = ["machine", "measure", "level", "agreement", "photos", "patients", ""]
    notes = [
        "Order of the regions by attribution over area (hidden regions: by size of the effect) "
        "against the readers' mean share. By photo: mean of photos; cohort: of the mean shares."
    ]
    return Table("readers", "Machine against readers: order of the regions", header, body, notes)


def _overlap_table(found: Findings) -> Table:
    body = [
        [name, row.measure, interval_text(row.estimate, row.low, row.high),
         number_text(row.chance), str(row.photos), str(row.patients)]
        for name, rows in found.overlaps.items() for row in rows
    ]  # fmt: skip
    header = ["method", "measure", "agreement", "chance", "photos", "patients"]
    notes = [
        "AUROC: that a marked pixel is hotter than one not marked. IoU: with as many of the "
        "hottest pixels. Pointing: the hottest pixel is marked."
    ]
    return Table("masks", "Machine against marked pixels", header, body, notes)


def _cell(rows: Sequence[RegionRow], region: str, measure: str, group: str, digits: int = 2) -> str:
    row = next(r for r in rows if (r.region, r.measure, r.group) == (region, measure, group))
    return interval_text(row.estimate, row.low, row.high, digits)


def _regions_csv(found: Findings, hidden_by: str) -> str:
    """Every row of every table of regions; the full precision."""
    text = io.StringIO()
    names = [field.name for field in fields(RegionRow)]
    writer = csv.DictWriter(text, ["method", *names], lineterminator="\n")
    writer.writeheader()
    for method, rows in {**found.regions, hidden_by: found.hidden}.items():
        writer.writerows({"method": method} | asdict(row) for row in rows)
    return text.getvalue()


def _figures(
    out: Path, explained: Explained, found: Findings, thumbnails: bool
) -> Iterator[tuple[str, Path]]:
    method, folder = shown_method(found), out / "figures"
    hidden, faces = folder / "hidden_regions.png", folder / "mean_faces.png"
    densities, examples = folder / "region_densities.png", folder / "examples.png"
    plot_hidden(hidden, found.hidden)
    yield "What hiding a region changes, for all, women and men.", hidden
    plot_mean_faces(faces, explained, method)
    yield f"Mean faces with the mean of {method} above its own average.", faces
    plot_densities(densities, found.regions[method], method)
    yield f"{method} by region.", densities
    examples.unlink(missing_ok=True)
    if thumbnails:
        plot_examples(examples, explained, method)
        yield (
            f"The surest photos of each kind with {method}. Shows persons: do not share.",
            examples,
        )
