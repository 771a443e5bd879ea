"""Recipes: options in a YAML file."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from hf_cushing.config.options import DEFAULTS
from hf_cushing.files import resource
from hf_cushing.schema import UsageError, UserError


def find_recipe(name: str | Path, folder: str) -> Path:
    """A YAML file, or by its name one of those that come with the package.

    Parameters
    ----------
    name : str or Path
        A path, or a bare name, as ``quick``.
    folder : str
        Of the packaged ones: ``configs/recipes`` or ``configs/studies``.

    Raises
    ------
    UsageError

    Examples
    --------
    >>> find_recipe("quick", "configs/studies").name
    'quick.yaml'
    """
    path = Path(name)
    if path.suffix or len(path.parts) > 1 or path.is_file():
        return path
    packaged = {file.stem: file for file in sorted(resource(folder).glob("*.yaml"))}
    if path.name not in packaged:
        raise UsageError(f"--config {name}: give a YAML file, or one of {', '.join(packaged)}")
    return packaged[path.name]


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
    if problems := name_problems(values, known):
        raise UserError(f"{path}: {problems[0]}")
    return values


def name_problems(names: Collection[str], known: Collection[str]) -> list[str]:
    """Say of each unknown name which was meant.

    >>> name_problems(["epoch"], ["epochs", "seed"])
    ["unknown name 'epoch'; did you mean epochs?"]
    """
    problems = []
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(str(name), sorted(known), n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known))}"
            problems.append(f"unknown name '{name}'; {hint}")
    return problems
