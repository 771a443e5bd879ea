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
    from hf_cushing.evaluation.record import report_to_json
    from hf_cushing.evaluation.report import EvaluationOptions, write_report
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
    photos: Annotated[list[Path], typer.Argument(help="Photographs.")],
    as_json: AsJson = False,
) -> None:
    """Find the face in each photo and print the probabilities. Research use only."""
    from hf_cushing.training.environment import quiet_libraries

    quiet_libraries()
    from hf_cushing.faces.photo import PhotoError
    from hf_cushing.predict.pipeline import called_labels, pipeline

    classify = pipeline(run)
    results, failed = [], 0
    for photo in photos:
        try:
            found = classify(photo)
            called = called_labels(run, found)
            results.append({"photo": str(photo), "result": found, "called": called})
        except (PhotoError, OSError) as error:
            failed += 1
            reason = error.strerror if isinstance(error, OSError) else str(error)
            results.append({"photo": str(photo), "error": reason})
    if as_json:
        print_json({"notice": RESEARCH_NOTICE, "photos": results})
    else:
        for entry in results:
            scores = [f"{r['label']} {r['score']:.3f}" for r in entry.get("result", [])]
            called = [f"; called {name} (operating point {point:.3f})"
                      for name, point in (entry.get("called") or {}).items()]  # fmt: skip
            told = ", ".join(scores) + "".join(called)
            print(f"{entry['photo']}: {told or 'not scored: ' + entry['error']}")
        say(RESEARCH_NOTICE)
    if failed:
        raise UserError(f"{failed} of {len(photos)} photos could not be scored")


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
    from hf_cushing.explain.cohort import ExplainOptions
    from hf_cushing.explain.command import explain_to
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
