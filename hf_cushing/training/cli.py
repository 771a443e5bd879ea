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
    arguments = sys.argv[1:] if arguments is None else arguments
    words, all_folds = _without_all_folds(arguments)
    try:
        config = parse(words)
    except UserError as error:
        sys.exit(_fail(error, code=2))
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("hf_cushing").setLevel(logging.INFO)
    quiet_libraries()
    from hf_cushing.training.fine_tune import fine_tune
    from hf_cushing.training.folds import train_folds

    try:
        if all_folds:
            report, out = train_folds(config)
        else:
            report, out = fine_tune(config), config.run_folder
    except UserError as error:
        sys.exit(_fail(error, code=2 if isinstance(error, UsageError) else 1, everywhere=True))
    if _is_first_process():
        from hf_cushing.evaluation.first_screen import first_screen
        from hf_cushing.reports.screen import screen_text

        text = screen_text(first_screen(report), RESEARCH_NOTICE)
        sys.stdout.write(f"{text}\nTables: {out / 'metrics.md'}\n")


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


def _without_all_folds(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """The arguments without ``--fold all``, and whether it was there.

    >>> _without_all_folds(["--model", "m", "--fold", "all"])
    (['--model', 'm'], True)
    """
    words = [part for word in arguments for part in _split_fold(word)]
    for place in range(len(words) - 1):
        if words[place : place + 2] == ["--fold", "all"]:
            return words[:place] + words[place + 2 :], True
    return words, False


def _split_fold(word: str) -> list[str]:
    return ["--fold", word.removeprefix("--fold=")] if word.startswith("--fold=") else [word]


def _is_first_process() -> bool:
    return int(os.environ.get("RANK", "0")) == 0


def _fail(error: UserError, code: int, everywhere: bool = False) -> int:
    """Say what is wrong; what one process alone may have met, that process says."""
    if _is_first_process():
        sys.stderr.write(f"train.py: {error}\n")
    elif everywhere:
        sys.stderr.write(f"train.py: [process {os.environ['RANK']}] {error}\n")
    return code
