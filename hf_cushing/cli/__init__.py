"""The `hf-cushing` command: thin; everything heavy is imported inside a command."""

from hf_cushing.cli import (  # noqa: F401
    data,
    followup,
    models,
    publish,
    readers,
    space,
    study,
    training,
)
from hf_cushing.cli.command import app
from hf_cushing.cli.common import main

__all__ = ["app", "main"]
