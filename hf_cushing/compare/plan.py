"""What a study trains: the grid of its cells, each an ordinary run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import Any

from hf_cushing.config import DEFAULTS, RunConfig, read_yaml
from hf_cushing.data.loading import FaceData
from hf_cushing.data.subsets import with_public_controls
from hf_cushing.files import plain
from hf_cushing.schema import UsageError, UserError
from hf_cushing.training.run_folder import run_plan

LISTS = ("models", "finetune", "imbalance", "mitigation", "seeds")

MITIGATIONS: dict[str, dict[str, str]] = {
    "none": {"imbalance": "class"},
    "sampling": {"imbalance": "sample_class_sex"},
    "reweighting": {"imbalance": "class_sex"},
    "group_dro": {"imbalance": "class", "mitigation": "group_dro"},
    "dfr": {"imbalance": "class", "mitigation": "dfr"},
    "sex_thresholds": {"imbalance": "class", "mitigation": "sex_thresholds"},
    "matched_subset": {"imbalance": "class", "mitigation": "matched_subset"},
    "public_negatives": {"imbalance": "class", "public_controls": "rarer_sex"},
}
"""Treatments of sex bias, as options of a run. The baseline weighs classes but not sexes; public
controls train in the last one only."""

SET_BY_GRID = {
    "model",
    "finetune",
    "imbalance",
    "mitigation",
    "seed",
    "fold",
    "dataset",
    "output_dir",
    "resume",
}
"""Options that the grid sets, so that `options` can't."""


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
    """

    models: tuple[str, ...]
    finetune: tuple[str, ...] = ("head",)
    imbalance: tuple[str, ...] = ("class_sex",)
    mitigation: tuple[str, ...] = ()
    folds: int = 5
    seeds: tuple[int, ...] = (0,)
    options: dict[str, Any] = field(default_factory=dict)
    per_model: dict[str, dict[str, Any]] = field(default_factory=dict)
    per_finetune: dict[str, dict[str, Any]] = field(default_factory=dict)
    published: str = ""


@dataclass(frozen=True, order=True)
class Arm:
    """What is compared: everything about a run but its fold and seed.

    Attributes
    ----------
    model, finetune : str
    treatment : str
        Of imbalance, or of sex bias.
    """

    model: str
    finetune: str
    treatment: str

    @property
    def name(self) -> str:
        """For tables: the model's last name, the method, and the treatment if unusual."""
        treated = "" if self.treatment == "class_sex" else f", {self.treatment}"
        return f"{Path(self.model).name}, {self.finetune}{treated}"


@dataclass(frozen=True)
class Cell:
    """One run of a study.

    Attributes
    ----------
    arm : Arm
    fold : int or None
    seed : int
    config : RunConfig
        Its `output_dir` is named after everything that decides the result.
    """

    arm: Arm
    fold: int | None
    seed: int
    config: RunConfig

    @property
    def folder(self) -> Path:
        """The run folder."""
        return Path(self.config.training.output_dir)

    @property
    def name(self) -> str:
        """For messages."""
        where = "" if self.fold is None else f", fold {self.fold}"
        return f"{self.arm.name}{where}, seed {self.seed}"


def read_study(path: Path) -> Study:
    """Read a study from YAML.

    Raises
    ------
    UserError
        Not YAML, unknown names, no models.
    """
    values = read_yaml(path, known={item.name for item in fields(Study)})
    return make_study(values, str(path))


def make_study(values: dict[str, Any], where: str) -> Study:
    """Check the values of a study and build it."""
    if not values.get("models"):
        raise UsageError(f"{where}: name at least one of `models`")
    for name in LISTS:
        if name in values:
            value = values[name]
            values[name] = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    folds = values.get("folds", 0)
    if not isinstance(folds, int) or folds < 0:
        raise UsageError(f"{where}: folds is how many folds are tested, 0 for the splits")
    _check_mitigation(values.get("mitigation", ()), values.get("imbalance", ()), where)
    known = DEFAULTS.keys() - SET_BY_GRID
    for place in ("options", "per_model", "per_finetune"):
        given = values.get(place) or {}
        groups = given.values() if place != "options" else [given]
        for name in {name for group in groups for name in group} - known:
            why = "the grid sets it" if name in SET_BY_GRID else "no option of train.py"
            raise UsageError(f"{where}: {place}: '{name}': {why}; leave it out")
        values[place] = given
    return Study(**values)


