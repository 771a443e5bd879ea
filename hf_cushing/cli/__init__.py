"""The `hf-cushing` command: thin; everything heavy is imported inside a command."""

from hf_cushing.cli import data, models, study
from hf_cushing.cli.common import app, main

__all__ = ["app", "data", "main", "models", "study"]
