"""The command that follows patients over dated visits."""

from __future__ import annotations

from typing import Annotated

import typer

from hf_cushing.cli.command import command
from hf_cushing.cli.common import (
    AsJson,
    ReportFolder,
    Revision,
    open_runs,
    progress_bars,
    say,
    show,
)
from hf_cushing.followup.options import FollowupOptions
from hf_cushing.schema import RESEARCH_NOTICE


@command()
def followup(
    run: Annotated[str, typer.Option(help="Run folder or Hub id.")],
    dataset: Annotated[
        str,
        typer.Option(
            help="Prepared dataset with dates of visits; or a table of raw photos with the columns "
            "file_name, patient_id, date (YYYY-MM-DD), and sex, treatment_date, stable, visit."
        ),
    ],
    out: ReportFolder,
    options: FollowupOptions,
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """Score patients' photos over dated visits: which change is more than fluctuation."""
    from hf_cushing.files import read_json
    from hf_cushing.followup.command import run_followup, work_folder
    from hf_cushing.followup.verdicts import cohort_screen
    from hf_cushing.reports.screen import screen_text

    with progress_bars(kept=work_folder(out)) as progress:
        found = run_followup(*open_runs([run], revision), dataset, out, options, progress=progress)
    for name, reason in found.left_out.items():
        say(f"left out: {name}: {reason}")
    say(f"patients' pages: {len(found.cohort.patients)} in {out / 'patients'}")
    text = screen_text(cohort_screen(found), RESEARCH_NOTICE)
    show(read_json(out / "followup.json"), text, as_json=as_json, page=out / "followup.html")
