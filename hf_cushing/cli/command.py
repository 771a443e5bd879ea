"""How a function becomes a command: its dataclass parameters are options of the command line."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Annotated, Any, get_origin, get_type_hints

import typer
from typer.core import TyperCommand

from hf_cushing.schema import RESEARCH_NOTICE

KEYWORD = inspect.Parameter.KEYWORD_ONLY

app = typer.Typer(
    help=f"Fine-tune and evaluate models on face photographs. {RESEARCH_NOTICE}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


SPREAD = {"--map": 1, "--column": 0}
"""Options that take any number of words like ``theirs=ours``, after so many words for all."""


def spread(args: list[str]) -> list[str]:
    """Repeat an option of `SPREAD` for each of its words.

    >>> spread(["RAW", "--map", "sex", "W=female", "M=male", "--out", "DIR"])
    ['RAW', '--map', 'sex W=female', '--map', 'sex M=male', '--out', 'DIR']
    """
    found, rest = [], list(args)
    while rest:
        word = rest.pop(0)
        found.append(word)
        if word not in SPREAD or len(rest) <= SPREAD[word] or "=" in rest[0] * SPREAD[word]:
            continue
        first = [rest.pop(0) for _ in range(SPREAD[word])]
        pairs = list(itertools.takewhile(lambda w: "=" in w and not w.startswith("--"), rest))
        del rest[: len(pairs)]
        found[-1:] = [w for pair in pairs for w in (word, " ".join([*first, pair]))] or [
            word, *first
        ]  # fmt: skip
    return found


class Command(TyperCommand):
    """Options of `SPREAD` take several words; the help shows no ``--no-…`` of what is off."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, spread(args))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        for option in self.get_params(ctx):
            if getattr(option, "is_flag", False):
                option.metavar = ""
                if not option.default:
                    names = option.secondary_opts
                    option.secondary_opts = [n for n in names if not n.startswith("--no-")]
                    option.show_default = False
        super().format_help(ctx, formatter)


def command(
    group: typer.Typer = app, name: str | None = None, *, quiet: bool = True
) -> Callable[[Callable], Callable]:
    """Make a function a command; the fields of its dataclass parameters become its options.

    Parameters
    ----------
    group : typer.Typer
    name : str, optional
        By default the function's.
    quiet : bool
        Switch off meanwhile what transformers, datasets and the Hub's library say of themselves.
    """

    def register(function: Callable) -> Callable:
        signature = inspect.signature(function, eval_str=True)
        given = signature.parameters.values()
        records = {p.name: p.annotation for p in given if is_dataclass(p.annotation)}

        @functools.wraps(function)
        def run(**values: Any) -> None:
            with _quiet() if quiet else nullcontext():
                for name, record in records.items():
                    read = {p.name: _read(p, values.pop(p.name)) for p in _options(record)}
                    values[name] = record(**read)
                function(**values)

        options: list[inspect.Parameter] = []
        for item in given:
            record = records.get(item.name)
            options += _parameters(record) if record else [item.replace(kind=KEYWORD)]
        run.__signature__ = signature.replace(parameters=options)
        group.command(name, cls=Command)(run)
        return function

    return register


def _quiet() -> AbstractContextManager[None]:
    from hf_cushing.training.environment import quiet_libraries

    return quiet_libraries()


def parameter(record: type, name: str) -> Any:
    """The option of a dataclass's field, for a command that takes this one alone."""
    return next(p.annotation for p in _parameters(record) if p.name == name)


def _options(record: type) -> list[Field]:
    return [item for item in fields(record) if "help" in item.metadata]


def _parameters(record: type) -> Iterator[inspect.Parameter]:
    """The options of a dataclass as typer wants them; `config.option.option` has the facts."""
    hints = get_type_hints(record)
    for item in _options(record):
        kind, default, facts = hints[item.name], item.default, item.metadata
        several = get_origin(kind) is tuple
        shown = typer.Option(
            *([facts["flag"]] if "flag" in facts else []),
            help=facts["help"],
            rich_help_panel=facts.get("group"),
            metavar=facts.get("metavar", "<str>…" if several else None),
            envvar=facts.get("envvar"),
        )
        if several:
            kind, default = list[str], list(default)
        yield inspect.Parameter(
            item.name,
            KEYWORD,
            annotation=Annotated[kind, shown],
            default=inspect.Parameter.empty if default is MISSING else default,
        )


def _read(item: Field, value: Any) -> Any:
    """What was given on the command line, as the dataclass wants it."""
    if not isinstance(value, list):
        return value
    if item.metadata.get("commas"):
        value = [word for words in value for word in words.split(",")]
    return tuple(dict.fromkeys(word.strip() for word in value if word.strip()))
