"""Commands that evaluate and use a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hf_cushing.cli.common import AsJson, app, print_json, progress_bars, say
from hf_cushing.schema import RESEARCH_NOTICE, UsageError, UserError


@app.command()
def evaluate(
    run: Annotated[
        list[str],
        typer.Argument(help="Run folder, predictions.parquet or Hub id; several folds are pooled."),
    ],
    out: Annotated[Path, typer.Option(help="Report folder to make.")],
    dataset: Annotated[
        str | None,
        typer.Option(help="Dataset to score; without it, the recorded predictions are used."),
    ] = None,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    by: Annotated[
        list[str] | None,
        typer.Option(help="Further subgroups: site, age, bmi:25,30, sex*age; may be repeated."),
    ] = None,
    threshold_rule: Annotated[
        str | None,
        typer.Option(
            help="f1, youden, sensitivity:0.9, specificity:0.9 or cost:5, on validation; "
            "by default the run's own."
        ),
    ] = None,
    per_sex_thresholds: Annotated[
        bool, typer.Option("--per-sex-thresholds", help="Women and men have their own threshold.")
    ] = False,
    abstain: Annotated[
        float, typer.Option(help="Let the model say 'uncertain', at this error rate (0 = never).")
    ] = 0.0,
    against: Annotated[
        list[str] | None,
        typer.Option(help="Run or report folder of another model on the same photos."),
    ] = None,
    grades: Annotated[
        str | None,
        typer.Option(
            help="The labels as grades of severity, mildest first: control,mild,severe; "
            "an ordinal run knows its own."
        ),
    ] = None,
    cpu: Annotated[bool, typer.Option(help="Do not use an accelerator.")] = False,
    as_json: AsJson = False,
) -> None:
    """Metrics for all, women and men, with intervals; the threshold comes from validation."""
    from hf_cushing.training.environment import quiet_libraries

    quiet_libraries()
    from hf_cushing.evaluation.command import evaluate_runs
    from hf_cushing.evaluation.options import EvaluationOptions
    from hf_cushing.evaluation.record import report_to_json
    from hf_cushing.evaluation.report import write_report
    from hf_cushing.evaluation.report_tables import report_tables
    from hf_cushing.files import check_report_folder
    from hf_cushing.reports.table import tables_to_markdown

    check_report_folder(out, "metrics.json")
    if not 0 <= abstain < 1:
        raise UsageError(f"--abstain {abstain}: give an error rate of 0 or more, below 1")
    options = EvaluationOptions(
        split=split,
        by=tuple(dict.fromkeys(["sex", *(by or [])])),
        per_sex=per_sex_thresholds,
        abstain=abstain,
        grades=tuple(name.strip() for name in grades.split(",")) if grades else (),
    )
    report, predictions = evaluate_runs(
        run, options, dataset=dataset, rule=threshold_rule, against=against or (), cpu=cpu
    )
    write_report(out, report, predictions, full=True)
    say(f"report: {out / 'report.html'}")
    print_json(report_to_json(report)) if as_json else print(
        tables_to_markdown(report_tables(report))
    )


@app.command()
def predict(
    run: Annotated[str, typer.Argument(help="Run folder or Hub id.")],
    photos: Annotated[
        list[Path],
        typer.Argument(help="Photographs, a folder of them, or a table with file_name and sex."),
    ],
    sex: Annotated[
        str, typer.Option(help="female, male or unknown: of those whose sex no table states.")
    ] = "unknown",
    csv: Annotated[Path | None, typer.Option(help="Write all numbers into this CSV.")] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit on the Hub.")] = None,
    cpu: Annotated[bool, typer.Option(help="Do not use an accelerator.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find the face in each photo and say what the model makes of it. Research use only."""
    from hf_cushing.training.environment import quiet_libraries

    quiet_libraries()
    from hf_cushing.files import write_text
    from hf_cushing.predict.answer import Predictor
    from hf_cushing.predict.batch import photo_sources, rows_of, rows_to_csv, sentence
    from hf_cushing.run import Run

    sources = photo_sources(photos, sex)
    predictor = Predictor(Run(run, revision), cpu=cpu)
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


@app.command()
def explain(
    run: Annotated[str, typer.Argument(help="Run folder or Hub id.")],
    dataset: Annotated[str, typer.Option(help="Prepared dataset: folder or Hub id.")],
    out: Annotated[Path, typer.Option(help="Report folder; called again, it goes on there.")],
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    label: Annotated[
        str | None, typer.Option(help="The disease; may be left out where there is one.")
    ] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option(help="Heatmap to make; may be repeated. By default all quick ones that fit."),
    ] = None,
    how: Annotated[
        str, typer.Option(help="What hides a region: blur, mean_skin or inpaint.")
    ] = "blur",
    readers: Annotated[
        Path | None, typer.Option(help="CSV of readers: reader, photo_id, region, score.")
    ] = None,
    masks: Annotated[
        Path | None, typer.Option(help="Folder of marked crops: READER/PHOTO_ID.png.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Most photos; 0 for all.")] = 0,
    faithful_photos: Annotated[
        int, typer.Option(min=1, help="Photos on which the heatmaps are judged.")
    ] = 24,
    batch_size: Annotated[int, typer.Option(min=1, help="Photos at once.")] = 8,
    thumbnails: Annotated[
        bool, typer.Option("--thumbnails/--no-thumbnails", help="Show persons in the report.")
    ] = True,
    cpu: Annotated[bool, typer.Option(help="Do not use an accelerator.")] = False,
    as_json: AsJson = False,
) -> None:
    """Where in the face the model looks: heatmaps that are judged, hidden regions, readers."""
    from hf_cushing.training.environment import quiet_libraries

    quiet_libraries()
    from hf_cushing.explain.command import explain_to
    from hf_cushing.explain.options import ExplainOptions
    from hf_cushing.explain.report import explanation_to_json, verdicts

    options = ExplainOptions(
        split=split,
        label=label,
        methods=tuple(dict.fromkeys(methods or ())),
        how=how,
        limit=limit,
        faithful_photos=faithful_photos,
        batch_size=batch_size,
        cpu=cpu,
    )
    with progress_bars() as progress:
        explained, found = explain_to(
            out, run, dataset, options,
            readers=readers, masks=masks, thumbnails=thumbnails, progress=progress,
        )  # fmt: skip
    say(f"report: {out / 'report.html'}")
    if as_json:
        print_json(explanation_to_json(explained, found, options))
    else:
        print("\n".join(verdicts(explained, found)))


@app.command()
def demo(
    photos: Annotated[int, typer.Option(help="Size of the invented cohort.")] = 343,
    model: Annotated[str, typer.Option(help="Model to train.")] = "tiny-resnet",
) -> None:
    """Draw faces, prepare, train, evaluate: into data/demo and runs/demo, in minutes on a CPU."""
    from hf_cushing.demo import run_demo

    with progress_bars() as progress:
        run_demo(photos, model, progress=progress)


@app.command()
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
