"""Build the exact local folder that would be uploaded, and send it through the gate."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from huggingface_hub import RepoCard

from hf_cushing.data.audit_report import read_audit
from hf_cushing.data.parquet import copy_shard
from hf_cushing.evaluation.curves import plot_reliability, plot_roc
from hf_cushing.evaluation.figures import plot_forest, plot_gaps
from hf_cushing.evaluation.tables import report_tables
from hf_cushing.files import write_json, write_text
from hf_cushing.publish.alignment import add_alignment
from hf_cushing.publish.anonymous import anonymous_predictions, public_manifest
from hf_cushing.publish.card_facts import ModelFacts, model_facts
from hf_cushing.publish.cards import dataset_card, model_card, space_card
from hf_cushing.publish.checklist import checklist_page
from hf_cushing.publish.gate import check
from hf_cushing.publish.options import DatasetOptions, ModelOptions, PublishOptions, SpaceOptions
from hf_cushing.publish.raw_photos import measure_raw
from hf_cushing.publish.remote import is_public
from hf_cushing.publish.rules_files import holds_photographs
from hf_cushing.publish.space_files import METRIC, METRIC_FILES, gradio_version, write_app
from hf_cushing.publish.staged import Staged
from hf_cushing.reports.table import tables_to_markdown
from hf_cushing.run import Run
from hf_cushing.schema import CONTEXT_COLUMNS, RESEARCH_NOTICE, UsageError, UserError

MODEL_FILES = ("model.safetensors", "config.json", "preprocessor_config.json", "metrics.json")
"""Taken from the run as they are; the card, the checklist, figures and tables are made anew."""

PRIVATE = ("traces of this machine", "reproduces")
"""Rules whose findings may name paths, users and hosts: only the publisher reads those."""

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
    raw = measure_raw(run, raw=options.raw, dataset=options.dataset) if options.raw else None
    folder = _new_folder(work / "model")
    _copy_run(run, folder, facts)
    if options.align_on_hub:
        add_alignment(folder)
    write_text(folder / "checklist.md", checklist_page(facts))
    _figures(folder / "figures", facts)
    staged = Staged(kind="model", folder=folder, source=run.folder, options=options)
    return _judged(staged, lambda **more: model_card(facts, raw=raw, **more))


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
    shards = sorted((source / "data").glob("*.parquet"))
    if not shards or not (source / "README.md").is_file():
        raise UserError(f"{source} is not a prepared dataset; run `hf-cushing prepare`")
    audit = read_audit(source)
    folder = _new_folder(work / "dataset")
    without = () if options.context else CONTEXT_COLUMNS
    dropped = [copy_shard(shard, folder / "data" / shard.name, without) for shard in shards]
    write_json(folder / "audit.json", _without_ids(audit))
    staged = Staged(kind="dataset", folder=folder, source=source, options=options)
    staged = replace(staged, gated=holds_photographs(staged))
    facts = {"license": options.license, "gated": staged.gated, "audit": audit}
    facts["dropped"] = dropped[0]
    return _judged(staged, lambda **more: dataset_card(source, **facts, **more))


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
    facts = {
        "model_id": options.model_id,
        "preload": options.model_id is not None and is_public(options.model_id),
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
    staged = Staged(kind="space", folder=folder, source=run.folder, options=options)
    return _judged(staged, lambda **more: space_card(options.repo_id, **facts, **more))


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
    """The plain model, its metrics, and what it did, naming nobody."""
    _copy(run.folder, folder, MODEL_FILES)
    anonymous_predictions(facts.predictions).save(folder / "predictions.parquet")
    write_text(folder / "metrics.md", tables_to_markdown(report_tables(facts.report)))
    manifest = public_manifest(facts.manifest, drawn=facts.predictions.drawn)
    write_json(folder / "manifest.json", manifest)


def _copy(source: Path, target: Path, names: Sequence[str]) -> None:
    for name in names:
        if not (source / name).is_file():
            raise UserError(f"{source} lacks {name}; make it again")
        if not (source / name).resolve().is_relative_to(source.resolve()):
            raise UserError(f"{source / name} is a link that leads elsewhere; put the file there")
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target / name)


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
