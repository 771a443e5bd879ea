"""Commands that compare models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hf_cushing.cli.command import command
from hf_cushing.cli.common import AsJson, Dataset, print_json, say
from hf_cushing.schema import UsageError, UserError


@command()
def compare(
    dataset: Dataset,
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
    mitigation: Annotated[
        str,
        typer.Option(help="Compare these methods against sex bias, as 'dfr,group_dro', or all."),
    ] = "",
    replay: Annotated[
        Path | None,
        typer.Option(help="Run this study folder's study anew in --out and compare the tables."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train a grid of models and methods; tables with intervals, and what can be told apart."""
    from hf_cushing.compare import command as study
    from hf_cushing.compare.cells import parse_shard
    from hf_cushing.compare.ensemble import export_ensemble as export
    from hf_cushing.compare.plan import read_study, with_mitigation
    from hf_cushing.reports.table import tables_to_markdown

    if replay and (config or external or export_ensemble or mitigation or shard != "0/1"):
        raise UsageError("--replay takes the study as it was; give --dataset and --out only")
    if replay:
        differ = study.replay(replay, dataset, out, say=say)
        if differ:
            raise UserError(f"these tables came out differently: {', '.join(differ)}")
        say("all tables came out again, byte for byte")
        return
    plan = read_study(config) if config else study.read_plan(out)
    if mitigation:
        plan = with_mitigation(plan, mitigation)
    result = study.compare(plan, dataset, out, shard=parse_shard(shard), external=external, say=say)
    outcome = result.outcome
    if as_json:
        names = [cell.folder.name for cell in outcome.done]
        print_json({"done": names, "missing": len(outcome.missing), "failed": outcome.failed})
    elif result.tables:
        print(tables_to_markdown(result.tables))
        say(f"study: {out / 'study.html'}")
    if export_ensemble:
        say(f"ensemble: {export(outcome.done, export_ensemble, out)}")
    if outcome.missing:
        say(f"{len(outcome.missing)} cells are left to other shards; then call this once more")
    if outcome.failed:
        raise UserError(
            f"{len(outcome.failed)} cells failed: {'; '.join(outcome.failed)}. See {out}/failed; "
            "called again, this tries them again"
        )
