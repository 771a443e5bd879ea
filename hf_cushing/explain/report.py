"""The report of an explanation: tables, figures, one page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, astuple, fields
from pathlib import Path
from typing import Any

from hf_cushing import __version__
from hf_cushing.evaluation.origin import Origin
from hf_cushing.explain.cohort import Explained
from hf_cushing.explain.face_figure import plot_face
from hf_cushing.explain.figures import plot_densities, plot_examples, plot_hidden, plot_mean_faces
from hf_cushing.explain.findings import Findings
from hf_cushing.explain.options import ExplainOptions
from hf_cushing.explain.tables import explanation_tables
from hf_cushing.explain.verdicts import explanation_screen
from hf_cushing.files import write_json, write_text
from hf_cushing.reports.page import tables_to_page
from hf_cushing.reports.screen import screen_lines
from hf_cushing.reports.table import Table, table_to_csv, tables_to_markdown
from hf_cushing.schema import RESEARCH_NOTICE
from hf_cushing.stats.region_shares import RegionRow

SCHEMA_VERSION = 1

FACE = (
    "How much less the classes differ, in log-odds, when a region is hidden alone (95 %, by "
    "patient). Bold and coloured: shown to count. The face is a mean of persons."
)


def write_explanation(
    out: Path,
    explained: Explained,
    findings: Findings,
    options: ExplainOptions,
    *,
    origin: Origin,
    thumbnails: bool,
) -> None:
    """Write ``regions.csv``, ``explain.json``, ``explain.md``, figures and ``report.html``.

    Parameters
    ----------
    out : Path
    origin : Origin
        Of the model, with the dataset explained.
    thumbnails : bool
        Whether photos of persons may be shown, in ``figures/examples.png`` and on the page.
    """
    write_text(out / "regions.csv", table_to_csv(_all_regions(findings, options)))
    tables = explanation_tables(findings)
    write_text(out / "explain.md", tables_to_markdown(tables))
    face = out / "figures" / "face_regions.png"
    plot_face(face, explained, findings.hidden)
    page = tables_to_page(
        f"Where in the face: {explained.label}, {len(explained.photos)} photos",
        head=origin.head,
        screen=explanation_screen(explained, findings),
        lead=(FACE, face),
        tables=tables,
        figures=_figures(out / "figures", explained, findings, thumbnails),
    )
    write_text(out / "report.html", page)
    write_json(out / "explain.json", explanation_to_json(explained, findings, options))


def explanation_to_json(
    explained: Explained, findings: Findings, options: ExplainOptions
) -> dict[str, Any]:
    """Everything of the report but the table of all regions, as plain values."""
    tables = asdict(findings)
    del tables["regions"]
    return {
        "schema_version": SCHEMA_VERSION,
        "version": __version__,
        "notice": RESEARCH_NOTICE,
        "model_revision": explained.run.weights_revision,
        "dataset_revision": explained.dataset_revision,
        "label": explained.label,
        "photos": len(explained.photos),
        "options": asdict(options),
        "verdicts": screen_lines(explanation_screen(explained, findings)),
        "best_method": findings.best.method if findings.best else None,
        **tables,
    }


def _all_regions(findings: Findings, options: ExplainOptions) -> Table:
    """Every row of every table of regions, in full precision."""
    tables = {**findings.regions, f"hidden ({options.how})": findings.hidden}
    body = [[method, *map(str, astuple(row))] for method, rows in tables.items() for row in rows]
    header = ["method", *(field.name for field in fields(RegionRow))]
    return Table("regions", "All regions", header, body, [])


def _figures(
    folder: Path, explained: Explained, findings: Findings, thumbnails: bool
) -> Iterator[tuple[str, Path]]:
    """Draw the figures; captions and files."""
    method, examples = findings.shown, folder / "examples.png"
    hidden, faces = folder / "hidden_regions.png", folder / "mean_faces.png"
    densities = folder / "region_densities.png"
    plot_hidden(hidden, findings.hidden)
    yield "What hiding a region changes, for all, women and men.", hidden
    plot_mean_faces(faces, explained, method)
    yield f"Mean faces with the mean of {method} above its own average.", faces
    plot_densities(densities, findings.regions[method], method)
    yield f"{method} by region.", densities
    examples.unlink(missing_ok=True)
    if thumbnails:
        plot_examples(examples, explained, method)
        text = f"The surest photos of each kind with {method}. Shows persons: do not share."
        yield text, examples
