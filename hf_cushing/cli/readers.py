"""Commands of a reader study: kit, reading room, answers as a table, readers beside the model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from hf_cushing.cli.command import app, command, parameter
from hf_cushing.cli.common import (
    AsJson,
    Dataset,
    Host,
    Port,
    ReportFolder,
    Revision,
    RootPath,
    needs_gradio,
    open_runs,
    progress_bars,
    say,
    show,
)
from hf_cushing.readers.options import AnalysisOptions, KitOptions
from hf_cushing.schema import RESEARCH_NOTICE

readers = typer.Typer(help="Reader studies: how well people do, alone and beside the model.")
app.add_typer(readers, name="readers", no_args_is_help=True)

KitFolder = Annotated[Path, typer.Argument(help="Kit made by `readers make`.")]
Key = parameter(AnalysisOptions, "key")


@command(readers)
def make(
    dataset: Dataset,
    out: Annotated[Path, typer.Option(help="Kit to make: a new folder.")],
    readers: Annotated[str, typer.Option(help="How many, or a CSV with columns reader, level.")],
    options: KitOptions,
    level: Annotated[
        str | None,
        typer.Option(
            help="With a number of readers: student, resident, endocrinologist or expert."
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(help="Run folder or Hub id, for a second read with what the model says."),
    ] = None,
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """Make a reading kit and print each reader's login code, this once."""
    from hf_cushing.readers.make_kit import make_kit, parse_readers

    model = open_runs([run], revision)[0] if run else None
    people = parse_readers(readers, level)
    with progress_bars() as progress:
        codes = make_kit(dataset, out, people, options, run=model, progress=progress)
    text = "\n".join(f"{name}\t{code}" for name, code in codes.items())
    show({"kit": str(out), "codes": codes}, text, as_json=as_json)
    say(f"These login codes are kept nowhere: hand them out now. Then `readers serve {out}`.")
    say(f"{out / 'key.csv'} says who is who; the reading room does not need it.")


@command(readers, quiet=False)
def serve(
    kit: KitFolder,
    port: Port = 7860,
    host: Host = "127.0.0.1",
    root_path: RootPath = "",
    language: Annotated[Literal["en", "zh"], typer.Option(help="Of the page.")] = "en",
) -> None:
    """Open the reading room until Ctrl+C; answers are saved at once, readers may come back."""
    with needs_gradio("the reading room"):
        from hf_cushing.app.reading_room import serve_room
    say(RESEARCH_NOTICE)
    serve_room(kit, host=host, port=port, root_path=root_path, language=language, tell=say)


@command(readers, quiet=False)
def export(
    kit: KitFolder,
    out: Annotated[Path, typer.Option(help="CSV to write.")],
    key: Key = None,
) -> None:
    """Write all answers as one long table, and the ticked regions as another."""
    from hf_cushing.readers.export import export, region_rows, write_rows

    table = export(kit, key)
    regions = out.with_name(f"{out.stem}_regions.csv")
    write_rows(out, table)
    if rows := region_rows(table):
        write_rows(regions, rows)
    say(f"{len(table)} answers: {out}; ticked regions: {regions}")


@command(readers)
def analyse(
    answers: Annotated[
        Path, typer.Argument(help="Reading kit, or a table of answers (CSV, JSON lines, Parquet).")
    ],
    run: Annotated[
        list[str],
        typer.Option(help="Run or report folder of the model; may be repeated to pool folds."),
    ],
    out: ReportFolder,
    options: AnalysisOptions,
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """How good readers are, alone, beside the model and with it, with intervals."""
    from hf_cushing.files import check_report_folder
    from hf_cushing.readers.page import write_reader_report
    from hf_cushing.readers.report import analyse_readers, report_to_json
    from hf_cushing.readers.study import load_study
    from hf_cushing.readers.verdicts import reader_screen
    from hf_cushing.reports.screen import screen_text

    check_report_folder(out, "readers.json")
    study = load_study(answers, open_runs(run, revision), options)
    report = analyse_readers(study)
    write_reader_report(out, study, report)
    text = screen_text(reader_screen(report), RESEARCH_NOTICE)
    show(report_to_json(report), text, as_json=as_json, page=out / "report.html")
