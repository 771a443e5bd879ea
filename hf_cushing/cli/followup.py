"""The command that follows patients over dated visits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hf_cushing.cli.common import AsJson, app, print_json, progress_bars, say
from hf_cushing.schema import RESEARCH_NOTICE, UsageError


@app.command()
def followup(
    run: Annotated[str, typer.Option(help="Run folder or Hub id.")],
    dataset: Annotated[
        str,
        typer.Option(
            help="Prepared dataset with dates of visits; or a table of raw photos with the columns "
            "file_name, patient_id, date (YYYY-MM-DD), and sex, treatment_date, stable, visit."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Report folder to make.")],
    visits: Annotated[
        Path | None,
        typer.Option(help="For a dataset: table of photo_id, date, treatment_date, stable."),
    ] = None,
    split: Annotated[
        str, typer.Option(help="Of a dataset: train, validation, test or all.")
    ] = "test",
    label: Annotated[
        str | None, typer.Option(help="Disease to follow, where the model knows several.")
    ] = None,
    regions: Annotated[
        bool, typer.Option("--regions", help="Say where in the face the model looked; slow.")
    ] = False,
    thumbnails: Annotated[bool, typer.Option(help="Show faces on the patients' pages.")] = True,
    num_proc: Annotated[int | None, typer.Option(help="Processes; all cores by default.")] = None,
    cpu: Annotated[bool, typer.Option(help="Do not use an accelerator.")] = False,
    as_json: AsJson = False,
) -> None:
    """Score patients' photos over dated visits: which change is more than fluctuation."""
    from hf_cushing.training.environment import quiet_libraries

    quiet_libraries()
    import os

    from hf_cushing.files import read_json
    from hf_cushing.followup.options import FollowupOptions
    from hf_cushing.followup.report import run_followup, work_folder
    from hf_cushing.followup.words import cohort_verdicts

    if num_proc is not None and num_proc < 1:
        raise UsageError(f"--num-proc {num_proc}: give 1 or more")
    options = FollowupOptions(
        split=split,
        visits=visits,
        label=label,
        regions=regions,
        thumbnails=thumbnails,
        num_proc=num_proc or os.cpu_count() or 1,
        cpu=cpu,
    )
    try:
        with progress_bars() as progress:
            found = run_followup(run, dataset, out, options, progress=progress)
    except KeyboardInterrupt:
        say(f"stopped: run it again to go on; what is done is in {work_folder(out)}")
        raise
    for name, reason in found.left_out.items():
        say(f"left out: {name}: {reason}")
    say(f"report: {out / 'followup.html'}, {len(found.patients)} patients' pages in its patients/")
    if as_json:
        print_json(read_json(out / "followup.json"))
        return
    for line in cohort_verdicts(found)[1:]:
        print(line)
    say(RESEARCH_NOTICE)
