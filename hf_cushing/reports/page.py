"""``report.html``: one self-contained page for every command."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

from hf_cushing import __version__
from hf_cushing.files import render_template
from hf_cushing.reports.table import Table
from hf_cushing.schema import RESEARCH_NOTICE


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
        "report.html.jinja",
        title=title,
        notice=RESEARCH_NOTICE,
        version=__version__,
        verdicts=verdicts,
        tables=tables,
        figures=figures,
        failed=failed or {},
        left_out=left_out or {},
    )


def embed(path: Path) -> str:
    """A picture as a data URL."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
