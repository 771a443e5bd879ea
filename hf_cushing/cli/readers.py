"""Commands of a reader study: make a reading kit, serve the reading room, write out answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hf_cushing.cli.common import AsJson, app, print_json, progress_bars, say
from hf_cushing.schema import RESEARCH_NOTICE, UserError

readers = typer.Typer(help="Reader studies: how well people do, alone and beside the model.")
app.add_typer(readers, name="readers", no_args_is_help=True)

KitFolder = Annotated[Path, typer.Argument(help="Kit made by `readers make`.")]


@readers.command()
def make(
    dataset: Annotated[str, typer.Option(help="Dataset folder or Hub id.")],
    out: Annotated[Path, typer.Option(help="Kit to make: a new folder.")],
    readers: Annotated[str, typer.Option(help="How many, or a CSV with columns reader, level.")],
    level: Annotated[
        str | None,
        typer.Option(
            help="With a number of readers: student, resident, endocrinologist or expert."
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    label: Annotated[
        str | None, typer.Option(help="Disease to be rated, where the dataset has several.")
    ] = None,
    repeats: Annotated[
        float, typer.Option(help="Share of the cases that each reader sees twice, 0 to 0.5.")
    ] = 0.1,
    cases: Annotated[
        int | None,
        typer.Option(help="So many photos, as many of each label and sex; by default all."),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(help="Run folder, for a second read with the model's score shown."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the choice and the orders.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Make a reading kit and print each reader's login code, this once."""
    from hf_cushing.training.environment import quiet_libraries

    quiet_libraries()
    from hf_cushing.readers.kit import KitOptions, make_kit, parse_readers

    options = KitOptions(
        readers=parse_readers(readers, level),
        split=split,
        label=label,
        repeats=repeats,
        cases=cases,
        seed=seed,
    )
    with progress_bars() as progress:
        codes = make_kit(dataset, out, options, run=run, progress=progress)
    if as_json:
        print_json({"kit": str(out), "codes": codes})
    else:
        for name, code in codes.items():
            print(f"{name}\t{code}")
    say(f"These login codes are kept nowhere: hand them out now. Then `readers serve {out}`.")
    say(f"{out / 'key.csv'} says who is who; the reading room does not need it.")


@readers.command()
def serve(
    kit: KitFolder,
    port: Annotated[int, typer.Option(help="Port.")] = 7860,
    host: Annotated[
        str, typer.Option(help="127.0.0.1 for this machine alone; 0.0.0.0 for its network.")
    ] = "127.0.0.1",
    language: Annotated[str, typer.Option(help="Of the page: en or zh.")] = "en",
) -> None:
    """Open the reading room until Ctrl+C; answers are saved at once, readers may come back."""
    try:
        from hf_cushing.app.reading_room import serve_room
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        raise UserError('the reading room needs gradio: pip install "hf-cushing[app]"') from None
    say(RESEARCH_NOTICE)
    serve_room(kit, host=host, port=port, language=language, tell=say)


@readers.command()
def export(
    kit: KitFolder,
    out: Annotated[Path, typer.Option(help="CSV to write.")],
    key: Annotated[
        Path | None, typer.Option(help="The kit's key.csv, if it was moved elsewhere.")
    ] = None,
) -> None:
    """Write all answers as one long table, and the ticked regions as another."""
    from hf_cushing.readers.answers import export as long_table
    from hf_cushing.readers.answers import region_rows, write_rows

    table = long_table(kit, key)
    regions = out.with_name(f"{out.stem}_regions.csv")
    write_rows(out, table)
    if rows := region_rows(table):
        write_rows(regions, rows)
    say(f"{len(table)} answers: {out}; ticked regions: {regions}")
