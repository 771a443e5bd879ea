"""Command line of `train.py`: default < YAML < command line."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

from hf_cushing.config import CONFIG_PARTS, RunConfig, read_yaml
from hf_cushing.schema import RESEARCH_NOTICE, UsageError, UserError
from hf_cushing.training.environment import quiet_libraries


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, train, print what to read first; exit codes 0, 1 (data, environment), 2 (usage)."""
    try:
        config = parse(sys.argv[1:] if arguments is None else arguments)
    except UserError as error:
        sys.exit(_fail(error, code=2))
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("hf_cushing").setLevel(logging.INFO)
    quiet_libraries()
    from hf_cushing.training.fine_tune import fine_tune

    try:
        report = fine_tune(config)
    except UserError as error:
        sys.exit(_fail(error, code=2 if isinstance(error, UsageError) else 1, everywhere=True))
    if _is_first_process():
        from hf_cushing.evaluation.first_screen import first_screen
        from hf_cushing.reports.screen import screen_text

        text = screen_text(first_screen(report), RESEARCH_NOTICE)
        sys.stdout.write(f"{text}\nTables: {config.run_folder / 'metrics.md'}\n")


def parse(arguments: Sequence[str]) -> RunConfig:
    """Turn command line options, over those of ``--config F.yaml``, into a checked config."""
    from transformers import HfArgumentParser

    parser = HfArgumentParser(
        CONFIG_PARTS,
        prog="train.py",
        description="Fine-tune a model on a dataset made by `hf-cushing prepare`.",
        allow_abbrev=False,
    )
    parser.add_argument("--config", help="YAML file of options; the command line wins")
    recipe = parser.parse_args(arguments).config
    if recipe:
        parser.set_defaults(**read_yaml(recipe))
    return RunConfig.of(vars(parser.parse_args(arguments)))


def _is_first_process() -> bool:
    return int(os.environ.get("RANK", "0")) == 0


def _fail(error: UserError, code: int, everywhere: bool = False) -> int:
    """Say what is wrong; what one process alone may have met, that process says."""
    if _is_first_process():
        sys.stderr.write(f"train.py: {error}\n")
    elif everywhere:
        sys.stderr.write(f"train.py: [process {os.environ['RANK']}] {error}\n")
    return code
