"""What a run recorded of how good its model is, as parts of a page."""

from __future__ import annotations

import html
import re
from functools import lru_cache
from pathlib import Path

from hf_cushing.app import pictures
from hf_cushing.app.page import Words
from hf_cushing.evaluation.gaps import Gap
from hf_cushing.evaluation.record import Report, report_from_json
from hf_cushing.evaluation.tables import (
    NAMES,
    POWER_METRICS,
    footnotes,
    gap_sentence,
    subgroup_rows,
    table_title,
    tables,
)
from hf_cushing.files import read_json
from hf_cushing.schema import UserError

SHOWN = ("auroc", "recall", "specificity", "precision", "npv", "f1", "brier", "ece")
FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
PICTURE = re.compile(r"!\[[^\]]*\]\([^)]*\)")


@lru_cache(maxsize=4)
def tested(folder: Path) -> Report | None:
    """The evaluation of the run in `folder`; None where there is none that can be read."""
    try:
        return report_from_json(read_json(folder / "metrics.json"))
    except (UserError, KeyError, TypeError):
        return None


def results(report: Report, words: Words) -> str:
    """Figures for all, women and men, with what must be said about them."""
    parts = [f"<h2>{html.escape(words['about_results'])}</h2>"]
    for label, unit, rows in tables(report.subgroups):
        if unit != "photo":
            continue
        body = subgroup_rows(rows)
        first = next(i for i, line in enumerate(body) if line[0] == "sample") + 1
        wanted = {NAMES.get(name, name) for name in SHOWN}
        body = body[:first] + [line for line in body[first:] if line[0] in wanted]
        cells = [[html.escape(cell) for cell in line] for line in body]
        title = table_title(label, unit, report.split)
        header = [words["measure"], *(row.subgroup for row in rows)]
        parts.append(f"<h3>{html.escape(title)}</h3>")
        parts.append(pictures.table(header, cells, caption=title))
        gaps = [gap for gap in report.gaps if (gap.label, gap.unit) == (label, unit)]
        parts.append(_notes(footnotes(report, label, unit, rows), gaps))
    return "".join(parts)


def _notes(notes: list[str], gaps: list[Gap]) -> str:
    notes = notes + [gap_sentence(gap) for gap in gaps if gap.metric in POWER_METRICS]
    return '<ul lang="en">' + "".join(f"<li>{html.escape(note)}</li>" for note in notes) + "</ul>"


def figures(folder: Path, words: Words) -> str:
    """The run's figures, within the page."""
    files = sorted([*folder.glob("*.png"), *folder.glob("figures/*.png")])
    parts = []
    for name, path in {path.stem: path for path in files}.items():
        text = html.escape(words["figure"].format(name=name.replace("_", " ")))
        source = pictures.data_uri(path.read_bytes(), "image/png")
        parts.append(
            f'<figure><img src="{source}" alt="{text}"><figcaption>{text}</figcaption></figure>'
        )
    if not parts:
        return ""
    return f'<h2>{words["about_figures"]}</h2><div class="pictures">{"".join(parts)}</div>'


def card(folder: Path) -> str:
    """The card's Markdown without its metadata and pictures; empty where there is none."""
    path = folder / "README.md"
    if not path.is_file():
        return ""
    return PICTURE.sub("", FRONT_MATTER.sub("", path.read_text(encoding="utf-8")))
