"""The command that compares models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hf_cushing.cli.command import command
from hf_cushing.cli.common import AsJson, Dataset, print_json, say
from hf_cushing.compare.options import StudyOptions
from hf_cushing.schema import RESEARCH_NOTICE, UsageError, UserError

if TYPE_CHECKING:
    from hf_cushing.compare.cells import StudyOutcome


@command()
def compare(
    dataset: Dataset,
    out: Annotated[Path, typer.Option(help="Folder of the study; called again, it goes on.")],
    options: StudyOptions,
    replay: Annotated[
        Path | None,
        typer.Option(help="Run this study folder's study anew in --out and compare the tables."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train a grid of models and methods; tables with intervals, and what can be told apart."""
    from hf_cushing.compare import command as study
    from hf_cushing.compare.cells import parse_shard
    from hf_cushing.compare.ensemble import export_ensemble
    from hf_cushing.compare.plan import read_study, with_baselines, with_mitigation, with_sizes

    if replay:
        if options != StudyOptions():
            raise UsageError("--replay takes the study as it was; give --dataset and --out only")
        if differ := study.replay(replay, dataset, out, say=say):
            raise UserError(f"these tables came out differently: {', '.join(differ)}")
        say("all tables came out again, byte for byte")
        return
    plan = read_study(options.config) if options.config else study.read_plan(out)
    if options.mitigation:
        plan = with_mitigation(plan, options.mitigation)
    if options.sizes:
        plan = with_sizes(plan, options.sizes)
    if options.baselines:
        plan = with_baselines(plan, options.baselines)
    shard = parse_shard(options.shard)
    outcome = study.compare(plan, dataset, out, shard=shard, external=options.external, say=say)
    _show(outcome, out, as_json)
    if arm := options.export_ensemble:
        say(f"ensemble: {export_ensemble(outcome.done, arm, out)}")
    _check_complete(outcome, out)


def _show(outcome: StudyOutcome, out: Path, as_json: bool) -> None:
    from hf_cushing.reports.screen import screen_text

    if as_json:
        names = [cell.folder.name for cell in outcome.done]
        print_json(
            {"verdicts": outcome.verdicts, "done": names, "missing": len(outcome.missing),
             "failed": outcome.failed}
        )  # fmt: skip
    elif outcome.tables:
        print(screen_text(outcome.screen, RESEARCH_NOTICE))
        say(f"study: {out / 'study.html'}; tables: {out / 'study.md'}")


def _check_complete(outcome: StudyOutcome, out: Path) -> None:
    """Say what is left to others; what failed is an error."""
    missing, failed = outcome.missing, outcome.failed
    if missing:
        say(f"{len(missing)} cells are left to other shards; then call this once more")
    if failed:
        raise UserError(
            f"{len(failed)} cells failed: {'; '.join(failed)}. See {out}/failed; called again, "
            "this tries them again"
        )
