"""Recipes: options in a YAML file."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from hf_cushing.config.options import DEFAULTS
from hf_cushing.schema import UserError


def read_yaml(path: Path, known: Collection[str] = ()) -> dict[str, Any]:
    """Read a flat mapping of names to values; unknown names are refused.

    Without `known` it is a recipe, and the names are options of a training run.
    """
    import yaml

    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"{path} can't be read as YAML: {error}") from None
    known = known or DEFAULTS
    if not isinstance(values, dict):
        raise UserError(f"{path} must map names to values, like `{min(known)}: …`")
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(str(name), sorted(known), n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known))}"
            raise UserError(f"{path}: unknown name '{name}'; {hint}")
    return values
