"""The folder that a reader study is written into: tables, figures and the page."""

from __future__ import annotations

from pathlib import Path

from hf_cushing.files import write_json, write_text
from hf_cushing.readers.figures import plot_figures
from hf_cushing.readers.report import ReaderReport, report_to_json
from hf_cushing.readers.study import ReaderStudy
from hf_cushing.readers.tables import full_tables, page_tables
from hf_cushing.readers.verdicts import reader_screen
from hf_cushing.reports.page import tables_to_page
from hf_cushing.reports.screen import Section, screen_lines, screen_markdown
from hf_cushing.reports.table import table_to_csv, tables_to_markdown
from hf_cushing.schema import RESEARCH_NOTICE


def write_reader_report(out: Path, study: ReaderStudy, report: ReaderReport) -> None:
    """Write ``readers.json``, ``readers.md``, a CSV a table, the figures and ``report.html``."""
    tables = page_tables(report)
    for table in (*tables, *full_tables(report)):
        write_text(out / "tables" / f"{table.name}.csv", table_to_csv(table))
    page = tables_to_page(
        f"Reader study: {report.label}",
        head=study.origin.head,
        screen=reader_screen(report),
        tables=tables,
        figures=plot_figures(out, study, report),
        left_out=report.left_out,
    )
    verdicts = screen_lines(reader_screen(report))
    write_json(out / "readers.json", report_to_json(report) | {"verdicts": verdicts})
    write_text(out / "readers.md", reader_markdown(report))
    write_text(out / "report.html", page)


def reader_markdown(report: ReaderReport) -> str:
    """The research notice, verdicts, remarks and tables."""
    missing = [f"Not possible: {name}: {why}." for name, why in report.left_out.items()]
    screen = [*reader_screen(report), *([Section("Left out", tuple(missing))] if missing else [])]
    tables = tables_to_markdown(page_tables(report), notice=False)
    return "\n\n".join([f"> {RESEARCH_NOTICE}", screen_markdown(screen), tables])
