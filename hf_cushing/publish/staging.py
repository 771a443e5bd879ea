"""Build the exact local folder that would be uploaded, and send it through the gate."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from huggingface_hub import RepoCard

from hf_cushing.data.audit_report import read_audit
from hf_cushing.data.intake_report import read_intake_report
from hf_cushing.data.parquet import SHARD, copy_shard
from hf_cushing.evaluation.curves import plot_reliability, plot_roc
from hf_cushing.evaluation.figures import plot_forest, plot_gaps
from hf_cushing.evaluation.tables import report_tables
from hf_cushing.files import read_json, write_json, write_text
from hf_cushing.models.settings import known_settings
from hf_cushing.publish.alignment import add_alignment
from hf_cushing.publish.anonymous import (
    anonymous_predictions,
    public_companions,
    public_manifest,
)
from hf_cushing.publish.card_facts import ModelFacts, model_facts
from hf_cushing.publish.cards import dataset_card, model_card, space_card
from hf_cushing.publish.checklist import checklist_page
from hf_cushing.publish.gate import check
from hf_cushing.publish.options import DatasetOptions, ModelOptions, PublishOptions, SpaceOptions
from hf_cushing.publish.remote import is_public, model_on_hub
from hf_cushing.publish.rules_photos import holds_photographs
from hf_cushing.publish.rules_words import MODEL_FILES, WEIGHTS, known_metrics
from hf_cushing.publish.space_files import METRIC, METRIC_FILES, gradio_version, write_app
from hf_cushing.publish.staged import Staged
from hf_cushing.reports.table import tables_to_markdown
from hf_cushing.run import Run
from hf_cushing.schema import CONTEXT_COLUMNS, RESEARCH_NOTICE, UsageError, UserError

PRIVATE = ("traces of this machine", "reproduces")
"""Rules whose findings may name paths, users and hosts: only the publisher reads those."""

NO_ADDRESS = (
    "the card can't say where hf-cushing is to be had; give --code-url, the address of its git "
    "repository"
)
NOT_PREPARED = "{folder} is not a prepared dataset; run `hf-cushing prepare`"
NEEDS_TOKEN = (
    "{model} isn't open to everybody, and the Space has no token to read it: make a fine-grained "
    "token that may read this model and nothing else (huggingface.co/settings/tokens), then give "
    "it as HF_SPACE_TOKEN or --space-token, or as the Space's secret HF_TOKEN (Settings, "
    "'Variables and secrets')"
)

UNTOLD = "found; what exactly, the publisher was told"


def stage_model(run: Run, options: ModelOptions, work: Path) -> Staged:
    """Stage a finished run as a model repo.

    The plain model, card, checklist, figures, metrics, manifest, and predictions that name
    nobody. Staged twice from the same run, the bytes are the same.

    Parameters
    ----------
    run : Run
        A folder.
    options : ModelOptions
    work : Path
        Folder in which ``model`` is made; an older one is replaced.

    Raises
    ------
    UserError
        An unfinished or damaged run.
    """
    facts = model_facts(run, options)
    folder = _new_folder(work / "model")
    _copy_run(run, folder, facts)
    if options.align_on_hub:
        add_alignment(folder)
    write_text(folder / "checklist.md", checklist_page(facts))
    _figures(folder / "figures", facts)
    staged = Staged(
        kind="model",
        folder=folder,
        source=run.folder,
        options=options,
        gated=facts.gated,
        drawn=facts.drawn,
        notes=() if "git+" in facts.install else (NO_ADDRESS,),
    )
    return _judged(staged, lambda **more: model_card(facts, **more))


def stage_dataset(source: Path, options: DatasetOptions, work: Path) -> Staged:
    """Stage a prepared dataset: its Parquet shards, card, and what the audit found, without ids.

    The report of the intake and the audit's page stay behind: they name files, rows and ids;
    and so do the wide views, unless they are asked for.
    With photographs the repo is gated; drawn faces are none.

    Parameters
    ----------
    source : Path
        Made by ``hf-cushing prepare``.

    Other parameters are those of `stage_model`.

    Raises
    ------
    UserError
        No prepared dataset, or one without an audit.
    """
    shards, report = _shards(source), read_intake_report(source)
    if report is None:
        raise UserError(NOT_PREPARED.format(folder=source))
    audit = read_audit(source)
    folder = _new_folder(work / "dataset")
    without = () if options.context else CONTEXT_COLUMNS
    dropped = [copy_shard(shard, folder / "data" / shard.name, without) for shard in shards]
    write_json(folder / "audit.json", _without_ids(audit))
    staged = Staged(kind="dataset", folder=folder, source=source, options=options)
    photographs = holds_photographs(staged)
    staged = replace(staged, gated=photographs, drawn=not photographs)
    facts = {"license": options.license, "audit": audit, "dropped": dropped[0]}
    facts |= {"gated": photographs, "drawn": not photographs}
    return _judged(staged, lambda **more: dataset_card(report, **facts, **more))


def _shards(source: Path) -> list[Path]:
    """The shards of a prepared dataset, where nothing else lies among them."""
    files = sorted((source / "data").glob("*"))
    if not files:
        raise UserError(NOT_PREPARED.format(folder=source))
    others = [path.name for path in files if not SHARD.fullmatch(path.name)]
    if others:
        raise UserError(
            f"{source / 'data'} holds {len(others)} files that `hf-cushing prepare` did not write "
            f"({others[0]}): take them away"
        )
    for path in (*files, source / "audit.json", source / "intake.json"):
        _refuse_link(path, source)
    return files


def stage_space(run: Run, options: SpaceOptions, work: Path) -> Staged:
    """Stage a Space that serves a model: the app, and the source it needs.

    Parameters
    ----------
    run : Run
        The run that was published as `options.model_id`.

    Other parameters are those of `stage_model`.

    Raises
    ------
    UserError
        An unfinished run.
    UsageError
        Without a model id: a run that wasn't trained on drawn faces.
    """
    if options.model_id is None and not run.recorded_predictions.drawn:
        raise UsageError(
            f"{run.name} was not trained on drawn faces: publish it as a model first, then give "
            "--model-id OWNER/NAME"
        )
    preload = options.model_id is not None and is_public(options.model_id)
    facts = {
        "model_id": options.model_id,
        "preload": preload,
        "datasets": _datasets_of(options.model_id) if options.model_id else (),
        "drawn": run.drawn,
        "labels": run.finished_manifest["labels"],
        "sdk_version": gradio_version(),
        "license": options.license,
    }
    folder = _new_folder(work / "space")
    write_app(folder, options.model_id)
    if options.model_id is None:
        own = model_facts(run, ModelOptions(repo_id=options.repo_id, license=options.license))
        _copy_run(run, folder / "model", own)
        write_text(folder / "model" / "README.md", str(model_card(own)))
    notes = ()
    if options.model_id and not (preload or options.space_token):
        notes = (NEEDS_TOKEN.format(model=options.model_id),)
    staged = Staged(
        kind="space",
        folder=folder,
        source=run.folder,
        options=options,
        drawn=run.drawn,
        notes=notes,
    )
    return _judged(staged, lambda **more: space_card(options.repo_id, **facts, **more))


def _datasets_of(model_id: str) -> list[str]:
    """Datasets that a model's card on the Hub names; none where it can't be asked for."""
    info = model_on_hub(model_id)
    named = getattr(getattr(info, "card_data", None), "datasets", None) or []
    return [named] if isinstance(named, str) else list(named)


def stage_metric(options: PublishOptions, work: Path) -> Staged:
    """Stage the metric's files, which hold nothing of any run; a licence replaces their own.

    Raises
    ------
    UsageError
        Another name than ``OWNER/subgroup_f1``: `evaluate` looks for a file of the repo's name.
    """
    if options.repo_id.partition("/")[2] != METRIC.name:
        raise UsageError(
            f"'{options.repo_id}': the metric's Space must be called OWNER/{METRIC.name}"
        )
    folder = _new_folder(work / "metric")
    _copy(METRIC, folder, METRIC_FILES)
    if options.license:
        card = RepoCard.load(folder / "README.md")
        card.data.license = options.license
        write_text(folder / "README.md", str(card))
    return Staged(kind="space", folder=folder, source=METRIC, options=options)


def _new_folder(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _judged(staged: Staged, card: Callable[..., RepoCard]) -> Staged:
    """Write the card, send the folder through the gate, and tell in the card what it found."""
    path = staged.folder / "README.md"
    write_text(path, str(card()))
    findings = check(staged)
    told = tuple(replace(f, message=UNTOLD) if f.rule in PRIVATE else f for f in findings)
    write_text(path, str(card(override=staged.options.override or "", findings=told)))
    return replace(staged, findings=findings)


def _copy_run(run: Run, folder: Path, facts: ModelFacts) -> None:
    """The plain model, its adapters, its metrics, and what it did, naming nobody.

    The card, the checklist, figures and tables are made anew; of JSON files, what is known goes.
    """
    weights, settings = list(WEIGHTS[:1]), list(MODEL_FILES[:2])
    if facts.has_adapters:
        weights, settings = list(WEIGHTS), list(MODEL_FILES)
    _copy(run.folder, folder, [*weights, *settings, "metrics.json"])
    for name in settings:
        content = read_json(folder / name)
        write_json(folder / name, known_settings(Path(name).name, content))
    write_json(folder / "metrics.json", known_metrics(run.metrics))
    for name, content in public_companions(facts.regions, facts.change).items():
        write_json(folder / name, content)
    if facts.tells_predictions:
        anonymous_predictions(facts.predictions).save(folder / "predictions.parquet")
    write_text(folder / "metrics.md", tables_to_markdown(report_tables(facts.report)))
    manifest = public_manifest(facts.manifest, drawn=facts.drawn)
    write_json(folder / "manifest.json", manifest)


def _copy(source: Path, target: Path, names: Sequence[str]) -> None:
    for name in names:
        if not (source / name).is_file():
            raise UserError(f"{source} lacks {name}; make it again")
        _refuse_link(source / name, source)
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target / name)


def _refuse_link(path: Path, folder: Path) -> None:
    """Stop at a link out of the folder: it could bring any file of this machine along."""
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{path} is a link that leads elsewhere; put the file there")


def _figures(out: Path, facts: ModelFacts) -> None:
    """The figures of the card, from the run's own predictions."""
    out.mkdir()
    plot_roc(out / "roc.png", facts.report, facts.predictions)
    plot_reliability(out / "reliability.png", facts.report, facts.predictions)
    for label in facts.report.labels:
        plot_forest(out / f"forest_{label}.png", facts.report.rows(label))
        gaps = facts.report.gaps_of(label)
        if gaps:
            plot_gaps(out / f"gaps_{label}.png", gaps)


def _without_ids(audit: dict[str, Any]) -> dict[str, Any]:
    """What the audit found, as numbers: no photos, patients or rows."""
    kinds = [finding["kind"] for finding in audit["findings"]]
    quality = [{k: v for k, v in q.items() if k != "photo_ids"} for q in audit["quality"]]
    found = {kind: kinds.count(kind) for kind in sorted(set(kinds))}
    return audit | {"findings": found, "quality": quality, "notice": RESEARCH_NOTICE}
