"""Facts of a run for its card: read from its files, never computed anew or guessed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

from hf_cushing.data.counts import count_cells
from hf_cushing.data.intake_report import read_intake_report
from hf_cushing.evaluation.origin import origin_of
from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.evaluation.record import Report
from hf_cushing.evaluation.subgroups import MACRO
from hf_cushing.models.backbones import BACKBONES
from hf_cushing.publish.options import REPO_ID, ModelOptions
from hf_cushing.publish.remote import commit_of_dataset
from hf_cushing.run import Run

ADAPTER = "adapter/adapter_config.json"
"""Where a run with adapters keeps them, beside the model that they are merged into."""

SERVES = 0.8
"""Share of the way from chance to the aligned AUROC that the plain path must surely keep."""


@dataclass(frozen=True)
class PlainPath:
    """AUROC of the plain pipeline on photos as they are, beside that of aligned faces.

    Attributes
    ----------
    aligned, plain : float
        Estimates.
    low, high : float
        95 % interval of `plain`.
    """

    aligned: float
    plain: float
    low: float
    high: float

    @property
    def serves(self) -> bool:
        """Whether the plain path may be used on any photo; the Hub's own widget takes it.

        >>> PlainPath(aligned=0.9, plain=0.88, low=0.83, high=0.92).serves
        True
        >>> PlainPath(aligned=0.9, plain=0.88, low=0.82, high=0.92).serves
        False
        """
        return self.low - 0.5 > SERVES * (self.aligned - 0.5)


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What a model card tells.

    Attributes
    ----------
    repo_id, license : str
        `license` is empty where none was given.
    dataset_id, dataset_commit : str
        Of the dataset on the Hub, as the Hub told; empty where it isn't there.
    drawn, gated : bool
        All faces are drawings; access is asked for.
    tells_predictions, has_adapters : bool
        The scores go along; low-rank adapters do.
    install : str
        What to hand to ``pip install``.
    manifest : dict
        Of the run.
    report : Report
        The figures of ``metrics.json``; without operating points that came from test.
    points : list of dict
        All operating points, as recorded.
    predictions : Predictions
    cells : list of dict
        Photos and patients by split × label × sex.
    datasheet : mapping
        Answers of a person about the dataset; empty where it isn't at hand.
    input_side : int
        Side of the network's input, pixels.
    regions, change : dict
        ``explain.json`` and ``followup.json``; empty where none was given.
    plain : PlainPath or None
        Of the disease that it serves worst; None where it was not measured.
    aligns_on_hub : bool
        The repo has code that aligns, for readers who trust it.
    """

    repo_id: str
    license: str
    dataset_id: str
    dataset_commit: str
    drawn: bool
    gated: bool
    tells_predictions: bool
    has_adapters: bool
    install: str
    given_base: str
    manifest: dict[str, Any]
    report: Report
    points: list[dict[str, Any]]
    predictions: Predictions
    cells: list[dict[str, Any]]
    datasheet: Mapping[str, str]
    input_side: int
    regions: dict[str, Any]
    change: dict[str, Any]
    plain: PlainPath | None
    aligns_on_hub: bool

    @property
    def run(self) -> dict[str, Any]:
        """What the training recorded."""
        return self.manifest["run"]

    @property
    def config(self) -> dict[str, Any]:
        """The settings of the run."""
        return self.manifest["config"]

    @property
    def diseases(self) -> list[str]:
        """All labels but ``control``."""
        return self.manifest["labels"][1:]

    @property
    def origin(self) -> str:
        """Where installed weights come from; empty for other models."""
        known = BACKBONES.get(self.config["model"]["model"])
        return known.origin if known and self.config["model"]["init"] == "pretrained" else ""

    @property
    def base_model(self) -> str:
        """Hub id of the pretrained model; empty for random weights, or where nobody told it."""
        name = self.config["model"]["model"]
        if self.config["model"]["init"] == "random":
            return ""
        if name in BACKBONES:
            return BACKBONES[name].hub_id or ""
        return self.given_base or (name if REPO_ID.fullmatch(name) else "")

    @property
    def counts_of_training(self) -> bool:
        """Whether the training photos' counts were recorded."""
        return any(cell["split"] == "train" for cell in self.cells)


def model_facts(run: Run, options: ModelOptions) -> ModelFacts:
    """Read the facts of a finished run.

    Raises
    ------
    UserError
        An unfinished run, or files that can't be read.
    """
    manifest, predictions = run.finished_manifest, run.recorded_predictions
    report = run.report
    if report.origin is None:  # of a run made before it was recorded
        report = replace(report, origin=origin_of([manifest], [run.title]))
    intake = read_intake_report(options.dataset) if options.dataset else None
    return ModelFacts(
        repo_id=options.repo_id,
        license=options.license,
        **_dataset_on_hub(manifest["config"]["data"], options),
        drawn=run.drawn,
        gated=not (run.drawn or options.ungated),
        tells_predictions=options.predictions,
        has_adapters=(run.folder / ADAPTER).is_file(),
        install=_install(options.code_url),
        given_base=options.base_model,
        manifest=manifest,
        report=report,
        points=run.metrics["operating_points"],
        predictions=predictions,
        cells=manifest.get("cells") or _cells(predictions),
        datasheet=intake.datasheet if intake else {},
        input_side=run.classifier.processor.crop_size["height"],
        regions=run.companion("explain.json", options.explain) if options.explain else {},
        change=run.companion("followup.json", options.followup) if options.followup else {},
        plain=plain_path(run.report),
        aligns_on_hub=options.align_on_hub,
    )


def _dataset_on_hub(trained_on: dict[str, Any], options: ModelOptions) -> dict[str, str]:
    """Id and commit of the run's dataset, where the Hub knows it; a path may look like an id."""
    name, revision = options.dataset_id, None
    if not name and REPO_ID.fullmatch(trained_on["dataset"]):
        name, revision = trained_on["dataset"], trained_on.get("dataset_revision")
    commit = commit_of_dataset(name, revision=revision, folder=options.dataset) if name else ""
    return {"dataset_id": name if commit else "", "dataset_commit": commit}


def _install(address: str) -> str:
    """The package for pip, with where it is: as given, or as it was installed itself."""
    if not address:
        with suppress(PackageNotFoundError):
            found = json.loads(distribution("hf-cushing").read_text("direct_url.json") or "{}")
            address = found["url"] if "vcs_info" in found else ""
    return f"hf-cushing @ git+{address}" if address else "hf-cushing"


def plain_path(report: Report) -> PlainPath | None:
    """How the plain path does, of the disease that it serves worst; None where nobody looked."""
    if report.plain is None:
        return None
    found = []
    for label in report.labels:
        if label != MACRO:
            plain = next(
                row.values["auroc"]
                for row in report.plain.subgroups
                if (row.label, row.subgroup, row.unit) == (label, "all", "photo")
            )
            aligned = report.find(label, "all").values["auroc"].estimate
            found.append(PlainPath(aligned, plain.estimate, plain.low, plain.high))
    return min(found, key=lambda path: (path.serves, path.low - SERVES * path.aligned))


def _cells(predictions: Predictions) -> list[dict[str, Any]]:
    """Counts of the scored splits alone: older runs did not record those of training."""
    by = ("split", "label", "sex")
    columns = {name: getattr(predictions, name).tolist() for name in (*by, "patient_id")}
    return count_cells(columns, by)
