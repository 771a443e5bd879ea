"""Tables of words with what must be said about them: Markdown, LaTeX, CSV; numbers as words."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hf_cushing.schema import RESEARCH_NOTICE

LATEX = {"%": r"\%", "&": r"\&", "_": r"\_", "–": "--", "≥": r"$\geq$", "<": r"$<$", "#": r"\#"}


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
    figure : Path, optional
        The table as a picture.
    caption : str
        Of the figure.
    folded : bool
        Whether a page shows its title alone until it is opened.
    """

    name: str
    title: str
    header: list[str]
    body: list[list[str]]
    notes: list[str]
    figure: Path | None = None
    caption: str = ""
    folded: bool = False


def tables_to_markdown(tables: Sequence[Table], *, notice: bool = True) -> str:
    """All tables, under the research notice unless the page has it already."""
    lines = [f"> {RESEARCH_NOTICE}", ""] if notice else []
    for table in tables:
        lines += [f"### {table.title}", "", *markdown_lines(table.header, table.body), ""]
        lines += [*(f"- {note}" for note in table.notes), ""]
    return "\n".join(lines)


def tables_to_latex(tables: Sequence[Table]) -> str:
    """All tables for LaTeX with booktabs."""
    lines = [f"% {RESEARCH_NOTICE}"]
    for table in tables:
        lines += _latex_lines(table)
    return "\n".join(lines) + "\n"


def table_to_csv(table: Table) -> str:
    """One table."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([table.header, *table.body])
    return text.getvalue()


def markdown_lines(header: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """A table in Markdown, a line each."""
    rule = "| --- |" + " --- |" * (len(header) - 1)
    return ["| " + " | ".join(header) + " |", rule, *("| " + " | ".join(r) + " |" for r in body)]


def _latex_lines(table: Table) -> list[str]:
    """A ``table`` with its caption."""

    def safe(text: str) -> str:
        return "".join(LATEX.get(letter, letter) for letter in text)

    def line(cells: Sequence[str]) -> str:
        return " & ".join(map(safe, cells)) + r" \\"

    return [
        r"\begin{table}", rf"\caption{{{safe(table.title)}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(table.header) - 1)}}}", r"\toprule", line(table.header),
        r"\midrule", *map(line, table.body), r"\bottomrule", r"\end{tabular}", r"\end{table}", "",
    ]  # fmt: skip


def interval_text(estimate: float, low: float, high: float, digits: int = 3) -> str:
    """``0.800 (0.700–0.900)``; negative bounds are set apart by `to`."""
    if math.isnan(estimate):
        return "–"
    if math.isnan(low):
        return f"{fixed(estimate, digits)} (no interval)"
    shown, first, last = (fixed(value, digits) for value in (estimate, low, high))
    return f"{shown} ({first}{' to ' if first.startswith('-') else '–'}{last})"


def fixed(value: float, digits: int = 3) -> str:
    """So many decimals, and a zero without a sign.

    >>> fixed(-0.0004)
    '0.000'
    """
    text = f"{value:.{digits}f}"
    return text if float(text) else text.lstrip("-")


def number_text(value: float) -> str:
    """Three digits, or a dash."""
    return fixed(value) if math.isfinite(value) else "–"


def p_text(p: float) -> str:
    """Three digits, ``< 0.001``, or a dash."""
    if math.isnan(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
