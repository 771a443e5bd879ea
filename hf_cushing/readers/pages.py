"""The folder that a reader study is written into: tables, figures and the page."""

from __future__ import annotations

from pathlib import Path

from hf_cushing.files import write_json, write_text
from hf_cushing.readers.case_tables import (
    agreement_table,
    cases_table,
    hardest_table,
    intra_table,
    overlap_table,
    pairs_table,
    regions_table,
    times_table,
)
from hf_cushing.readers.cases import ReaderStudy
from hf_cushing.readers.figures import plot_figures
from hf_cushing.readers.rate_tables import (
    differences_table,
    matched_table,
    means_table,
    performance_table,
    rates_table,
    sexes_counted_table,
    sexes_table,
)
from hf_cushing.readers.report import ReaderReport, report_to_json
from hf_cushing.readers.verdicts import verdicts
from hf_cushing.reports.page import embed, tables_to_page
from hf_cushing.reports.table import Table, table_to_csv, tables_to_markdown

SHOWN_TABLES = (
    sexes_table, sexes_counted_table, means_table, differences_table,
    matched_table, overlap_table, hardest_table, agreement_table, intra_table, times_table,
    regions_table,
)  # fmt: skip


def write_reader_report(out: Path, study: ReaderStudy, report: ReaderReport) -> None:
    """Write ``readers.json``, ``readers.md``, a CSV a table, the figures and ``report.html``."""
    tables = reader_tables(report)
    for table in (*tables, *further_tables(report)):
        write_text(out / "tables" / f"{table.name}.csv", table_to_csv(table))
    found = verdicts(report)
    figures = [(text, embed(out / name)) for name, text in plot_figures(out, study, report)]
    page = tables_to_page(
        f"Reader study: {report.label}",
        verdicts=[*found, *(f"Remark: {note}." for note in report.notes)],
        tables=tables,
        figures=figures,
        left_out=report.left_out,
    )
    write_json(out / "readers.json", report_to_json(report) | {"verdicts": found})
    write_text(out / "readers.md", reader_markdown(report))
    write_text(out / "report.html", page)


def reader_markdown(report: ReaderReport) -> str:
    """The research notice, verdicts, remarks and tables."""
    lines = [*verdicts(report), *(f"Remark: {note}." for note in report.notes)]
    lines += [f"Not possible: {name}: {why}." for name, why in report.left_out.items()]
    notice, tables = tables_to_markdown(reader_tables(report)).split("\n", 1)
    return "\n".join([notice, "", *(f"- {line}" for line in lines), tables])


def reader_tables(report: ReaderReport) -> list[Table]:
    """The tables of the page."""
    tables = [performance_table(report, read) for read in report.reads]
    tables += [make(report) for make in SHOWN_TABLES]
    return [table for table in tables if table.body]


def further_tables(report: ReaderReport) -> list[Table]:
    """Tables too long for the page: every figure, every pair of readers, every photo."""
    return [rates_table(report), pairs_table(report), cases_table(report)]
