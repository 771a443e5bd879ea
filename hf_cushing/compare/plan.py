"""What a study trains: the grid of its cells, each an ordinary run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import Any

from hf_cushing.config import BASELINES, DEFAULTS, RunConfig, read_yaml
from hf_cushing.data.loading import FaceData
from hf_cushing.data.subsets import with_public_controls
from hf_cushing.files import plain
from hf_cushing.run import Run
from hf_cushing.schema import UsageError, UserError
from hf_cushing.training.run_folder import run_plan

LISTS = ("models", "finetune", "imbalance", "mitigation", "seeds", "baselines")
"""Fields of a study; a single value stands for a list of one."""

BASELINE = "none"

OF_BASELINES = ("cpu", "bootstrap", "calibration", "threshold_rule", "public_controls")
"""Options of a study that hold for its baselines, too."""

MITIGATIONS: dict[str, dict[str, str]] = {
    BASELINE: {"imbalance": "class"},
    "sampling": {"imbalance": "sample_class_sex"},
    "reweighting": {"imbalance": "class_sex"},
    "group_dro": {"imbalance": "class", "mitigation": "group_dro"},
    "dfr": {"imbalance": "class", "mitigation": "dfr"},
    "sex_thresholds": {"imbalance": "class", "mitigation": "sex_thresholds"},
    "matched_subset": {"imbalance": "class", "mitigation": "matched_subset"},
    "public_negatives": {"imbalance": "class", "public_controls": "rarer_sex"},
}
"""Treatments of sex bias, as options of a run: the baseline first, which weighs classes but not
sexes. Public controls train in the last one only."""

SET_BY_GRID = frozenset(
    ("model", "finetune", "imbalance", "mitigation", "seed", "fold", "dataset", "output_dir",
     "resume")
)  # fmt: skip
"""Options that the grid sets, so that `options` can't."""


CNNS = ("resnet", "densenet")
"""Parts of the names of convolutional networks."""


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
    baselines: tuple[str, ...] = ()


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
    def is_cnn(self) -> bool:
        """The network is convolutional, as its name says."""
        return any(name in self.model.lower() for name in CNNS)

    @property
    def is_baseline(self) -> bool:
        """There is no network."""
        return self.model in BASELINES

    @property
    def words(self) -> tuple[str, str]:
        """For tables: the model's last name; the method, with the treatment if unusual."""
        treated = "" if self.treatment == "class_sex" else f", {self.treatment}"
        return Path(self.model).name, f"{self.finetune}{treated}"

    @property
    def name(self) -> str:
        """Both `words` together."""
        return ", ".join(self.words)


@dataclass(frozen=True)
class Cell:
    """One run of a study.

    Attributes
    ----------
    arm : Arm
    config : RunConfig
        Its `output_dir` is named after everything that decides the result.
    """

    arm: Arm
    config: RunConfig

    @property
    def seed(self) -> int:
        """Of the run."""
        return self.config.training.seed

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.config.run_folder

    @property
    def run(self) -> Run:
        """The run, as it lies in its folder now."""
        return Run(str(self.folder))

    @property
    def done(self) -> bool:
        """The run folder is complete: its manifest is written last."""
        return (self.folder / "manifest.json").exists()

    @property
    def name(self) -> str:
        """For messages."""
        fold = self.config.data.fold
        where = "" if fold is None else f", fold {fold}"
        return f"{self.arm.name}{where}, seed {self.seed}"


def read_study(path: Path) -> Study:
    """Read a study from YAML.

    Raises
    ------
    UserError
        Not YAML, or a faulty study.
    """
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
    study = Study(**values)
    problems = [*_grid_problems(study), *_option_problems(study)]
    if problems:
        raise UsageError(f"{where}: {'; '.join(problems)}")
    return study


def _grid_problems(study: Study) -> Iterator[str]:
    if not study.models:
        yield "name at least one of `models`"
    if not isinstance(study.folds, int) or study.folds < 0:
        yield "folds is how many folds are tested, 0 for the splits"
    for name in study.mitigation:
        if name not in MITIGATIONS:
            yield f"mitigation '{name}' is not known; choose from {', '.join(MITIGATIONS)}"
    for name in study.baselines:
        if name not in BASELINES:
            yield f"baseline '{name}' is not known; choose from {', '.join(BASELINES)}"
    if study.mitigation and study.imbalance != Study.imbalance:
        yield "mitigation and imbalance are two grids; leave one out"
    if study.mitigation and BASELINE not in study.mitigation:
        yield f"mitigation needs '{BASELINE}' too, to be compared with"


