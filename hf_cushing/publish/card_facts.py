"""Facts of a run for its card: read from its files, never computed anew or guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hf_cushing.data.counts import count_cells
from hf_cushing.data.intake_report import read_intake_report
from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.evaluation.record import Report
from hf_cushing.models.backbones import BACKBONES
from hf_cushing.publish.options import ModelOptions
from hf_cushing.run import Run


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What a model card tells.

    Attributes
    ----------
    repo_id, license : str
        `license` is empty where none was given.
    dataset_id : str
        Hub id of the dataset; empty where it isn't on the Hub.
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
    regions : dict or None
        ``explain.json``, if there was one.
    """

    repo_id: str
    license: str
    dataset_id: str
    manifest: dict[str, Any]
    report: Report
    points: list[dict[str, Any]]
    predictions: Predictions
    cells: list[dict[str, Any]]
    datasheet: Mapping[str, str]
    input_side: int
    regions: dict[str, Any] | None

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
        """Hub id of the pretrained model; empty for random weights or a folder's."""
        name = self.config["model"]["model"]
        if self.config["model"]["init"] == "random":
            return ""
        if name in BACKBONES:
            return BACKBONES[name].hub_id or ""
        return name if "/" in name else ""

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
    trained_on = manifest["config"]["data"]["dataset"]
    intake = read_intake_report(options.dataset) if options.dataset else None
    return ModelFacts(
        repo_id=options.repo_id,
        license=options.license,
        dataset_id=options.dataset_id or (trained_on if "/" in trained_on else ""),
        manifest=manifest,
        report=run.report,
        points=run.metrics["operating_points"],
        predictions=predictions,
        cells=manifest.get("cells") or _cells(predictions),
        datasheet=intake.datasheet if intake else {},
        input_side=run.classifier.processor.crop_size["height"],
        regions=run.companion("explain.json", options.explain) if options.explain else None,
    )


def _cells(predictions: Predictions) -> list[dict[str, Any]]:
    """Counts of the scored splits alone: older runs did not record those of training."""
    by = ("split", "label", "sex")
    columns = {name: getattr(predictions, name).tolist() for name in (*by, "patient_id")}
    return count_cells(columns, by)
