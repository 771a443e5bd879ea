"""The command that trains; its options are those of `training.cli`, which ``train.py`` has too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from hf_cushing.cli.command import app
from hf_cushing.cli.common import start_and_end_sooner
from hf_cushing.config import ALL_FOLDS, RunConfig
from hf_cushing.schema import UsageError
from hf_cushing.training import cli


@app.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    options_metavar="[--help | OPTIONS]",
)
def train(context: typer.Context) -> None:
    """Fine-tune a model on a prepared dataset; --help lists what can be chosen."""
    main(context.args)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, and publish if asked; see `training.cli.main`."""
    start_and_end_sooner()
    cli.main(arguments, prepare_push=prepare_push)


def prepare_push(given: Mapping[str, Any], config: RunConfig) -> cli.Push | None:
    """Check what publishing needs, before hours of training; None where it isn't asked for.

    Raises
    ------
    UsageError
        An option of publishing that is missing, or no single network to publish.
    UserError
        No token for the Hub.
    """
    if not given.get("push_to_hub"):
        return None
    missing = [f"--{name}" for name in ("hub_model_id", "license") if not given.get(name)]
    if missing:
        raise UsageError(f"--push_to_hub needs {' and '.join(missing)}")
    if config.data.fold == ALL_FOLDS or config.is_baseline:
        raise UsageError("--push_to_hub is for one network: give one fold, and no baseline")
    from hf_cushing.publish.hub import check_token
    from hf_cushing.publish.options import ModelOptions

    check_token()
    options = ModelOptions(
        repo_id=given["hub_model_id"],
        license=given["license"],
        dataset=Path(config.data.dataset),
    )

    def push(run: Path) -> None:
        from hf_cushing.cli.common import open_runs
        from hf_cushing.cli.publish import publish_staged
        from hf_cushing.publish.staging import stage_model

        publish_staged(lambda work: stage_model(*open_runs([str(run)]), options, work), yes=True)

    return push
