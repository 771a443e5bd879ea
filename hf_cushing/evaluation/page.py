"""``report.html``: one self-contained page with every table and figure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

from hf_cushing.evaluation.curves import (
    plot_net_benefit,
    plot_precision,
    plot_reliability,
    plot_roc,
)
from hf_cushing.evaluation.figures import plot_confusion, plot_forest, plot_gaps
from hf_cushing.evaluation.first_screen import first_screen
from hf_cushing.evaluation.origin import Origin
from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.evaluation.record import Report
from hf_cushing.evaluation.tables import first_tables, report_tables
from hf_cushing.files import write_text
from hf_cushing.reports.page import tables_to_page
from hf_cushing.reports.table import Table

FOREST_CAPTION = "Estimates with 95 % intervals; pale: too few patients for a statement."
GAPS_CAPTION = "Grey: gaps below the minimum detectable difference; one inside may well be there."


def write_page(out: Path, report: Report, predictions: Predictions) -> None:
    """Write the figures into `out`, and the page that holds them all."""
    origin = report.origin or Origin()
    what, *rest = first_screen(report)
    labels = report.grading.grades if report.grading else predictions.positive_labels
    text = tables_to_page(
        f"{', '.join(labels)}: {origin.model}, {report.split} photos",
        head=origin.head,
        screen=[replace(what, lines=what.lines[1:]), *rest],  # the head says the first line
        tables=list(_illustrated(out, report)),
        figures=_figures(out, report, predictions),
    )
    write_text(out / "report.html", text)


def _illustrated(out: Path, report: Report) -> Iterator[Table]:
    """A few metrics first, then all tables, those of subgroups and gaps with their figures."""
    plots = {}
    for label, unit in product(report.labels, report.units):
        rows, gaps = report.rows(label, unit), report.gaps_of(label, unit)
        plots[f"{label}_{unit}"] = ("forest_", partial(plot_forest, rows=rows), FOREST_CAPTION)
        plots[f"gaps_{label}_{unit}"] = ("", partial(plot_gaps, gaps=gaps), GAPS_CAPTION)
    first = list(first_tables(report))
    yield from first
    shown = {table.name for table in first}
    for table in report_tables(report):
        if table.name in shown:
            continue
        table = replace(table, folded=True)
        if table.name in plots:
            prefix, plot, caption = plots[table.name]
            figure = out / f"{prefix}{table.name}.png"
            plot(figure)
            yield replace(table, figure=figure, caption=caption)
        else:
            yield table


def _figures(out: Path, report: Report, predictions: Predictions) -> Iterator[tuple[str, Path]]:
    for name, plot, caption in (
        ("roc.png", plot_roc, "ROC curves. Markers: the threshold in use. Bands: 95 %, by patient; "
         "none where patients are insufficient."),
        ("precision_recall.png", plot_precision, "Precision and recall. Dotted: the precision of "
         "calling everybody positive, which is the share of positives among these photos."),
        ("reliability.png", plot_reliability, "Reliability: on the dotted line, the probability "
         "given is the share with the disease. Bars: 95 % (Wilson, by patient)."),
        ("net_benefit.png", plot_net_benefit, "Decision curve: net benefit of acting on the model, "
         "at the share of positives among these photos, which is not that of a clinic."),
        ("confusion.png", plot_confusion, "Counts, and their share of the row."),
    ):  # fmt: skip
        plot(out / name, report, predictions)
        yield caption, out / name