def _option_problems(study: Study) -> Iterator[str]:
    for place, groups in (
        ("options", [study.options]),
        ("per_model", study.per_model.values()),
        ("per_finetune", study.per_finetune.values()),
    ):
        for name in sorted({name for group in groups for name in group}):
            if name in SET_BY_GRID:
                yield f"{place}: '{name}': the grid sets it; leave it out"
            elif name not in DEFAULTS:
                yield f"{place}: '{name}': no option of train.py; leave it out"


def with_mitigation(study: Study, names: str) -> Study:
    """The study with methods against sex bias, named with commas or ``all``; and the baseline."""
    wanted = MITIGATIONS if names == "all" else [BASELINE, *names.split(",")]
    grid = {"mitigation": list(dict.fromkeys(wanted)), "imbalance": None}
    return make_study(vars(study) | grid, "--mitigation")


def with_baselines(study: Study, names: str) -> Study:
    """The study with baselines, named with commas, ``all`` or ``none``."""
    wanted = {"all": BASELINES, "none": ()}.get(names, tuple(names.split(",")))
    return make_study(vars(study) | {"baselines": wanted}, "--baselines")


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
    grid = product(study.models, study.finetune, study.mitigation or study.imbalance)
    folds = range(study.folds) if study.folds else [None]
    arms = [Arm(*names) for names in grid]
    arms += [Arm(name, "head", Study.imbalance[0]) for name in study.baselines]
    for arm in arms:
        options = _options(study, arm) | {"dataset": dataset}
        try:
            with_public_controls(data, options.get("public_controls", "all"))
            cells += [
                _cell(arm, options | {"fold": fold, "seed": seed}, data, out / "cells")
                for fold, seed in product(folds, study.seeds)
            ]
        except UserError as error:
            left_out[arm.name] = str(error)
    if not cells:
        raise UsageError("no run is possible: " + "; ".join(left_out.values()))
    return cells, left_out


def _options(study: Study, arm: Arm) -> dict[str, Any]:
    """Options of `train.py` for an arm; later ones win."""
    options = {"tracker": "none", "resume": True} | study.options
    if arm.is_baseline:
        options = {name: options[name] for name in ("tracker", "resume", *OF_BASELINES)
                   if name in options}  # fmt: skip
        return options | {"imbalance": arm.treatment, "model": arm.model, "finetune": arm.finetune}
    for patterns, name in ((study.per_finetune, arm.finetune), (study.per_model, arm.model)):
        for pattern, values in patterns.items():
            if fnmatchcase(name, pattern) or fnmatchcase(Path(name).name, pattern):
                options |= values
    treatment = {"imbalance": arm.treatment}
    if study.mitigation:
        treatment = {"public_controls": "none"} | MITIGATIONS[arm.treatment]
    return options | treatment | {"model": arm.model, "finetune": arm.finetune}


def _cell(arm: Arm, options: dict[str, Any], data: FaceData, cells: Path) -> Cell:
    """Name the run folder after its settings and data, so that another study's run of the same
    name is never taken for it."""
    config = RunConfig.of(options | {"output_dir": str(cells)})
    facts = json.dumps(plain(_deciding(arm, config, data)), sort_keys=True)
    digest = hashlib.sha256(facts.encode()).hexdigest()[:8]
    fold = "" if config.data.fold is None else f"-f{config.data.fold}"
    name = f"{Path(arm.model).name}-{arm.finetune}-{arm.treatment}{fold}-s{config.training.seed}"
    return Cell(arm, RunConfig.of(options | {"output_dir": str(cells / f"{name}-{digest}")}))


def _deciding(arm: Arm, config: RunConfig, data: FaceData) -> dict[str, Any]:
    """What decides a cell's result.

    Options that are younger than the first studies count only where they change something, so
    that older studies go on with the cells that they have.
    """
    plan = run_plan(config, data)
    young = plan["config"]["model"]
    if config.model.field is None:
        del young["field"]
    if config.is_probe or not config.freezes_batch_norms or not arm.is_cnn:
        del young["batch_norm"]
    return plan
