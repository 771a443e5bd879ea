"""``report.html``: one self-contained page for every command."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from hf_cushing import __version__
from hf_cushing.files import render_template
from hf_cushing.reports.screen import Section
from hf_cushing.reports.table import Table
from hf_cushing.schema import RESEARCH_NOTICE


def tables_to_page(
    title: str,
    *,
    verdicts: Sequence[str] = (),
    screen: Sequence[Section] = (),
    head: Sequence[str] = (),
    tables: Sequence[Table],
    figures: Iterable[tuple[str, Path]],
    failed: Mapping[str, str] = MappingProxyType({}),
    left_out: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """One self-contained page: what to read first, then tables, then figures.

    Parameters
    ----------
    verdicts : sequence of str
        What to read first, as a list; or
    screen : sequence of Section
        the same under titles.
    head : sequence of str
        Which model, run, dataset and day the page is of.
    figures : iterable of (str, Path)
        Captions and PNG files, which become part of the page.
    failed, left_out : mapping
        Name to reason.
    """
    return render_template(
        "report.html.jinja",
        title=title,
        notice=RESEARCH_NOTICE,
        version=__version__,
        verdicts=verdicts,
        screen=screen,
        head=head,
        tables=tables,
        figures=list(figures),
        failed=failed,
        left_out=left_out,
        embed=embed,
    )


def embed(path: Path) -> str:
    """A picture as a data URL."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
