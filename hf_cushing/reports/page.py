"""``report.html``: one self-contained page for every command."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from hf_cushing.files import PageHead, render_page
from hf_cushing.reports.screen import Section
from hf_cushing.reports.table import Table


def tables_to_page(
    title: str,
    *,
    head: PageHead,
    screen: Sequence[Section],
    lead: tuple[str, Path] | None = None,
    tables: Sequence[Table],
    figures: Iterable[tuple[str, Path]],
    failed: Mapping[str, str] = MappingProxyType({}),
    left_out: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """One self-contained page: what to read first, then tables, then figures.

    Parameters
    ----------
    head : PageHead
    screen : sequence of Section
        What to read first.
    lead : (str, Path), optional
        Caption and PNG file of the one figure beside it.
    figures : iterable of (str, Path)
        Captions and PNG files, which become part of the page.
    failed, left_out : mapping
        Name to reason.
    """
    return render_page(
        "report.html.jinja",
        title=title,
        head=head,
        screen=screen,
        lead=lead,
        tables=tables,
        figures=list(figures),
        failed=failed,
        left_out=left_out,
        embed=embed,
    )


def embed(path: Path) -> str:
    """A picture as a data URL."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
