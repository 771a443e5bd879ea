"""What a study asks for: read, checked, changed by options of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from hf_cushing.config import BASELINES, DEFAULTS, find_recipe, read_yaml
from hf_cushing.schema import UsageError

LISTS = ("models", "finetune", "imbalance", "mitigation", "seeds", "baselines", "vary", "sizes")
"""Fields of a study; a single value stands for a list of one."""

IN_A_WORD = {("all",): BASELINES, ("none",): ()}
"""Of `Study.baselines`."""

UNTREATED = "none"

MITIGATIONS: dict[str, dict[str, str]] = {
    UNTREATED: {"imbalance": "class"},
    "sampling": {"imbalance": "sample_class_sex"},
    "reweighting": {"imbalance": "class_sex"},
    "group_dro": {"imbalance": "class", "mitigation": "group_dro"},
    "dfr": {"imbalance": "class", "mitigation": "dfr"},
    "sex_thresholds": {"imbalance": "class", "mitigation": "sex_thresholds"},
    "matched_subset": {"imbalance": "class", "mitigation": "matched_subset"},
    "public_negatives": {"imbalance": "class", "public_controls": "rarer_sex"},
}
"""Treatments of sex bias, as options of a run: none of them first, which weighs classes but
not sexes. Public controls train in the last one only."""

SET_BY_GRID = frozenset(
    ("model", "finetune", "imbalance", "mitigation", "seed", "fold", "dataset", "output_dir",
     "resume", "train_share")
)  # fmt: skip
"""Options that the grid sets, so that `options` and `vary` can't."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """A grid of runs.

    Attributes
    ----------
    models, finetune, imbalance : tuple of str
        As `train.py` takes them.
    mitigation : tuple of str
        Names of `MITIGATIONS`, compared in the place of `imbalance`.
    folds : int
        How many folds of the dataset are tested, from 0; 0 for its splits instead.
    seeds : tuple of int
    options : dict
        Further options of every run, as in a recipe.
    per_model, per_finetune : dict
        Name or pattern (``tiny-*``) to options that hold for these; they win over `options`.
    published : str
        Key of the table of published figures that stands beside ours.
    baselines : tuple of str
        Of `config.BASELINES`: runs without a network, on the same folds and seeds.
    vary : tuple of dict
        Sets of options of `train.py`, tried for every model and method; which one is taken is
        chosen on validation photos (`choice`).
    sizes : tuple of float
        Shares of the training patients, for a learning curve of every network; all of them
        (1.0) always train.
    """

    models: tuple[str, ...] = ()
    finetune: tuple[str, ...] = ("head",)
    imbalance: tuple[str, ...] = ("class_sex",)
    mitigation: tuple[str, ...] = ()
    folds: int = 5
    seeds: tuple[int, ...] = (0,)
    options: dict[str, Any] = field(default_factory=dict)
    per_model: dict[str, dict[str, Any]] = field(default_factory=dict)
    per_finetune: dict[str, dict[str, Any]] = field(default_factory=dict)
    published: str = ""
    baselines: tuple[str, ...] = BASELINES
    vary: tuple[dict[str, Any], ...] = ()
    sizes: tuple[float, ...] = ()

    @property
    def variants(self) -> dict[str, dict[str, Any]]:
        """What varies: a name to its options; one without name where nothing does.

        >>> Study(vary=({"field": 0.6}, {"field": 1.0, "image_size": 98})).variants.keys()
        dict_keys(['field 0.6', 'field 1, image_size 98'])
        """
        return {_variant_name(options): options for options in self.vary} or {"": {}}


def _variant_name(options: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {f'{value:g}' if isinstance(value, float) else value}"
        for name, value in options.items()
    )


def read_study(path: Path) -> Study:
    """Read a study from YAML, or by its name one that comes with the package.

    Raises
    ------
    UserError
        Not YAML, or a faulty study.
    """
    path = find_recipe(path, "configs/studies")
    values = read_yaml(path, known={item.name for item in fields(Study)})
    return make_study(values, str(path))


def make_study(values: dict[str, Any], where: str) -> Study:
    """Build a study from the values of its fields.

    Raises
    ------
    UsageError
        With all its faults; the message begins with `where`.
    """
    values = {name: value for name, value in values.items() if value is not None}
    for name in LISTS:
        if name in values:
            several = isinstance(values[name], (list, tuple))
            values[name] = tuple(values[name]) if several else (values[name],)
    if "baselines" in values:
        values["baselines"] = IN_A_WORD.get(values["baselines"], values["baselines"])
    study = Study(**values)
    problems = [*_grid_problems(study), *_size_problems(study), *_option_problems(study)]
    if problems:
        raise UsageError(f"{where}: {'; '.join(problems)}")
    return study


def _grid_problems(study: Study) -> Iterator[str]:
    if not study.models:
        yield "name at least one of `models`"
    if not isinstance(study.folds, int) or study.folds < 0:
        yield "folds is how many folds are tested, 0 for the splits"
    for name in sorted(set(study.models) & set(BASELINES)):
        yield f"models: '{name}' is a baseline; name it in `baselines`"
    for name in study.mitigation:
        if name not in MITIGATIONS:
            yield f"mitigation '{name}' is not known; choose from {', '.join(MITIGATIONS)}"
    for name in study.baselines:
        if name not in BASELINES:
            yield f"baseline '{name}' is not known; choose all, none, or of {', '.join(BASELINES)}"
    if study.mitigation and study.imbalance != Study.imbalance:
        yield "mitigation and imbalance are two grids; leave one out"
    if study.mitigation and UNTREATED not in study.mitigation:
        yield f"mitigation needs '{UNTREATED}' too, to be compared with"


def _size_problems(study: Study) -> Iterator[str]:
    if not all(isinstance(size, (int, float)) and 0 < size <= 1 for size in study.sizes):
        yield "sizes: give shares of the training patients above 0, at most 1, as [0.25, 0.5, 1]"
    if study.sizes and study.vary:
        yield "sizes and vary are two grids; leave one out"


def _option_problems(study: Study) -> Iterator[str]:
    if not all(isinstance(options, dict) and options for options in study.vary):
        yield "vary: give sets of options, as in [{field: 0.7}, {field: 1.0}]"
        return
    places = {
        "options": [study.options],
        "per_model": study.per_model.values(),
        "per_finetune": study.per_finetune.values(),
        "vary": study.vary,
    }
    varied = {name for options in study.vary for name in options}
    for place, groups in places.items():
        for name in sorted({name for group in groups for name in group}):
            if name in SET_BY_GRID:
                yield f"{place}: '{name}': the grid sets it; leave it out"
            elif name not in DEFAULTS:
                yield f"{place}: '{name}': no option of train.py; leave it out"
            elif place != "vary" and name in varied:
                yield f"{place}: '{name}': `vary` sets it; leave it out"
    if len(study.variants) < len(study.vary):
        yield "vary: two sets are the same; leave one out"


def with_mitigation(study: Study, names: str) -> Study:
    """The study with methods against sex bias, named with commas or ``all``; and without."""
    wanted = MITIGATIONS if names == "all" else [UNTREATED, *names.split(",")]
    grid = {"mitigation": list(dict.fromkeys(wanted)), "imbalance": None}
    return make_study(vars(study) | grid, "--mitigation")


def with_baselines(study: Study, names: str) -> Study:
    """The study with baselines, named with commas, ``all`` or ``none``."""
    return make_study(vars(study) | {"baselines": names.split(",")}, "--baselines")


def with_sizes(study: Study, text: str) -> Study:
    """The study with a learning curve, its shares named with commas."""
    try:
        sizes = [float(word) for word in text.split(",")]
    except ValueError:
        sizes = [0.0]
    return make_study(vars(study) | {"sizes": sizes}, "--sizes")
