"""``report.html``: one self-contained page with every table and figure."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_cushing import __version__
from hf_cushing.evaluation.curves import (
    plot_net_benefit,
    plot_precision,
    plot_reliability,
    plot_roc,
)
from hf_cushing.evaluation.figures import plot_confusion, plot_forest, plot_gaps
from hf_cushing.evaluation.ordinal_tables import grade_verdicts
from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.evaluation.subgroups import MACRO
from hf_cushing.evaluation.tables import (
    GAP_HEADER,
    footnotes,
    format_value,
    further_tables,
    gap_notes,
    gap_rows,
    gap_sentence,
    subgroup_rows,
    table_title,
    tables,
)
from hf_cushing.files import render_template, write_text
from hf_cushing.schema import RESEARCH_NOTICE

if TYPE_CHECKING:
    from hf_cushing.evaluation.report import Report


def write_page(out: Path, report: Report, predictions: Predictions) -> None:
    """Write the figures into `out`, and the page that holds them all."""
    sections = list(_sections(out, report))
    figures = [(caption, embed(out / name)) for name, caption in _figures(out, report, predictions)]
    text = render_template(
        "report.html.jinja",
        notice=RESEARCH_NOTICE,
        version=__version__,
        split=report.split,
        photos=len(predictions.of_split(report.split)),
        patients=len(set(predictions.of_split(report.split).patient_id.tolist())),
        verdicts=_verdicts(report),
        sections=sections,
        figures=figures,
    )
    write_text(out / "report.html", text)


def _verdicts(report: Report) -> list[str]:
    """The few sentences to read first."""
    found = grade_verdicts(report.grading) if report.grading else []
    found += [
        f"{row.label}, {row.subgroup}: AUROC {format_value(row.values['auroc'], 2)}, "
        f"F1 {format_value(row.values['f1'], 2)}, {row.positive_patients} patients with and "
        f"{row.negative_patients} without the disease"
        + (": insufficient for any statement." if row.size == "insufficient" else ".")
        for row in report.subgroups
        if row.unit == "photo" and row.label != MACRO
    ]
    for gap in report.gaps:
        if gap.unit == "photo" and gap.metric in ("f1", "auroc"):
            found.append(f"{gap.label}: {gap_sentence(gap)}")
    return found


def _sections(out: Path, report: Report) -> Iterator[dict[str, Any]]:
    for label, unit, rows in tables(report.subgroups):
        name = f"forest_{label}_{unit}.png"
        plot_forest(out / name, rows)
        yield {
            "unit": unit,
            "title": table_title(label, unit, report.split),
            "header": ["", *(row.subgroup for row in rows)],
            "body": subgroup_rows(rows),
            "notes": footnotes(report, label, unit, rows),
            "figure": embed(out / name),
            "caption": "Estimates with 95 % intervals; pale: too few patients for a statement.",
        }
        gaps = [gap for gap in report.gaps if (gap.label, gap.unit) == (label, unit)]
        if gaps:
            name = f"gaps_{label}_{unit}.png"
            plot_gaps(out / name, gaps)
            yield {
                "unit": unit,
                "title": f"{label}, women minus men, by {unit}",
                "header": GAP_HEADER,
                "body": gap_rows(gaps),
                "notes": [note.removeprefix("- ") for note in gap_notes(gaps)],
                "figure": embed(out / name),
                "caption": "A gap inside the grey could not have been found, if it is there.",
            }
    for title, header, body, notes in further_tables(report):
        plain = [note.removeprefix("- ") for note in notes]
        yield {"unit": "photo", "title": title, "header": header, "body": body, "notes": plain,
               "figure": ""}  # fmt: skip


def _figures(out: Path, report: Report, predictions: Predictions) -> Iterator[tuple[str, str]]:
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
        yield name, caption


def embed(path: Path) -> str:
    """A picture as a data URL."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
