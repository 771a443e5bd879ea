"""Tables of words with what must be said about them, as Markdown, LaTeX, CSV and a page."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from hf_cushing import __version__
from hf_cushing.evaluation.exports import latex_lines
from hf_cushing.evaluation.tables import markdown_lines
from hf_cushing.files import render_template
from hf_cushing.schema import RESEARCH_NOTICE


@dataclass(frozen=True)
class Table:
    """A table with what must be said about it.

    Attributes
    ----------
    name : str
        For file names.
    title : str
    header : list of str
    body : list of list of str
    notes : list of str
    """

    name: str
    title: str
    header: list[str]
    body: list[list[str]]
    notes: list[str]


def tables_to_markdown(tables: Sequence[Table]) -> str:
    """All tables under the research notice."""
    lines = [f"> {RESEARCH_NOTICE}", ""]
    for table in tables:
        lines += [f"### {table.title}", "", *markdown_lines(table.header, table.body), ""]
        lines += [*(f"- {note}" for note in table.notes), ""]
    return "\n".join(lines)


def tables_to_latex(tables: Sequence[Table]) -> str:
    """All tables for LaTeX with booktabs."""
    lines = [f"% {RESEARCH_NOTICE}"]
    for table in tables:
        lines += latex_lines(table.title, table.header, table.body)
    return "\n".join(lines) + "\n"


def table_to_csv(table: Table) -> str:
    """One table."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([table.header, *table.body])
    return text.getvalue()


def tables_to_page(
    title: str,
    *,
    verdicts: Sequence[str],
    tables: Sequence[Table],
    figures: Sequence[tuple[str, str]],
    failed: dict[str, str] | None = None,
    left_out: dict[str, str] | None = None,
) -> str:
    """One self-contained page: what to read first, then tables, then figures.

    Parameters
    ----------
    figures : sequence of (str, str)
        Caption and embedded picture.
    failed, left_out : dict, optional
        Name to reason.
    """
    return render_template(
        "tables.html.jinja",
        title=title,
        notice=RESEARCH_NOTICE,
        version=__version__,
        verdicts=verdicts,
        tables=tables,
        figures=figures,
        failed=failed or {},
        left_out=left_out or {},
    )
