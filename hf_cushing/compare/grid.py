"""The runs of a study: its arms, and a cell for each of their folds and seeds."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import Any

from hf_cushing.compare.plan import MITIGATIONS, Study
from hf_cushing.config import BASELINES, RunConfig
from hf_cushing.data.loading import FaceData
from hf_cushing.data.subsets import with_public_controls
from hf_cushing.files import plain
from hf_cushing.models.baselines import check_landmarks
from hf_cushing.run import Run
from hf_cushing.schema import ALIGNED, UsageError, UserError
from hf_cushing.training.run_folder import run_plan

OF_BASELINES = ("tracker", "resume", "cpu", "bootstrap", "calibration", "threshold_rule",
                "public_controls", "repeat", "dataset_revision")  # fmt: skip
"""Options of a study that hold for its baselines, too."""

CHOSEN = "chosen on validation"
"""Stands for a variant in the arm made of the variants that validation chose."""

CNNS = ("resnet", "densenet")
"""Parts of the names of convolutional networks."""


@dataclass(frozen=True, order=True)
class Arm:
    """What is compared: everything about a run but its fold and seed.

    Attributes
    ----------
    model, finetune : str
    treatment : str
        Of imbalance, or of sex bias.
    variant : str
        Of `Study.variants`, or `CHOSEN`; empty where nothing varies.
    size : float
        Share of the training patients that learn.
    """

    model: str
    finetune: str
    treatment: str
    variant: str = ""
    size: float = 1.0

    @property
    def is_cnn(self) -> bool:
        """The network is convolutional, as its name says."""
        return any(name in self.model.lower() for name in CNNS)

    @property
    def is_baseline(self) -> bool:
        """There is no network."""
        return self.model in BASELINES

    @property
    def is_trial(self) -> bool:
        """One of several variants, of which one is chosen."""
        return self.variant not in ("", CHOSEN)

    @property
    def words(self) -> tuple[str, str]:
        """For tables: the model's last name; the method, with what is unusual or varies."""
        if self.is_baseline:
            return self.model, "baseline"
        treatment = "" if self.treatment == "class_sex" else self.treatment
        part = "" if self.size == 1 else f"{100 * self.size:g} % of the patients"
        return Path(self.model).name, ", ".join(
            filter(None, (self.finetune, treatment, self.variant, part))
        )

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
    folds = range(study.folds) if study.folds else [None]
    for arm in _arms(study):
        options = _options(study, arm) | {"dataset": dataset}
        try:
            _check_photos(arm, options, data)
            cells += [
                _cell(arm, options | {"fold": fold, "seed": seed}, data, out / "cells")
                for fold, seed in product(folds, study.seeds)
            ]
        except UserError as error:
            left_out[arm.name] = str(error)
    if not cells:
        raise UsageError("no run is possible: " + "; ".join(left_out.values()))
    return cells, left_out


def _arms(study: Study) -> list[Arm]:
    treatments = study.mitigation or study.imbalance
    sizes = dict.fromkeys([1.0, *map(float, study.sizes)])
    grid = product(study.models, study.finetune, treatments, study.variants, sizes)
    baselines = [Arm(name, "head", Study.imbalance[0]) for name in study.baselines]
    return [*(Arm(*names) for names in grid), *baselines]


def _check_photos(arm: Arm, options: dict[str, Any], data: FaceData) -> None:
    """Refuse an arm that needs what the dataset doesn't have."""
    with_public_controls(data, options.get("public_controls", "all"))
    if arm.is_baseline and arm.model != "demographics":
        check_landmarks(data.roles["train"])


def _options(study: Study, arm: Arm) -> dict[str, Any]:
    """Options of `train.py` for an arm; later ones win."""
    options = {"tracker": "none", "resume": True, "repeatability": 0} | study.options
    treatment = {"imbalance": arm.treatment}
    if study.mitigation:
        treatment = {"public_controls": "none"} | MITIGATIONS.get(arm.treatment, treatment)
    named = treatment | {"model": arm.model, "finetune": arm.finetune, "train_share": arm.size}
    if arm.is_baseline:
        return {name: options[name] for name in OF_BASELINES if name in options} | named
    for patterns, name in ((study.per_finetune, arm.finetune), (study.per_model, arm.model)):
        for pattern, values in patterns.items():
            if fnmatchcase(name, pattern) or fnmatchcase(Path(name).name, pattern):
                options |= values
    return options | study.variants[arm.variant] | named


def _cell(arm: Arm, options: dict[str, Any], data: FaceData, cells: Path) -> Cell:
    """Name the run folder after its settings and data, so that another study's run of the same
    name is never taken for it."""
    config = RunConfig.of(options | {"output_dir": str(cells)})
    facts = json.dumps(plain(_deciding(arm, config, data)), sort_keys=True)
    digest = hashlib.sha256(facts.encode()).hexdigest()[:8]
    fold = "" if config.data.fold is None else f"f{config.data.fold}"
    part = "" if arm.size == 1 else f"p{100 * arm.size:g}"
    parts = (Path(arm.model).name, arm.finetune, arm.treatment, file_name(arm.variant), part, fold,
             f"s{config.training.seed}", digest)  # fmt: skip
    folder = cells / "-".join(filter(None, parts))
    return Cell(arm, RunConfig.of(options | {"output_dir": str(folder)}))


def file_name(text: str) -> str:
    """The name of an arm, or of what varies, as part of a folder's.

    >>> file_name("dinov2-s, head")
    'dinov2-s-head'
    """
    return re.sub(r"[^\w.-]+", "-", text)


def _deciding(arm: Arm, config: RunConfig, data: FaceData) -> dict[str, Any]:
    """What decides a cell's result.

    Options that are younger than the first studies count only where they change something, so
    that older studies go on with the cells that they have.
    """
    plan = run_plan(config, data)
    young = plan["config"]["model"]
    if arm.size == 1:
        del plan["config"]["data"]["train_share"]
    if not config.model.average_mirrored:
        del young["average_mirrored"]
    if config.model.field is None:
        del young["field"]
    if config.training.framing == ALIGNED:
        del plan["config"]["training"]["framing"]
    if config.is_probe or not config.freezes_batch_norms or not arm.is_cnn:
        del young["batch_norm"]
    return plan
