"""Commands that evaluate and use a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from hf_cushing.cli.command import command
from hf_cushing.cli.common import (
    AsJson,
    Cpu,
    Dataset,
    ReportFolder,
    Revision,
    RunName,
    Thumbnails,
    open_runs,
    print_json,
    progress_bars,
    say,
    show,
)
from hf_cushing.evaluation.options import EvaluationOptions, PlanOptions
from hf_cushing.explain.options import ExplainOptions
from hf_cushing.schema import RESEARCH_NOTICE, Several, UserError


@command()
def evaluate(
    run: Annotated[
        list[str],
        typer.Argument(help="Run folder, predictions.parquet or Hub id; several folds are pooled."),
    ],
    out: ReportFolder,
    options: EvaluationOptions,
    dataset: Annotated[
        str | None,
        typer.Option(help="Dataset to score; without it, the recorded predictions are used."),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(help="Run or report folder of another model on the same photos."),
    ] = None,
    revision: Revision = None,
    cpu: Cpu = False,
    as_json: AsJson = False,
) -> None:
    """Metrics for all, women and men, with intervals; the threshold comes from validation."""
    from hf_cushing.evaluation.command import evaluate_into
    from hf_cushing.evaluation.first_screen import first_screen
    from hf_cushing.evaluation.record import report_to_json
    from hf_cushing.reports.screen import screen_text

    report = evaluate_into(
        out, open_runs(run, revision), options, dataset=dataset,
        against=open_runs(against or ()), cpu=cpu,
    )  # fmt: skip
    text = screen_text(first_screen(report), RESEARCH_NOTICE)
    show(report_to_json(report), text, as_json=as_json, page=out / "report.html")


@command(quiet=False)
def plan(
    options: PlanOptions,
    run: Annotated[
        str | None,
        typer.Option("--from", help="Run or report folder: what it found is what is expected."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """How many women and men a study needs, or what those that there are can show."""
    from hf_cushing.evaluation.planning import (
        make_plan,
        observed,
        plan_sentences,
        plan_table,
        plan_to_json,
    )
    from hf_cushing.reports.screen import Section, screen_text
    from hf_cushing.reports.table import markdown_lines

    if run:
        (source,) = open_runs([run])
        if source.report is None:
            raise UserError(f"--from {run} holds no metrics.json; give a finished run or report")
        options = observed(source.report, options)
    made = make_plan(options)
    table = plan_table(made)
    parts = [Section("Answer", tuple(plan_sentences(made)))]
    notes = [Section("Notes", tuple(table.notes))]
    lines = ["", *markdown_lines(table.header, table.body), ""]
    text = "\n".join([screen_text(parts), *lines, screen_text(notes, RESEARCH_NOTICE)])
    show(plan_to_json(made), text, as_json=as_json)


@command()
def predict(
    run: RunName,
    photos: Annotated[
        list[Path],
        typer.Argument(help="Photographs, a folder of them, or a table with file_name and sex."),
    ],
    sex: Annotated[
        Literal["female", "male", "unknown"],
        typer.Option(help="Of those whose sex no table states."),
    ] = "unknown",
    on_several: Annotated[
        Several, typer.Option(help="Which face counts where several are there, none dominating.")
    ] = "refuse",
    prevalence: Annotated[
        float | None,
        typer.Option(help="Also the probability where this share has the disease, as 0.01."),
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write all numbers into this CSV.")] = None,
    revision: Revision = None,
    cpu: Cpu = False,
    as_json: AsJson = False,
) -> None:
    """Find the face in each photo and say what the model makes of it. Research use only."""
    from hf_cushing.files import write_text
    from hf_cushing.predict.answer import Predictor
    from hf_cushing.predict.batch import photo_sources, rows_of, rows_to_csv, sentence

    sources = photo_sources(photos, sex)
    predictor = Predictor(*open_runs([run], revision), cpu=cpu, on_several=on_several,
                          prevalence=prevalence)  # fmt: skip
    rows = []
    with progress_bars() as progress:
        advance = progress("Reading photos", len(sources))
        for row in rows_of(predictor, sources):
            rows.append(row)
            advance(1)
    if csv:
        write_text(csv, rows_to_csv(predictor.run, rows))
        say(f"written: {csv}")
    if as_json:
        print_json({"notice": RESEARCH_NOTICE, "photos": [row.to_json() for row in rows]})
    elif not csv:
        print("\n".join(sentence(row) for row in rows))
    say(RESEARCH_NOTICE)
    failed = sum(row.answer is None for row in rows)
    if failed:
        raise UserError(f"{failed} of {len(rows)} photos could not be used")


@command()
def explain(
    run: RunName,
    dataset: Dataset,
    out: Annotated[Path, typer.Option(help="Report folder; called again, it goes on there.")],
    options: ExplainOptions,
    readers: Annotated[
        Path | None, typer.Option(help="CSV of readers: reader, photo_id, region, score.")
    ] = None,
    masks: Annotated[
        Path | None, typer.Option(help="Folder of marked crops: READER/PHOTO_ID.png.")
    ] = None,
    thumbnails: Thumbnails = True,
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """Where in the face the model looks: heatmaps that are judged, hidden regions, readers."""
    from hf_cushing.explain.command import explain_to
    from hf_cushing.explain.report import explanation_to_json
    from hf_cushing.explain.verdicts import explanation_screen
    from hf_cushing.reports.screen import screen_text

    with progress_bars(kept=out) as progress:
        explained, found = explain_to(
            out, *open_runs([run], revision), dataset, options,
            readers=readers, masks=masks, thumbnails=thumbnails, progress=progress,
        )  # fmt: skip
    text = screen_text(explanation_screen(explained, found), RESEARCH_NOTICE)
    value = explanation_to_json(explained, found, options)
    show(value, text, as_json=as_json, page=out / "report.html")


@command(quiet=False)
def demo(
    photos: Annotated[int, typer.Option(help="Size of the invented cohort.")] = 343,
) -> None:
    """Draw faces, prepare, train, evaluate: into data/demo and runs/demo, in a minute on a CPU."""
    from hf_cushing.demo import run_demo

    with progress_bars() as progress:
        run_demo(photos, progress=progress)


@command(quiet=False)
def env(as_json: AsJson = False) -> None:
    """Versions, devices, and the short names of models."""
    from hf_cushing.models.backbones import BACKBONES
    from hf_cushing.training.environment import devices, environment

    facts = {"versions": environment(), "devices": devices(), "models": list(BACKBONES)}
    if as_json:
        print_json(facts)
        return
    for name, value in {**facts["versions"], **facts["devices"]}.items():
        print(f"{name}: {value}")
    print("models: " + ", ".join(BACKBONES))
    print("dlib's 68-point model was trained on iBUG 300-W: its licence forbids commercial use")