def with_mitigation(study: Study, names: str) -> Study:
    """The study with methods against sex bias, named with commas or ``all``; and the baseline."""
    wanted = list(MITIGATIONS) if names == "all" else ["none", *names.split(",")]
    values = asdict(study) | {"mitigation": list(dict.fromkeys(wanted))}
    del values["imbalance"]
    return make_study(values, "--mitigation")


def _check_mitigation(names: tuple[str, ...], imbalance: tuple[str, ...], where: str) -> None:
    unknown = [name for name in names if name not in MITIGATIONS]
    if unknown:
        raise UsageError(
            f"{where}: mitigation '{unknown[0]}' is not known; choose from {', '.join(MITIGATIONS)}"
        )
    if names and imbalance not in ((), Study.imbalance):
        raise UsageError(f"{where}: mitigation and imbalance are two grids; leave one out")
    if names and "none" not in names:
        raise UsageError(f"{where}: mitigation needs 'none' too, to be compared with")


def make_cells(
    study: Study, dataset: str, data: FaceData, out: Path
) -> tuple[list[Cell], dict[str, str]]:
    """All runs of a study; those of one arm stand together.

    Returns
    -------
    cells : list of Cell
    left_out : dict
        Arms that can't be trained, with the reason.
    """
    cells, left_out = [], {}
    folds = list(range(study.folds)) or [None]
    treatments = study.mitigation or study.imbalance
    for model, finetune, treatment in product(study.models, study.finetune, treatments):
        arm = Arm(model, finetune, treatment)
        treated = {"imbalance": treatment}
        if study.mitigation:
            treated = {"public_controls": "none"} | MITIGATIONS[treatment]
        options = study.options | _matching(study.per_finetune, finetune)
        options |= _matching(study.per_model, model)
        try:
            with_public_controls(data, treated.get("public_controls", "all"))
            configs = list(_configs(arm, options | treated, folds, study.seeds, dataset, out))
        except UserError as error:
            left_out[arm.name] = str(error)
            continue
        cells += [_placed(arm, config, data, out) for config in configs]
    if not cells:
        raise UsageError("no run is possible: " + "; ".join(left_out.values()))
    return cells, left_out


def _configs(
    arm: Arm,
    options: dict[str, Any],
    folds: list[int | None],
    seeds: tuple[int, ...],
    dataset: str,
    out: Path,
) -> Iterator[RunConfig]:
    for fold, seed in product(folds, seeds):
        grid = {"model": arm.model, "finetune": arm.finetune}
        grid |= {"fold": fold, "seed": seed, "dataset": dataset, "output_dir": str(out / "cells")}
        features = {"features_dir": str(out / ".features")} if _freezes(arm, options) else {}
        values = {"tracker": "none"} | options | features | grid | {"resume": True}
        yield RunConfig.of(values)


def _freezes(arm: Arm, options: dict[str, Any]) -> bool:
    """The method passes photos through a frozen backbone, whose features are shared."""
    probe = arm.finetune == "head" and options.get("augment", "auto") in ("auto", "none")
    return probe or arm.finetune == "lp-ft"


def _placed(arm: Arm, config: RunConfig, data: FaceData, out: Path) -> Cell:
    """Name the run folder after its settings and data, so that another study's run of the same
    name is never taken for it."""
    plan = json.dumps(plain(run_plan(config, data)), sort_keys=True)
    digest = hashlib.sha256(plan.encode()).hexdigest()[:8]
    fold = "" if config.data.fold is None else f"-f{config.data.fold}"
    name = f"{Path(arm.model).name}-{arm.finetune}-{arm.treatment}{fold}-s{config.training.seed}"
    training = replace(config.training, output_dir=str(out / "cells" / f"{name}-{digest}"))
    return Cell(arm, config.data.fold, config.training.seed, replace(config, training=training))


def _matching(options: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pattern, values in options.items():
        if fnmatchcase(name, pattern) or fnmatchcase(Path(name).name, pattern):
            found |= values
    return found


def study_to_json(study: Study) -> dict[str, Any]:
    """Plain data, as YAML would hold it."""
    return plain(asdict(study))
