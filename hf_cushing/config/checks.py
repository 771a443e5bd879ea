"""Values of options that are of the wrong kind or make no sense."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

RULE = re.compile(r"f1|youden|(sensitivity|specificity|cost):\d+(\.\d+)?")
"""How a threshold is chosen; `evaluation.operating_points` has the meanings."""

LIMITS = (
    ("0 or more", lambda v: v >= 0, ("num_workers", "weight_decay", "repeatability")),
    ("0 or more, or all", lambda v: v == "all" or v >= 0, ("fold",)),
    ("1 or more", lambda v: v >= 1,
     ("repeat", "epochs", "patience", "batch_size", "gradient_accumulation", "image_size",
      "last_n", "lora_rank", "lora_alpha")),
    ("100 or more", lambda v: v >= 100, ("bootstrap",)),
    ("above 0", lambda v: v > 0, ("learning_rate", "head_learning_rate", "max_grad_norm")),
    ("above 0, at most 1", lambda v: 0 < v <= 1, ("layer_decay", "field", "train_share")),
    ("0 up to 1", lambda v: 0 <= v < 1, ("warmup", "label_smoothing", "lora_dropout", "drop_path")),
    ("from 1 to 2", lambda v: 1 <= v <= 2, ("zoom_out",)),
    ("0 to 10", lambda v: 0 <= v <= 10, ("focal_gamma",)),
    ("0 to 64", lambda v: 0 <= v <= 64, ("views",)),
    ("0 up to 2**32", lambda v: 0 <= v < 2**32, ("seed",)),
    ("f1, youden, sensitivity:0.9, specificity:0.9 or cost:5", RULE.fullmatch, ("threshold_rule",)),
)  # fmt: skip
"""Limits in words, as a test, and the options that they hold for; None is within all."""


def type_problems(part: Any) -> list[str]:
    """Find values of the wrong kind in a dataclass: a recipe's values come unchecked."""
    problems, hints = [], get_type_hints(type(part))
    for item in fields(part):
        value, kind = getattr(part, item.name), hints[item.name]
        if not _fits(value, kind):
            problems.append(f"--{item.name} {value!r}: give {' or '.join(_words(kind))}")
    return problems


def _words(kind: Any) -> Iterator[str]:
    """What a value may be.

    >>> " or ".join(_words(int | Literal["all"] | None))
    'int or all'
    """
    if get_origin(kind) in (UnionType, Union):
        for each in get_args(kind):
            yield from _words(each)
    elif get_origin(kind) is Literal:
        yield from get_args(kind)
    elif kind is not type(None):
        yield kind.__name__


def _fits(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_origin(kind) in (UnionType, Union):
        return any(_fits(value, each) for each in get_args(kind))
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def limit_problems(values: Mapping[str, Any]) -> list[str]:
    """Find values outside `LIMITS` among those of all options, by name."""
    return [
        f"--{name} {values[name]}: give {words}"
        for words, within, names in LIMITS
        for name in names
        if values[name] is not None and not within(values[name])
    ]
