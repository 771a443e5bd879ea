"""The command that trains; its options are those of `training.cli`, which ``train.py`` has too."""

from __future__ import annotations

import typer

from hf_cushing.cli.command import app


@app.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    options_metavar="[--help | OPTIONS]",
)
def train(context: typer.Context) -> None:
    """Fine-tune a model on a prepared dataset; --help lists what can be chosen."""
    from hf_cushing.training.cli import main

    main(context.args)
