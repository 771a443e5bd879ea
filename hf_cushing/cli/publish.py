"""Commands that publish to the Hub; without --yes they only show what would go."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hf_cushing.cli.command import app, command
from hf_cushing.cli.common import AsJson, open_runs, print_json, say
from hf_cushing.publish.options import DatasetOptions, ModelOptions, PublishOptions, SpaceOptions
from hf_cushing.schema import UserError

if TYPE_CHECKING:
    from hf_cushing.publish.staged import Staged

publish = typer.Typer(
    help="Publish a model, dataset, Space or the metric; without --yes, only show what would go.",
    no_args_is_help=True,
)
app.add_typer(publish, name="publish")

Yes = Annotated[
    bool, typer.Option("--yes/--dry-run", help="Publish, or show the files and sizes only.")
]


@command(publish)
def model(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    options: ModelOptions,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """A finished run: plain model, predictions that name nobody, metrics, figures, card."""
    from hf_cushing.publish.staging import stage_model

    publish_staged(lambda work: stage_model(*open_runs([run]), options, work), yes, as_json)


@command(publish)
def dataset(
    folder: Annotated[Path, typer.Argument(help="Dataset folder of `hf-cushing prepare`.")],
    options: DatasetOptions,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """A prepared dataset: shards and card; with photographs, access must be asked for."""
    from hf_cushing.publish.staging import stage_dataset

    publish_staged(lambda work: stage_dataset(folder, options, work), yes, as_json)


@command(publish)
def space(
    run: Annotated[Path, typer.Argument(help="Run folder that was published as --model-id.")],
    options: SpaceOptions,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """A Gradio Space that serves a published model, or for a try one trained on drawings."""
    from hf_cushing.publish.staging import stage_space

    publish_staged(lambda work: stage_space(*open_runs([run]), options, work), yes, as_json)


@command(publish)
def metric(options: PublishOptions, yes: Yes = False, as_json: AsJson = False) -> None:
    """The metric subgroup_f1 as a Space, for evaluate.load("OWNER/subgroup_f1")."""
    from hf_cushing.publish.staging import stage_metric

    publish_staged(lambda work: stage_metric(options, work), yes, as_json)


def publish_staged(stage: Callable[[Path], Staged], yes: bool, as_json: bool = False) -> None:
    """Stage, show, and send if asked and safe."""
    from hf_cushing.publish.hub import upload

    with tempfile.TemporaryDirectory(prefix="hf-cushing-publish-") as work:
        staged = stage(Path(work))
        plan = _plan(staged)
        _show_plan(staged, plan["files"])
        refused = staged.findings and staged.options.override is None
        published, deleted = None, None
        if yes and not refused:
            try:
                published = upload(staged)
            except KeyboardInterrupt:
                say("stopped: run it again to go on; a commit arrives whole or not at all")
                raise
        elif not refused:
            deleted = _show_deletions(staged)
    if as_json:
        print_json(plan | {"deleted": deleted, "published": published and asdict(published)})
    if refused:
        raise UserError(f"{staged.repo_id} is not published, for the reasons above")
    if published is None:
        say("nothing was sent; add --yes to publish")
        return
    say(f"published: version {published.tag} (commit {published.commit[:7]})")
    if published.secret:
        say("the Space has its secret HF_TOKEN")
    if published.warning:
        say(f"warning: {published.warning}")
    if not as_json:
        print(published.url)


def _plan(staged: Staged) -> dict[str, Any]:
    return {
        "kind": staged.kind,
        "repo_id": staged.repo_id,
        "private": staged.private,
        "gated": staged.gated,
        "files": {name: path.stat().st_size for name, path in staged.files.items()},
        "findings": [asdict(finding) for finding in staged.findings],
    }


def _show_plan(staged: Staged, sizes: dict[str, int]) -> None:
    """Files with their sizes in bytes, and the reasons of the gate."""
    width = len(f"{max(sizes.values(), default=0):,}")
    for name, size in sizes.items():
        say(f"{size:>{width},}  {name}")
    access = ("private" if staged.private else "public") + (", gated" if staged.gated else "")
    total = f"{len(sizes)} files, {sum(sizes.values()):,} bytes"
    say(f"{total} for the {staged.kind} {staged.repo_id} ({access})")
    for note in staged.notes:
        say(f"note: {note}")
    verdict = "refused" if staged.options.override is None else "overridden"
    for finding in staged.findings:
        say(f"{verdict}: {finding.rule}: {finding.message}; {finding.remedy}")


def _show_deletions(staged: Staged) -> list[str] | None:
    """Files on the Hub that would go; None where it can't be asked. Refuses a foreign repo."""
    from hf_cushing.publish.remote import preview_remote

    try:
        remote = preview_remote(staged)
    except UserError as error:
        say(f"{staged.repo_id} could not be looked at ({error}): files in it that are not listed "
            "above would be deleted")  # fmt: skip
        return None
    if remote is None:
        return []
    deleted = remote.deletions(staged.files)
    for name in deleted:
        say(f"would be deleted from {staged.repo_id}: {name}")
    if staged.options.override is None:
        remote.refuse_foreign(staged.repo_id)
    return deleted
