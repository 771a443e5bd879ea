"""Facts of a run for its card: read from its files, never computed anew or guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_cushing.data.counts import count_cells
from hf_cushing.data.intake_report import read_intake_report
from hf_cushing.evaluation.predictions import Predictions, load_predictions
from hf_cushing.evaluation.record import Report, report_from_json
from hf_cushing.files import read_json
from hf_cushing.models.backbones import BACKBONES
from hf_cushing.schema import SEXES, SPLITS, UserError
from hf_cushing.training.run_folder import read_manifest


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


def model_facts(
    run: Path,
    repo_id: str,
    *,
    license: str = "",
    dataset: Path | None = None,
    dataset_id: str = "",
    explain: Path | None = None,
) -> ModelFacts:
    """Read the facts of a finished run.

    Parameters
    ----------
    run : Path
    repo_id : str
    license : str
    dataset : Path, optional
        The prepared dataset folder, for what a person said of it.
    dataset_id : str
        Its Hub id; by default that of the run, if the run had it from the Hub.
    explain : Path, optional
        Folder of ``hf-cushing explain``.

    Raises
    ------
    UserError
        An unfinished run, or files that can't be read.
    """
    manifest = read_manifest(run)
    metrics = read_json(run / "metrics.json")
    predictions = load_predictions(run)
    trained_on = manifest["config"]["data"]["dataset"]
    return ModelFacts(
        repo_id=repo_id,
        license=license,
        dataset_id=dataset_id or (trained_on if "/" in trained_on else ""),
        manifest=manifest,
        report=report_from_json(metrics),
        points=metrics["operating_points"],
        predictions=predictions,
        cells=_in_order(manifest.get("cells") or _cells(predictions), manifest["labels"]),
        datasheet=_datasheet(dataset),
        input_side=read_json(run / "preprocessor_config.json")["crop_size"]["height"],
        regions=_regions(explain, manifest["model_revision"]) if explain else None,
    )


def _cells(predictions: Predictions) -> list[dict[str, Any]]:
    """Counts of the scored splits alone: older runs did not record those of training."""
    by = ("split", "label", "sex")
    columns = {name: getattr(predictions, name).tolist() for name in (*by, "patient_id")}
    return count_cells(columns, by)


def _in_order(cells: list[dict[str, Any]], labels: list[str]) -> list[dict[str, Any]]:
    """By split, label, sex; roles of training beside the splits come after `train`."""

    def place(cell: dict[str, Any]) -> tuple[float, int, int]:
        split = SPLITS.index(cell["split"]) if cell["split"] in SPLITS else 0.5
        return split, labels.index(cell["label"]), SEXES.index(cell["sex"])

    return sorted(cells, key=place)


def _datasheet(dataset: Path | None) -> dict[str, str]:
    report = read_intake_report(dataset) if dataset else None
    return report.datasheet if report else {}


def _regions(explain: Path, revision: str) -> dict[str, Any]:
    path = explain / "explain.json"
    if not path.is_file():
        raise UserError(f"{explain} holds no explain.json; make it with `hf-cushing explain`")
    found = read_json(path)
    if found.get("model_revision") != revision:
        raise UserError(f"{path} was made with another model; run `hf-cushing explain` on this run")
    return found
