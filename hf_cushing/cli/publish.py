"""Commands that publish to the Hub; without --yes they only show what would go."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hf_cushing.cli.common import AsJson, app, print_json, say
from hf_cushing.schema import UserError

if TYPE_CHECKING:
    from hf_cushing.publish.hub import Published
    from hf_cushing.publish.staging import Staged

publish = typer.Typer(
    help="Publish a model, dataset, Space or the metric; without --yes, only show what would go.",
    no_args_is_help=True,
)
app.add_typer(publish, name="publish")

RepoId = Annotated[str, typer.Option(help="OWNER/NAME on the Hub.")]
Yes = Annotated[
    bool, typer.Option("--yes/--dry-run", help="Publish, or show the files and sizes only.")
]
Public = Annotated[bool, typer.Option("--public", help="Let everybody see it; private otherwise.")]
License = Annotated[str | None, typer.Option(help="Such as cc-by-nc-4.0; goes into the card.")]
Override = Annotated[
    str | None,
    typer.Option(metavar="REASON", help="Publish in spite of the gate; the card says why."),
]
Tag = Annotated[str | None, typer.Option(help="Name of this version; otherwise v1, v2, …")]
InCollection = Annotated[
    str, typer.Option(help="Title of your collection that links the repos; '' for none.")
]
COLLECTION = "Face models made with hf-cushing"
"""One collection links all that an owner publishes, unless another title is given."""


@dataclass(frozen=True, kw_only=True)
class How:
    """What the four commands have in common."""

    yes: bool
    tag: str | None
    collection: str
    as_json: bool
    override: str | None = None


@publish.command()
def model(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    repo_id: RepoId,
    license: License = None,
    dataset: Annotated[
        Path | None,
        typer.Option(help="Dataset folder of the run: the model must score it again."),
    ] = None,
    dataset_id: Annotated[str | None, typer.Option(help="That dataset on the Hub.")] = None,
    explain: Annotated[
        Path | None, typer.Option(help="Folder of `hf-cushing explain`, for the card.")
    ] = None,
    raw: Annotated[
        Path | None, typer.Option(help="Clinic folder: score its unaligned photos for the card.")
    ] = None,
    public: Public = False,
    override: Override = None,
    tag: Tag = None,
    collection: InCollection = COLLECTION,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """A finished run: plain model, predictions that name nobody, metrics, figures, card."""
    from hf_cushing.publish.staging import stage_model

    _publish(
        lambda work: stage_model(
            run,
            repo_id,
            work,
            private=not public,
            license=license,
            override=override,
            dataset=dataset,
            dataset_id=dataset_id,
            explain=explain,
            raw=raw,
        ),
        How(yes=yes, tag=tag, collection=collection, as_json=as_json, override=override),
    )


@publish.command()
def dataset(
    folder: Annotated[Path, typer.Argument(help="Dataset folder of `hf-cushing prepare`.")],
    repo_id: RepoId,
    license: License = None,
    public: Public = False,
    override: Override = None,
    tag: Tag = None,
    collection: InCollection = COLLECTION,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """A prepared dataset: shards and card; with photographs, access must be asked for."""
    from hf_cushing.publish.staging import stage_dataset

    _publish(
        lambda work: stage_dataset(
            folder, repo_id, work, private=not public, license=license, override=override
        ),
        How(yes=yes, tag=tag, collection=collection, as_json=as_json, override=override),
    )


@publish.command()
def space(
    run: Annotated[Path, typer.Argument(help="Run folder that was published as --model-id.")],
    repo_id: RepoId,
    model_id: Annotated[
        str | None,
        typer.Option(
            help="OWNER/NAME of the published model; without it the run goes into the Space, if "
            "it was trained on drawn faces."
        ),
    ] = None,
    license: License = None,
    public: Public = False,
    override: Override = None,
    tag: Tag = None,
    collection: InCollection = COLLECTION,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """A Gradio Space that serves a published model, or for a try one trained on drawings."""
    from hf_cushing.publish.staging import stage_space

    _publish(
        lambda work: stage_space(
            run,
            repo_id,
            work,
            model_id=model_id,
            private=not public,
            license=license,
            override=override,
        ),
        How(yes=yes, tag=tag, collection=collection, as_json=as_json, override=override),
    )


@publish.command()
def metric(
    repo_id: Annotated[str, typer.Option(help="OWNER/subgroup_f1 on the Hub.")],
    public: Public = False,
    tag: Tag = None,
    collection: InCollection = COLLECTION,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """The metric subgroup_f1 as a Space, for evaluate.load("OWNER/subgroup_f1")."""
    from hf_cushing.publish.metric_space import stage_metric

    _publish(
        lambda work: stage_metric(repo_id, work, private=not public),
        How(yes=yes, tag=tag, collection=collection, as_json=as_json),
    )


def _publish(stage: Callable[[Path], Staged], how: How) -> None:
    """Stage, show, and send if asked and safe."""
    from hf_cushing.publish.hub import planned_files
    from hf_cushing.training.environment import quiet_libraries

    quiet_libraries()

    with tempfile.TemporaryDirectory(prefix="hf-cushing-publish-") as work:
        staged = stage(Path(work))
        files = planned_files(staged.folder)
        _show_plan(staged, files, "overridden" if how.override else "refused")
        refused = staged.findings and how.override is None
        published, deleted = None, None
        if how.yes and not refused:
            published = _send(staged, how)
        elif not refused:
            deleted = _show_deletions(staged, files, how)
    if how.as_json:
        plan = _plan(staged, files) | {"deleted": deleted}
        print_json(plan | {"published": published and asdict(published)})
    if refused:
        raise UserError(f"{staged.repo_id} is not published, for the reasons above")
    _say_end(published, how)


def _send(staged: Staged, how: How) -> Published:
    from hf_cushing.publish.hub import upload

    try:
        return upload(
            staged,
            tag=how.tag,
            collection=how.collection or None,
            overridden=how.override is not None,
        )
    except KeyboardInterrupt:
        say("stopped: run it again to go on; a commit arrives whole or not at all")
        raise


def _plan(staged: Staged, files: dict[str, int]) -> dict:
    return {
        "kind": staged.kind,
        "repo_id": staged.repo_id,
        "private": staged.private,
        "gated": staged.gated,
        "files": files,
        "findings": [asdict(finding) for finding in staged.findings],
    }


def _show_plan(staged: Staged, files: dict[str, int], verdict: str) -> None:
    """Files with their sizes in bytes, and the reasons of the gate."""
    width = len(f"{max(files.values(), default=0):,}")
    for name, size in files.items():
        say(f"{size:>{width},}  {name}")
    access = ("private" if staged.private else "public") + (", gated" if staged.gated else "")
    total = f"{len(files)} files, {sum(files.values()):,} bytes"
    say(f"{total} for the {staged.kind} {staged.repo_id} ({access})")
    for finding in staged.findings:
        say(f"{verdict}: {finding.rule}: {finding.message}; {finding.remedy}")


def _show_deletions(staged: Staged, files: dict[str, int], how: How) -> list[str] | None:
    """Files on the Hub that would go; None where it can't be asked. Refuses a foreign repo."""
    from hf_cushing.publish.remote import look

    try:
        remote = look(staged)
    except UserError as error:
        say(f"{staged.repo_id} could not be looked at ({error}): files in it that are not listed "
            "above would be deleted")  # fmt: skip
        return None
    if remote is None:
        return []
    deleted = remote.deletions(files)
    for name in deleted:
        say(f"would be deleted from {staged.repo_id}: {name}")
    if how.override is None:
        remote.refuse_foreign(staged.repo_id)
    return deleted


def _say_end(published: Published | None, how: How) -> None:
    if published is None:
        say("nothing was sent; add --yes to publish")
        return
    say(f"published: version {published.tag} (commit {published.commit[:7]})")
    if not how.as_json:
        print(published.url)
