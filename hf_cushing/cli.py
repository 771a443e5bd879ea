"""The `hf-cushing` command: thin; everything heavy is imported inside a command."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from hf_cushing.schema import RESEARCH_NOTICE, UsageError, UserError

app = typer.Typer(
    help=f"Fine-tune and evaluate models on face photographs. {RESEARCH_NOTICE}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]


def main() -> None:
    """Run the command; exit codes 0 done, 1 data or environment at fault, 2 wrong usage."""
    try:
        app()
    except UserError as error:
        _say(f"hf-cushing: {error}")
        sys.exit(2 if isinstance(error, UsageError) else 1)


@app.command()
def prepare(
    raw: Annotated[Path, typer.Argument(help="Clinic folder: photos and metadata.csv.")],
    out: Annotated[Path, typer.Option(help="Dataset folder to make.")],
    labels: Annotated[str, typer.Option(help="Labels that may occur, with commas.")] = "",
    folds: Annotated[int, typer.Option(help="Cross-validation folds.")] = 5,
    repeats: Annotated[int, typer.Option(help="How often the folds are dealt anew.")] = 1,
    validation_size: Annotated[float, typer.Option(help="Share of the photos.")] = 0.15,
    test_size: Annotated[float, typer.Option(help="Share of the photos.")] = 0.2,
    external_site: Annotated[
        str, typer.Option(help="Sites, with commas, whose patients are the test split.")
    ] = "",
    seed: Annotated[int, typer.Option(help="Of splits and folds.")] = 0,
    crop_size: Annotated[int, typer.Option(help="Side of the crops in pixels.")] = 256,
    on_bad_photo: Annotated[
        str, typer.Option(help="reject (and account for it) or fail.")
    ] = "reject",
    identity: Annotated[
        bool, typer.Option(help="Compare faces (biometric data; not stored).")
    ] = True,
    merge_identities: Annotated[
        bool, typer.Option(help="Keep ids that seem to be one person together.")
    ] = False,
    keep_column: Annotated[
        list[str] | None, typer.Option(help="Carry this column of the table over; repeatable.")
    ] = None,
    hash_ids: Annotated[
        str,
        typer.Option(
            envvar="HF_CUSHING_SALT",
            metavar="SALT",
            show_envvar=True,
            help="Replace patient ids by hashes keyed with this secret.",
        ),
    ] = "",
    controls: Annotated[
        Path | None, typer.Option(help="Folder of public controls to add to train.")
    ] = None,
    match: Annotated[str, typer.Option(help="Match controls by sex, age or sex,age.")] = "",
    ratio: Annotated[float, typer.Option(help="Public controls for each patient.")] = 1.0,
    controls_split: Annotated[
        str, typer.Option(help="train, or all (like the clinic's own).")
    ] = "train",
    datasheet: Annotated[
        Path | None, typer.Option(help="YAML with consent, licence, … for the card.")
    ] = None,
    thumbnails: Annotated[bool, typer.Option(help="Show faces in audit.html.")] = True,
    allow: Annotated[bool, typer.Option("--allow", help="Exit 0 in spite of leakage.")] = False,
    num_proc: Annotated[int | None, typer.Option(help="Processes; all cores by default.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace another dataset in --out.")] = False,
    as_json: AsJson = False,
) -> None:
    """Turn a clinic folder into an aligned, split, audited dataset for load_dataset."""
    from hf_cushing.data.audit_report import read_audit
    from hf_cushing.data.controls import ControlsOptions
    from hf_cushing.data.datasheet import read_datasheet
    from hf_cushing.data.options import PrepareOptions
    from hf_cushing.data.prepare import prepare as run

    options = PrepareOptions(
        labels=_words(labels),
        folds=folds,
        repeats=repeats,
        validation_size=validation_size,
        test_size=test_size,
        external_sites=_words(external_site),
        seed=seed,
        crop_size=crop_size,
        on_bad_photo=on_bad_photo,
        identity=identity,
        merge_identities=merge_identities,
        keep_columns=tuple(keep_column or ()),
        salt=hash_ids,
        controls=controls
        and ControlsOptions(
            folder=controls, match=_words(match), ratio=ratio, splits=controls_split
        ),
        thumbnails=thumbnails,
        datasheet=read_datasheet(datasheet),
    )
    try:
        with _progress() as progress:
            account = run(
                raw, out, options, num_proc=num_proc, overwrite=overwrite, progress=progress
            )
    except KeyboardInterrupt:
        _say(f"stopped: run it again to go on; crops are in {out.parent}/.{out.name}.partial")
        raise
    kept, total = len(account.kept), len(account.rows)
    rejected = ", ".join(f"{name} {count}" for name, count in sorted(account.rejected.items()))
    _say(f"{kept} of {total} photos kept; rejected: {rejected or 'none'}")
    _say(f"files in no row: {len(account.unlisted)}; account: {out / 'intake.md'}")
    for note in account.notes:
        _say(f"note: {note}")
    if account.merged:
        _say(f"{len(account.merged)} persons under several ids were put together")
    for warning in account.warnings:
        _say(f"warning: {warning}")
    if account.dropped_columns:
        dropped = ", ".join(account.dropped_columns)
        _say(f"columns not carried over (--keep-column NAME keeps one): {dropped}")
    found = read_audit(out)
    if as_json:
        result = {"out": str(out), "kept": kept, "rows": total, "leaks": found["leaks"]}
        _print_json(result | {"rejected": dict(account.rejected), "warnings": found["warnings"]})
    _tell_audit(found, out, allow=allow, again="--overwrite --merge-identities")


@app.command()
def audit(
    source: Annotated[Path, typer.Argument(help="Prepared dataset, or clinic folder.")],
    out: Annotated[
        Path | None, typer.Option(help="Report folder; by default the prepared dataset itself.")
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(help="Another dataset: whoever is in both counts as leakage."),
    ] = None,
    identity: Annotated[
        bool, typer.Option(help="Compare faces (biometric data; not stored).")
    ] = True,
    thumbnails: Annotated[bool, typer.Option(help="Show faces in audit.html.")] = True,
    allow: Annotated[bool, typer.Option("--allow", help="Exit 0 in spite of leakage.")] = False,
    num_proc: Annotated[int | None, typer.Option(help="Processes; all cores by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Find leakage, shortcuts and bad photos; exit 1 if a person may cross a split."""
    from hf_cushing.data.audit_run import audit as run

    if out is None and not (source / "data").is_dir():
        raise UsageError("give --out DIR: the report is not written into the clinic folder")
    if out is None and against is not None:
        raise UsageError("give --out DIR: the dataset's own report says nothing of --against")
    out = out or source
    with _progress() as progress:
        found = run(
            source,
            out,
            against=against,
            identity=identity,
            thumbnails=thumbnails,
            num_proc=num_proc,
            progress=progress,
        )
    if as_json:
        _print_json(found)
    _tell_audit(found, out, allow=allow, again="--merge-identities")


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _tell_audit(found: dict[str, Any], out: Path, *, allow: bool, again: str) -> None:
    """Say what the audit found, photos by photo_id only; leakage is an error."""
    for warning in found["warnings"]:
        _say(f"audit: {warning}")
    leaks = [finding for finding in found["findings"] if finding["leak"]]
    for finding in leaks[:10]:
        _say(f"audit: leak: photos {' and '.join(finding['photo_ids'])}: {finding['text']}")
    _say(f"audit: {len(leaks)} leaks; report: {out / 'audit.html'}")
    if leaks and not allow:
        raise UserError(
            f"a person may be on both sides of a split ({len(leaks)} pairs). Look at "
            f"{out / 'audit.html'}; then correct the table, or prepare with {again}, "
            "or, if they are different people, add --allow"
        )


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
    cpu: Annotated[bool, typer.Option(help="Do not use an accelerator.")] = False,
    as_json: AsJson = False,
) -> None:
    """Metrics for all, women and men, with intervals; the threshold comes from validation."""
    from hf_cushing.training.environment import quiet_libraries

    quiet_libraries()
    from hf_cushing.evaluation.report import EvaluationOptions, report_to_json, write_report
    from hf_cushing.evaluation.tables import report_to_markdown
    from hf_cushing.models.evaluate_run import evaluate_runs

    if (out / "manifest.json").exists():
        raise UsageError(f"--out {out} is a run folder; choose another")
    if not 0 <= abstain < 1:
        raise UsageError(f"--abstain {abstain}: give an error rate of 0 or more, below 1")
    options = EvaluationOptions(
        split=split,
        by=tuple(dict.fromkeys(["sex", *(by or [])])),
        per_sex=per_sex_thresholds,
        abstain=abstain,
    )
    report, predictions = evaluate_runs(
        run, options, dataset=dataset, rule=threshold_rule, against=against or (), cpu=cpu
    )
    write_report(out, report, predictions, full=True)
    _say(f"report: {out / 'report.html'}")
    _print_json(report_to_json(report)) if as_json else print(report_to_markdown(report))


