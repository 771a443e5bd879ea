"""Command line of a training run: default < YAML < command line.

`hf-cushing train`, `python -m hf_cushing.train`, `accelerate launch -m hf_cushing.train` and
``train.py`` all call `main`.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

from hf_cushing.config import ALL_FOLDS, CONFIG_PARTS, RunConfig, find_recipe, read_yaml
from hf_cushing.schema import RESEARCH_NOTICE, UsageError, UserError

if TYPE_CHECKING:
    from hf_cushing.evaluation.record import Report

STOPPED = 130
"""Exit code after Ctrl+C, as a shell has it."""


Push = Callable[[Path], None]
"""Publishes a finished run folder."""


def main(
    arguments: Sequence[str] | None = None,
    *,
    prepare_push: Callable[[Mapping[str, Any], RunConfig], Push | None] | None = None,
) -> None:
    """Parse, train, print what to read first; exit codes 0, 1 (data, environment), 2 (usage).

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of this process.
    prepare_push : callable, optional
        Checks ``--push_to_hub`` and what belongs to it, before anything is trained. Training
        stands above publishing and doesn't know it.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        given = read_arguments(words)
        config = RunConfig.of(given)
        push = prepare_push(given, config) if prepare_push else None
    except UserError as error:
        sys.exit(_fail(error, code=2))
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("hf_cushing").setLevel(logging.INFO)
    from hf_cushing.training.launch import launch_if_asked

    try:
        if (code := launch_if_asked(given, words)) is not None:
            sys.exit(code)
        report, out = train(config)
    except UserError as error:
        sys.exit(_fail(error, code=2 if isinstance(error, UsageError) else 1, everywhere=True))
    except KeyboardInterrupt:
        if "WORLD_SIZE" not in os.environ:  # else the launcher says it once for all
            sys.stderr.write("hf-cushing: stopped; the same command with --resume goes on\n")
        sys.exit(STOPPED)
    if _is_first_process():
        from hf_cushing.evaluation.first_screen import first_screen
        from hf_cushing.reports.screen import screen_text

        text = screen_text(first_screen(report), RESEARCH_NOTICE)
        page = out / "report.html"  # of pooled folds; `evaluate` writes it for a single run
        found = f"Report: {page}" if page.exists() else f"Tables: {out / 'metrics.md'}"
        sys.stdout.write(f"{text}\n{found}\n")
        if push:
            _push(push, out)


def _push(push: Push, run: Path) -> None:
    try:
        push(run)
    except UserError as error:
        sys.exit(_fail(UserError(f"{run} is finished, and {error}"), code=1))


def train(config: RunConfig) -> tuple[Report, Path]:
    """Train one run, or with ``fold="all"`` all folds; its report, and the folder of that.

    Raises
    ------
    UserError
        As `fine_tune.fine_tune` and `folds.train_folds`.
    """
    from hf_cushing.data.source import local_folder
    from hf_cushing.training.environment import quiet_libraries

    local_folder(config.data.dataset)  # a wrong name is told before the libraries are loaded
    with quiet_libraries():
        if config.data.fold == ALL_FOLDS:
            from hf_cushing.training.folds import train_folds

            return train_folds(config)
        from hf_cushing.training.fine_tune import fine_tune

        return fine_tune(config), config.run_folder


def parse(arguments: Sequence[str]) -> RunConfig:
    """Turn command line options, over those of ``--config F.yaml``, into a checked config."""
    return RunConfig.of(read_arguments(arguments))


def read_arguments(arguments: Sequence[str]) -> dict[str, Any]:
    """The options that are given, by name; the command line wins over ``--config``."""
    given = vars(make_parser().parse_args(arguments))
    recipe = given.pop("config", None)
    return (read_yaml(find_recipe(recipe, "configs/recipes")) if recipe else {}) | given


def make_parser() -> argparse.ArgumentParser:
    """The options of `CONFIG_PARTS`, and those of the launch."""
    parser = argparse.ArgumentParser(
        prog="hf-cushing train",
        usage="%(prog)s --dataset DATASET --output_dir RUN [OPTIONS]",
        description=f"Fine-tune a model on a dataset made by `hf-cushing prepare`. "
        f"{RESEARCH_NOTICE}",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,  # what isn't given may come from --config
    )
    parser.add_argument(
        "--config", help="YAML file of options, or the name of a packaged recipe, as quick"
    )
    launch = parser.add_argument_group("How it is launched")
    launch.add_argument(
        "--processes", type=int, help="train in so many processes, each on a GPU, or on the CPU"
    )
    launch.add_argument("--gpus", help="which GPUs, a process each: all, or numbers, as 0,1")
    hub = parser.add_argument_group("Where it is published, by the gate of `publish model`")
    hub.add_argument(
        "--push_to_hub", "--push-to-hub", **_argument(bool),
        help="publish the finished run, privately",
    )  # fmt: skip
    hub.add_argument("--hub_model_id", "--hub-model-id", help="OWNER/NAME on the Hub")
    hub.add_argument("--license", help="such as cc-by-nc-4.0; goes into the card")
    for part in CONFIG_PARTS:
        group = parser.add_argument_group(part.__doc__.rstrip("."))
        hints = get_type_hints(part)
        for item in fields(part):
            names = dict.fromkeys(("--" + item.name, "--" + item.name.replace("_", "-")))
            shown = "" if item.default in (None, "", False) else f" (default: {item.default})"
            text = item.metadata["help"] + shown
            group.add_argument(*names, help=text, **_argument(hints[item.name]))
    return parser


def _argument(kind: Any) -> dict[str, Any]:
    """How argparse reads a value of this type."""
    if kind is bool:
        return {"type": _boolean, "nargs": "?", "const": True, "metavar": "true|false"}
    if get_origin(kind) is Literal:
        return {"choices": get_args(kind)}
    kinds = get_args(kind) if get_origin(kind) in (UnionType, Union) else (kind,)
    words = tuple(word for each in kinds for word in get_args(each))
    return {"type": _reader(kinds[0], words)}


def _reader(kind: Callable[[str], Any], words: tuple[str, ...]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        return text if text in words else kind(text)

    read.__name__ = kind.__name__  # argparse's messages name it
    return read


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"'{text}': give true or false")
    return text.lower() == "true"


def _is_first_process() -> bool:
    return int(os.environ.get("RANK", "0")) == 0


def _fail(error: UserError, code: int, everywhere: bool = False) -> int:
    """Say what is wrong; what one process alone may have met, that process says."""
    if _is_first_process():
        sys.stderr.write(f"hf-cushing: {error}\n")
    elif everywhere:
        sys.stderr.write(f"hf-cushing: [process {os.environ['RANK']}] {error}\n")
    return code


if __name__ == "__main__":
    main()
