"""Build the exact local folder that would be uploaded, and send it through the gate."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hf_cushing.data.audit_report import read_audit
from hf_cushing.evaluation.curves import plot_reliability, plot_roc
from hf_cushing.evaluation.figures import plot_forest, plot_gaps
from hf_cushing.evaluation.predictions import load_predictions
from hf_cushing.files import replace_folder, write_json, write_text
from hf_cushing.publish.anonymous import anonymous_predictions, public_manifest
from hf_cushing.publish.card_facts import ModelFacts, model_facts
from hf_cushing.publish.cards import audit_tables, dataset_card, model_card, space_card
from hf_cushing.publish.checklist import checklist_page
from hf_cushing.publish.gate import Case, Finding, check
from hf_cushing.publish.raw_photos import measure_raw
from hf_cushing.publish.rules_files import holds_photographs
from hf_cushing.publish.space_files import gradio_version, write_app
from hf_cushing.schema import RESEARCH_NOTICE, UsageError, UserError
from hf_cushing.training.run_folder import read_manifest

REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
MODEL_FILES = ("model.safetensors", "config.json", "preprocessor_config.json", "metrics.json",
               "metrics.md")  # fmt: skip
"""Taken from the run as they are; the card, the checklist, figures and tables are made anew."""


PRIVATE = ("traces of this machine", "reproduces")
"""Rules whose findings may name paths, users and hosts: only the publisher reads those."""

UNTOLD = "found; what exactly, the publisher was told"


@dataclass(frozen=True)
class Staged:
    """A folder ready to go, and what the gate found.

    Attributes
    ----------
    kind : str
        ``model``, ``dataset`` or ``space``.
    repo_id : str
    folder : Path
        Exactly the files that would go, and nothing else.
    private, gated : bool
        How the repo is to be; `gated`: access is asked for, with the fields of the card.
    findings : tuple of Finding
        Reasons to refuse; empty: safe by the rules of the gate.
    """

    kind: str
    repo_id: str
    folder: Path
    private: bool
    gated: bool
    findings: tuple[Finding, ...]


def stage_model(
    run: Path,
    repo_id: str,
    work: Path,
    *,
    private: bool = True,
    gated: bool | None = None,
    license: str | None,
    override: str | None = None,
    dataset: Path | None = None,
    dataset_id: str | None = None,
    explain: Path | None = None,
    raw: Path | None = None,
    timeout: float = 600,
) -> Staged:
    """Stage a finished run as a model repo.

    The plain model, card, checklist, figures, metrics, manifest, and predictions that name
    nobody. Staged twice from the same run, the bytes are the same.

    Parameters
    ----------
    run : Path
    repo_id : str
        OWNER/NAME.
    work : Path
        Folder in which ``model`` is made; an older one is replaced.
    private : bool
    gated : bool, optional
        By default not: there are no photographs in it.
    license : str or None
        Without one the gate refuses.
    override : str, optional
        Why to publish in spite of the findings: it is written into the card, with them.
    dataset : Path, optional
        The dataset of the run: its photos show whether the model does what it did.
    dataset_id : str, optional
        Where that dataset is on the Hub.
    explain : Path, optional
        Folder of ``hf-cushing explain``, for the card.
    raw : Path, optional
        The clinic folder behind `dataset`: its photos show what the plain pipeline makes of
        photographs that are not aligned. Minutes; none of them is copied.
    timeout : float
        Seconds for the model to load and score in a process of its own.

    Raises
    ------
    UserError
        An unfinished or damaged run.
    UsageError
        A repo_id that is none, an empty override, `raw` without `dataset`.
    """
    run = Path(run)
    _check_arguments(repo_id, override)
    if raw and not dataset:
        raise UsageError("--raw needs --dataset, which knows the photos of the test split")
    facts = model_facts(
        run, repo_id, license=license or "", dataset=dataset, dataset_id=dataset_id or "",
        explain=explain,
    )  # fmt: skip
    figures = None
    if raw and dataset:
        figures = measure_raw(run, facts.predictions, raw=raw, dataset=dataset, timeout=timeout)
    with _fresh(work, "model") as folder:
        _copy_run(run, folder, facts)
        write_text(folder / "checklist.md", checklist_page(facts))
        _figures(folder / "figures", facts)

        def card(**more: Any) -> str:
            return str(model_card(facts, raw=figures, **more))

        case = Case(
            kind="model", folder=folder, source=run, private=private, gated=bool(gated),
            license=license or "", dataset=dataset, timeout=timeout,
        )  # fmt: skip
        findings = _with_card(case, card, override)
    return Staged("model", repo_id, Path(work) / "model", private, case.gated, findings)


def stage_dataset(
    folder: Path,
    repo_id: str,
    work: Path,
    *,
    private: bool = True,
    gated: bool | None = None,
    license: str | None,
    override: str | None = None,
) -> Staged:
    """Stage a prepared dataset: its Parquet shards, card, and what the audit found, without ids.

    The account of the intake and the audit's page stay behind: they name files, rows and ids.

    Parameters
    ----------
    folder : Path
        Made by ``hf-cushing prepare``.
    gated : bool, optional
        By default where it holds photographs; drawn faces are none.

    Other parameters and errors are those of `stage_model`.
    """
    source = Path(folder)
    _check_arguments(repo_id, override)
    shards = sorted((source / "data").glob("*.parquet"))
    if not shards or not (source / "README.md").is_file():
        raise UserError(f"{source} is not a prepared dataset; run `hf-cushing prepare`")
    audit = read_audit(source)
    with _fresh(work, "dataset") as made:
        _copy(source, made, [f"data/{shard.name}" for shard in shards])
        write_json(made / "audit.json", _without_ids(audit))
        gated = holds_photographs(made) if gated is None else gated

        def card(**more: Any) -> str:
            tables = audit_tables(audit)
            made_card = dataset_card(
                source, license=license or "", gated=bool(gated), audit=tables, **more
            )
            return str(made_card)

        case = Case(
            kind="dataset", folder=made, source=source, private=private, gated=gated,
            license=license or "",
        )  # fmt: skip
        findings = _with_card(case, card, override)
    return Staged("dataset", repo_id, Path(work) / "dataset", private, gated, findings)


def stage_space(
    run: Path,
    repo_id: str,
    work: Path,
    *,
    model_id: str | None,
    private: bool = True,
    license: str | None,
    override: str | None = None,
) -> Staged:
    """Stage a Space that serves a model: the app, and the source it needs.

    Parameters
    ----------
    run : Path
        The run that was published as `model_id`.
    model_id : str or None
        OWNER/NAME of the model on the Hub. None: the run itself goes into the Space, for a try;
        it must have been trained on drawn faces, since a Space's model doesn't pass the gate.

    Other parameters and errors are those of `stage_model`.
    """
    _check_arguments(repo_id, override)
    run = Path(run)
    if model_id is None:
        _check_drawn(run)
    else:
        _check_arguments(model_id, None)
    labels = read_manifest(run)["labels"]
    sdk = gradio_version()
    with _fresh(work, "space") as folder:
        write_app(folder, model_id)
        if model_id is None:
            facts = model_facts(run, repo_id, license=license or "")
            _copy_run(run, folder / "model", facts)
            write_text(folder / "model" / "README.md", str(model_card(facts)))

        def card(**more: Any) -> str:
            facts = {"model_id": model_id, "labels": labels, "sdk_version": sdk}
            return str(space_card(repo_id, license=license or "", **facts, **more))

        case = Case(kind="space", folder=folder, source=run, private=private, license=license or "")
        findings = _with_card(case, card, override)
    return Staged("space", repo_id, Path(work) / "space", private, False, findings)


def _copy_run(run: Path, folder: Path, facts: ModelFacts) -> None:
    """The plain model, its metrics, and what it did, naming nobody."""
    _copy(run, folder, MODEL_FILES)
    anonymous_predictions(facts.predictions).save(folder / "predictions.parquet")
    manifest = public_manifest(facts.manifest, drawn=facts.predictions.drawn)
    write_json(folder / "manifest.json", manifest)


def _check_drawn(run: Path) -> None:
    if not load_predictions(run).drawn:
        raise UsageError(
            f"{run} was not trained on drawn faces: publish it as a model first, then give "
            "--model-id OWNER/NAME"
        )


def _check_arguments(repo_id: str, override: str | None) -> None:
    if not REPO_ID.fullmatch(repo_id):
        raise UsageError(f"'{repo_id}' is no repo id; give OWNER/NAME")
    if override is not None and not override.strip():
        raise UsageError("--override needs a reason; it is written into the card")


@contextmanager
def _fresh(work: Path, name: str) -> Iterator[Path]:
    """An empty folder, moved to ``work/name`` when the block succeeds."""
    work = Path(work)
    aside = work / f".{name}.partial"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
        replace_folder(aside, work / name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _with_card(case: Case, card: Callable[..., str], override: str | None) -> tuple[Finding, ...]:
    """Write the card, send the folder through the gate, and tell in the card what it found."""
    write_text(case.folder / "README.md", card())
    findings = check(case)
    told = tuple(replace(f, message=UNTOLD) if f.rule in PRIVATE else f for f in findings)
    write_text(case.folder / "README.md", card(override=override or "", findings=told))
    return findings


def _copy(source: Path, target: Path, names: Sequence[str]) -> None:
    for name in names:
        if not (source / name).is_file():
            raise UserError(f"{source} lacks {name}; make it again")
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
