"""The `hf-cushing` command: thin; everything heavy is imported inside a command."""

from hf_cushing.cli import data, followup, models, publish, readers, readers_analyse, space, study
from hf_cushing.cli.common import app, main

__all__ = [
    "app",
    "data",
    "followup",
    "main",
    "models",
    "publish",
    "readers",
    "readers_analyse",
    "space",
    "study",
]
