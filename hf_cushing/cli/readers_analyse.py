"""`hf-cushing readers analyse`: readers beside the model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hf_cushing.cli.common import AsJson, print_json, say
from hf_cushing.cli.readers import readers


@readers.command()
def analyse(
    answers: Annotated[
        Path, typer.Argument(help="Reading kit, or a table of answers (CSV, JSON lines, Parquet).")
    ],
    run: Annotated[
        list[str],
        typer.Option(help="Run or report folder of the model; may be repeated to pool folds."),
    ],
    out: Annotated[Path, typer.Option(help="Report folder to make.")],
    dataset: Annotated[
        str | None,
        typer.Option(help="Dataset to score; without it, the run's recorded predictions serve."),
    ] = None,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    key: Annotated[
        Path | None, typer.Option(help="The kit's key.csv, if it was moved elsewhere.")
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="The disease, if the model knows several.")
    ] = None,
    cpu: Annotated[bool, typer.Option(help="Do not use an accelerator.")] = False,
    as_json: AsJson = False,
) -> None:
    """How good readers are, alone, beside the model and with it, with intervals."""
    if dataset is not None:
        from hf_cushing.training.environment import quiet_libraries

        quiet_libraries()
    from hf_cushing.files import check_report_folder
    from hf_cushing.readers.cases import load_study
    from hf_cushing.readers.pages import reader_markdown, write_reader_report
    from hf_cushing.readers.report import analyse_readers, report_to_json

    check_report_folder(out, "readers.json")
    study = load_study(answers, run, dataset=dataset, split=split, label=label, key=key, cpu=cpu)
    report = analyse_readers(study)
    write_reader_report(out, study, report)
    say(f"report: {out / 'report.html'}")
    print_json(report_to_json(report)) if as_json else print(reader_markdown(report))
