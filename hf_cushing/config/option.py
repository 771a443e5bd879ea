"""One option: a field of a dataclass that knows its default and its help text.

Commands take dataclasses; `hf-cushing` turns the fields into options.
"""

from __future__ import annotations

from dataclasses import field, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from hf_cushing.schema import UsageError


def option(default: Any, help: str, *, repr: bool = True, **more: Any) -> Any:
    """Make a field of a dataclass that is an option of the command line, too.

    Parameters
    ----------
    default : Any
        ``dataclasses.MISSING`` for an option that must be given.
    help : str
    repr : bool
        Whether the dataclass shows it; not where it is a secret.
    more
        How `hf-cushing` shows and reads it: `group` (heading in ``--help``), `flag` (its name,
        if it isn't the field's), `metavar`, `envvar`, and `commas` (a tuple's values may stand
        in one word with commas between them).
    """
    return field(default=default, repr=repr, metadata={"help": help, **more})


Split = Literal["train", "validation", "test"]


def split_option() -> Any:
    """Which photos, of type `Split`."""
    return option("test", "train, validation or test.", metavar="SPLIT")


def cpu_option(**more: Any) -> Any:
    """Whether to leave an accelerator alone."""
    return option(False, "Do not use an accelerator.", **more)


def check_choices(options: Any) -> None:
    """Refuse a value that is none of its field's `Literal`.

    Raises
    ------
    UsageError
    """
    hints = get_type_hints(type(options))
    for item in fields(options):
        choices, value = get_args(hints[item.name]), getattr(options, item.name)
        if get_origin(hints[item.name]) is Literal and value not in choices:
            flag = item.metadata.get("flag") or f"--{item.name.replace('_', '-')}"
            raise UsageError(f"{flag} {value}: give {' or '.join(choices)}")