@app.command()
def compare(
    dataset: Annotated[str, typer.Option(help="Dataset folder or Hub id.")],
    out: Annotated[Path, typer.Option(help="Folder of the study; called again, it goes on.")],
    config: Annotated[
        Path | None, typer.Option(help="Study, as in configs/studies; needed the first time.")
    ] = None,
    shard: Annotated[
        str, typer.Option(help="Train every n-th arm only, as 0/4; all share --out.")
    ] = "0/1",
    external: Annotated[
        str | None,
        typer.Option(help="A second cohort's dataset: scored by all models, nothing adjusted."),
    ] = None,
    export_ensemble: Annotated[
        str | None,
        typer.Option(help="Average the fold models of an arm, as 'dinov2-s, head', into one."),
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(help="Run this study folder's study anew in --out and compare the tables."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train a grid of models and methods; tables with intervals, and what can be told apart."""
    from hf_cushing.training.environment import quiet_libraries

    quiet_libraries()
    from hf_cushing.study import compare as study
    from hf_cushing.study.cells import parse_shard
    from hf_cushing.study.ensemble import export_ensemble as export
    from hf_cushing.study.plan import read_study
    from hf_cushing.study.tables import tables_to_markdown

    if replay and (config or external or export_ensemble or shard != "0/1"):
        raise UsageError("--replay takes the study as it was; give --dataset and --out only")
    if replay:
        differ = study.replay(replay, dataset, out, tell=_say)
        if differ:
            raise UserError(f"these tables came out differently: {', '.join(differ)}")
        _say("all tables came out again, byte for byte")
        return
    plan = read_study(config) if config else study.read_plan(out)
    result = study.compare(
        plan, dataset, out, shard=parse_shard(shard), external=external, tell=_say
    )
    outcome = result.outcome
    if as_json:
        names = [cell.folder.name for cell in outcome.done]
        _print_json({"done": names, "missing": len(outcome.missing), "failed": outcome.failed})
    elif result.tables:
        print(tables_to_markdown(result.tables))
        _say(f"study: {out / 'study.html'}")
    if export_ensemble:
        _say(f"ensemble: {export(outcome.done, export_ensemble, out)}")
    if outcome.missing:
        _say(f"{len(outcome.missing)} cells are left to other shards; then call this once more")
    if outcome.failed:
        raise UserError(
            f"{len(outcome.failed)} cells failed: {'; '.join(outcome.failed)}. See {out}/failed; "
            "called again, this tries them again"
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
    from hf_cushing.models.serve import pipeline

    classify = pipeline(run)
    results, failed = [], 0
    for photo in photos:
        try:
            results.append({"photo": str(photo), "result": classify(photo)})
        except (PhotoError, OSError) as error:
            failed += 1
            reason = error.strerror if isinstance(error, OSError) else str(error)
            results.append({"photo": str(photo), "error": reason})
    if as_json:
        _print_json({"notice": RESEARCH_NOTICE, "photos": results})
    else:
        for entry in results:
            scores = [f"{r['label']} {r['score']:.3f}" for r in entry.get("result", [])]
            print(f"{entry['photo']}: {', '.join(scores) or 'not scored: ' + entry['error']}")
        _say(RESEARCH_NOTICE)
    if failed:
        raise UserError(f"{failed} of {len(photos)} photos could not be scored")


@app.command()
def demo(
    photos: Annotated[int, typer.Option(help="Size of the invented cohort.")] = 343,
    model: Annotated[str, typer.Option(help="Model to train.")] = "tiny-resnet",
) -> None:
    """Draw faces, prepare, train, evaluate: into data/demo and runs/demo, in minutes on a CPU."""
    from hf_cushing.demo import run_demo

    with _progress() as progress:
        run_demo(photos, model, progress=progress)


@app.command()
def env(as_json: AsJson = False) -> None:
    """Versions, devices, and the short names of models."""
    from hf_cushing.models.backbones import BACKBONES
    from hf_cushing.training.environment import devices, environment

    facts = {"versions": environment(), "devices": devices(), "models": list(BACKBONES)}
    if as_json:
        _print_json(facts)
        return
    for name, value in {**facts["versions"], **facts["devices"]}.items():
        print(f"{name}: {value}")
    print("models: " + ", ".join(BACKBONES))
    print("dlib's 68-point model was trained on iBUG 300-W: its licence forbids commercial use")


@contextmanager
def _progress() -> Iterator[Callable[[str, int], Callable[[int], None]]]:
    """Progress bars on stderr; the result goes to stdout."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bars = Progress(*columns, console=Console(stderr=True))

    def start(title: str, total: int) -> Callable[[int], None]:
        bars.start()
        task = bars.add_task(title, total=total)
        return lambda count: bars.advance(task, count)

    try:
        yield start
    finally:
        if bars.tasks:
            bars.stop()


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _print_json(value: Any) -> None:
    from hf_cushing.files import plain

    print(json.dumps(plain(value), indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
