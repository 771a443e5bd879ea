"""The `hf-cushing` command: thin; everything heavy is imported inside a command."""

from hf_cushing.cli import data, followup, models, publish, readers, space, study  # noqa: F401
from hf_cushing.cli.command import app
from hf_cushing.cli.common import main

__all__ = ["app", "main"]
