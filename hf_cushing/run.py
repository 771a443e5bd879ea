"""A run folder, or a model on the Hub, opened once for everybody.

The only code that knows which files a run has and what they mean: network and processor, what the
training recorded, operating points, validation scores. Everything is read when it is first asked
for, so a report folder without a model is a `Run`, too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hf_cushing.data.loading import FaceData, load_faces
from hf_cushing.evaluation.conformal import Conformal, fit_conformal
from hf_cushing.evaluation.operating_points import OperatingPoint
from hf_cushing.evaluation.predictions import Predictions, load_predictions
from hf_cushing.evaluation.record import Report, points_from_json, report_from_json
from hf_cushing.files import if_all_folds, read_json
from hf_cushing.models.build import Classifier, load_classifier, no_such_run
from hf_cushing.models.score import weights_revision
from hf_cushing.schema import CONTROL, UsageError, UserError

WEIGHTS = "model.safetensors"
RECORDED = ("metrics.json", "manifest.json", "predictions.parquet", "README.md", "explain.json",
            "followup.json", "*.png", "figures/*.png", "config.json")  # fmt: skip
"""What is fetched of a model on the Hub, beside the model itself."""


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


MANIFEST: dict[str, Callable[[Any], bool]] = {
    "labels": _are_names,
    "seen_photo_ids": _are_names,
    "run": lambda value: isinstance(value, dict),
}
"""What is read of a manifest, and whether a value is of its kind."""

ERROR_RATE = 0.1
"""Of the answer "uncertain": so many known patients of a class and sex fall outside their class."""


@dataclass(frozen=True)
class Run:
    """A finished run, a report folder, or a model on the Hub.

    Parameters
    ----------
    name : str
        Run or report folder, a ``predictions.parquet``, or a Hub id.
    revision : str, optional
        Branch, tag or commit of a Hub model.

    Raises
    ------
    UserError
        By every property: nothing of that name, or a file that can't be read.
    UsageError
        A revision of a folder.

    Examples
    --------
    >>> run = Run("runs/demo")
    >>> run.labels, run.operating_point("cushing").threshold  # doctest: +SKIP
    (('control', 'cushing'), 0.294)
    """

    name: str
    revision: str | None = None

    def __post_init__(self):
        object.__setattr__(self, "name", str(self.name))
        if self.revision and self._path.exists():
            raise UsageError(f"--revision {self.revision} is for a Hub id, {self.name} is here")

    @property
    def _path(self) -> Path:
        return Path(self.name).expanduser()

    @property
    def title(self) -> str:
        """Hub id, or the last part of the folder's path: no path of this machine."""
        return self._path.resolve().name if self._path.exists() else self.name

    @cached_property
    def folder(self) -> Path:
        """Where the recorded files lie: the run folder, or the cached files of a Hub model."""
        if self._path.is_dir():
            return self._path
        if self._path.is_file():
            return self._path.parent
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError

        try:
            return Path(
                snapshot_download(self.name, revision=self.revision, allow_patterns=[*RECORDED])
            )
        except (HFValidationError, HfHubHTTPError, OSError) as error:
            raise no_such_run(self.name) from error

    def file(self, name: str) -> Path | None:
        """Path of a recorded file; None where the run has none of that name."""
        if self._path.is_file():
            return self._path if self._path.suffix == Path(name).suffix else None
        path = self.folder / name
        return path if path.is_file() else None

    def _json(self, name: str) -> dict[str, Any]:
        path = self.file(name)
        return read_json(path) if path else {}

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What the training recorded; empty for a model or report without.

        Raises
        ------
        UserError
            What is read of it is of another kind.
        """
        facts = self._json("manifest.json")
        known = facts.items() if isinstance(facts, dict) else ()
        odd = [k for k, v in known if k in MANIFEST and v is not None and not MANIFEST[k](v)]
        if odd or not isinstance(facts, dict):
            what = f"{', '.join(odd) or 'it'} is not as training writes it"
            raise UserError(f"{self.name}/manifest.json: {what}; use the run as it was written")
        return facts

    @property
    def finished_manifest(self) -> dict[str, Any]:
        """The manifest of a run that must have one."""
        if not self.manifest:
            why = if_all_folds(self._path) or "the run did not finish; go on with --resume"
            raise UserError(f"{self.name} has no manifest.json: {why}")
        return self.manifest

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """``metrics.json`` as it stands; empty where there is none."""
        return self._json("metrics.json")

    @cached_property
    def report(self) -> Report | None:
        """The recorded evaluation; None where there is none."""
        return report_from_json(self.metrics) if self.metrics else None

    @cached_property
    def classifier(self) -> Classifier:
        """Network and processor, as they were saved; evaluation mode."""
        if self.manifest.get("run", {}).get("model_type") == "baseline":
            raise UserError(
                f"{self.name} is a baseline without a network: it can be evaluated and compared, "
                "neither asked about photos nor published"
            )
        return load_classifier(self.name, self.revision)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Class names, ``control`` first."""
        if self.manifest.get("labels"):
            return tuple(self.manifest["labels"])
        if self.predictions:
            return self.predictions.labels
        names = self.classifier.model.config.id2label
        return tuple(names[number] for number in range(len(names)))

    @property
    def diseases(self) -> tuple[str, ...]:
        """All labels but ``control``."""
        return tuple(label for label in self.labels if label != CONTROL)

    @property
    def grades(self) -> tuple[str, ...]:
        """The labels as grades of severity, mildest first; empty where they have no order."""
        return tuple((self.metrics.get("grading") or {}).get("grades", ()))

    @cached_property
    def weights_revision(self) -> str:
        """Names the weights, as in the recorded files; empty where there are none."""
        if self._path.exists():
            weights = self.file(WEIGHTS)
            return weights_revision(weights) if weights else ""
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import (
            EntryNotFoundError,
            HfHubHTTPError,
            LocalEntryNotFoundError,
        )

        try:
            return weights_revision(
                Path(hf_hub_download(self.name, WEIGHTS, revision=self.revision))
            )
        except LocalEntryNotFoundError as error:
            raise no_such_run(self.name) from error
        except EntryNotFoundError:
            return ""
        except (HfHubHTTPError, OSError) as error:
            raise no_such_run(self.name) from error

    @cached_property
    def operating_points(self) -> tuple[OperatingPoint, ...]:
        """Thresholds that were chosen on validation; of a pooled report, those of each model.

        Raises
        ------
        UserError
            They belong to other weights than the model's.
        """
        points = tuple(points_from_json(self.metrics)) if self.metrics else ()
        own = self.weights_revision
        if own and any(point.model_revision != own for point in points):
            raise UserError(
                f"{self.name}: metrics.json belongs to other weights; evaluate the original run"
            )
        return points

    def operating_point(self, label: str, sex: str = "unknown") -> OperatingPoint | None:
        """The operating point of a disease: of this sex where there is one, else the shared.

        Raises
        ------
        UserError
            A report that pools several models, of which each has its own.
        """
        points = [point for point in self.operating_points if point.label == label]
        if len({point.model_revision for point in points}) > 1:
            raise UserError(f"{self.name} pools several models; give the run of one of them")
        own = {point.sex: point for point in points}
        return own.get(sex, own.get("all"))

    @property
    def threshold_rule(self) -> str | None:
        """By which the operating points were chosen; None where none are recorded."""
        return self.operating_points[0].rule if self.operating_points else None

    @cached_property
    def predictions(self) -> Predictions | None:
        """The recorded scores; None where there are none."""
        path = self.file("predictions.parquet")
        return load_predictions(path) if path else None

    @property
    def recorded_predictions(self) -> Predictions:
        """The scores of a run that must have some."""
        if self.predictions is None:
            why = if_all_folds(self._path) or "give a finished run or report folder"
            raise UserError(f"{self.name} holds no predictions.parquet; {why}")
        return self.predictions

    @cached_property
    def validation(self) -> Predictions | None:
        """Scores of the validation photos by this one model; None where there are none."""
        rows = self.predictions
        if rows is None or rows.labels != self.labels or not (rows.split == "validation").any():
            return None
        rows = rows.of_split("validation")
        return rows if len(set(rows.model_revision.tolist())) == 1 else None

    @cached_property
    def limits(self) -> Conformal | None:
        """Which labels stay plausible, at `ERROR_RATE`; None without validation scores."""
        return fit_conformal(self.validation, ERROR_RATE) if self.validation else None

    @property
    def drawn(self) -> bool:
        """Whether the model learned from drawn faces alone, as far as that is recorded."""
        known = self.validation or self.predictions
        return bool(self.manifest.get("drawn")) or (known is not None and known.drawn)

    @property
    def calibrated(self) -> bool:
        """Whether the probabilities were calibrated on validation."""
        facts = self.manifest.get("run", {}).get("calibration", {})
        return facts.get("method", "none") != "none"

    @cached_property
    def seen_photo_ids(self) -> frozenset[str] | None:
        """Photos that trained or validated the model; None where it doesn't say."""
        names = self.manifest.get("seen_photo_ids")
        return None if names is None else frozenset(names)

    def check_not_seen(self, photo_ids: Collection[str], remedy: str) -> None:
        """Refuse photos that trained the model, or chose its epoch and threshold.

        Photos are told by their content: the same person in other photos is not noticed.

        Raises
        ------
        UserError
            It counts and names them, and ends with `remedy`.
        """
        seen = sorted((self.seen_photo_ids or frozenset()) & set(photo_ids))
        if seen:
            some = ", ".join(seen[:3]) + (", …" if len(seen) > 3 else "")
            raise UserError(
                f"{len(seen)} of the {len(photo_ids)} photos were among the train or validation "
                f"photos of {self.title} (photo_id {some}); {remedy}"
            )

    def load_faces(self, dataset: str, revision: str | None = None) -> FaceData:
        """Load a dataset with the roles of its photos as this run had them.

        Another dataset than the run's has the roles of its own splits.
        """
        data = load_faces(dataset, revision=revision)
        if self.manifest.get("dataset_revision") != data.revision:
            return data
        own = self.manifest["config"]["data"]
        return load_faces(dataset, revision=revision, fold=own["fold"], repeat=own["repeat"])

    def companion(self, name: str, folder: Path | None = None) -> dict[str, Any]:
        """What a command reported of this model: ``explain.json`` or ``followup.json``.

        Parameters
        ----------
        name : str
        folder : Path, optional
            The report folder, which then must hold it; else the run's own files are looked up.

        Returns
        -------
        dict
            Empty where there is none.

        Raises
        ------
        UserError
            Not in `folder`, or made with another model.
        """
        command = f"`hf-cushing {Path(name).stem}`"
        path = folder / name if folder else self.file(name)
        if folder and not path.is_file():
            raise UserError(f"{folder} holds no {name}; make it with {command}")
        facts = read_json(path) if path else {}
        if facts and facts.get("model_revision") != self.weights_revision:
            raise UserError(
                f"{folder or self.name}: {name} was made with another model; make it again with "
                f"{command}"
            )
        return facts
