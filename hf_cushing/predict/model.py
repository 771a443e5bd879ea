"""A model loaded once and shared, with what its run recorded, ready to read photos.

No page and no web server in here: `app` shows what `answer` returns.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from hf_cushing.evaluation.command import model_revision
from hf_cushing.evaluation.conformal import Conformal, fit_conformal
from hf_cushing.evaluation.operating_points import OperatingPoint
from hf_cushing.evaluation.predictions import Predictions, load_predictions
from hf_cushing.evaluation.record import points_from_json
from hf_cushing.files import read_json
from hf_cushing.heatmaps.methods import methods_for
from hf_cushing.models.build import Classifier, load_classifier
from hf_cushing.models.score import input_pixels, labels_of, log_odds
from hf_cushing.predict.together import Together
from hf_cushing.schema import CONTROL, UserError
from hf_cushing.stats.reliable_change import Repeatability

ERROR_RATE = 0.1
"""Of the "uncertain" band: so many known patients of a class and sex fall outside their class."""

NEEDED = ("metrics.json", "manifest.json", "predictions.parquet", "README.md", "explain.json",
          "followup.json", "roc.png", "figures/*.png")  # fmt: skip
"""Of a model on the Hub, beside the model itself."""

TOGETHER = 8
"""Faces that go through the network at once."""

PREFERRED = ("attention-gradient", "grad-cam")
"""Heatmap of a network without a judged one: the first that fits (ViT and DINOv2; all others)."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """A model with what its run recorded.

    Attributes
    ----------
    name : str
        Last part of the run's path, or the Hub id.
    folder : Path
        Where ``metrics.json`` and the card are.
    classifier : Classifier
    labels : tuple of str
        ``control`` first.
    points : tuple of OperatingPoint
    limits : Conformal or None
        From the validation photos of the run; None where it recorded none.
    revision : str
        The model that `limits` belong to.
    shares : dict
        Label to its share of the validation photos; empty where not known.
    calibrated : bool
        Whether the run calibrated its probabilities.
    method : str
        Heatmap, of `heatmaps.METHODS`.
    judged : bool
        Whether `method` was shown to beat random maps on this model.
    drawn : bool
        All photos of the run are drawings.
    spread : dict
        Label to how repeatable its log-odds are, where ``hf-cushing followup`` measured that.
    score : Together
        Takes aligned faces; gives the probabilities and log-odds of each, float64, (labels,).
    finding : threading.Lock
        Held while a face is searched: dlib's detector serves one caller at a time.
    """

    name: str
    folder: Path
    classifier: Classifier
    labels: tuple[str, ...]
    points: tuple[OperatingPoint, ...]
    limits: Conformal | None
    revision: str
    shares: dict[str, float]
    calibrated: bool
    method: str
    judged: bool
    drawn: bool
    spread: dict[str, Repeatability]
    score: Together[Image.Image, tuple[np.ndarray, np.ndarray]] = field(repr=False)
    finding: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def diseases(self) -> tuple[str, ...]:
        """All labels but ``control``."""
        return tuple(label for label in self.labels if label != CONTROL)

    def point(self, label: str, sex: str = "unknown") -> OperatingPoint | None:
        """The operating point of a disease: of this sex where there is one, else the shared."""
        own = {p.sex: p for p in self.points if p.label == label}
        return own.get(sex, own.get("all"))


def load_service(
    model: str, *, explanation: Path | None = None, followup: Path | None = None
) -> Service:
    """Load a model and what its run recorded.

    Parameters
    ----------
    model : str
        Run folder or Hub id.
    explanation, followup : Path, optional
        Folders of ``hf-cushing explain`` and ``hf-cushing followup``.

    Raises
    ------
    UserError
        No such model, files that can't be read, or reports of another model.
    """
    classifier = load_classifier(model)
    folder = _folder(model)
    manifest = _json(folder / "manifest.json")
    explained = _report(explanation, folder, "explain.json")
    method, judged = _method(classifier, explained)
    labels = tuple(labels_of(classifier.model))
    if CONTROL not in labels or len(labels) < 2:
        raise UserError(f"{model} knows {', '.join(labels)}: it is no model of hf-cushing")
    known = _validation(folder / "predictions.parquet", labels)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    classifier.model.to(device).eval()
    return Service(
        name=model if "/" in model and not Path(model).is_dir() else Path(model).resolve().name,
        folder=folder,
        classifier=classifier,
        labels=labels,
        points=tuple(_points(folder / "metrics.json")),
        limits=fit_conformal(known, ERROR_RATE) if known else None,
        revision=str(known.model_revision[0]) if known else "",
        shares={x: float((known.label == x).mean()) for x in labels} if known else {},
        calibrated=manifest.get("run", {}).get("calibration", {}).get("method", "none") != "none",
        method=method,
        judged=judged,
        drawn=bool(manifest.get("drawn")) or (known is not None and known.drawn),
        spread=_spread(_report(followup, folder, "followup.json")),
        score=Together(partial(_scores, classifier), TOGETHER),
    )


def _scores(
    classifier: Classifier, crops: Sequence[Image.Image]
) -> list[tuple[np.ndarray, np.ndarray]]:
    with torch.inference_mode():
        logits = classifier.model(pixel_values=input_pixels(crops, classifier)).logits.double()
        odds = torch.stack([log_odds(logits, n) for n in range(logits.shape[1])], 1)
    return list(zip(logits.softmax(1).cpu().numpy(), odds.cpu().numpy(), strict=True))


def _folder(model: str) -> Path:
    """The run folder; of a Hub id the cached folder, with the files that are `NEEDED`."""
    if Path(model).expanduser().is_dir():
        return Path(model).expanduser()
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(model, allow_patterns=[*NEEDED, "config.json"]))


def _json(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}


def _report(asked: Path | None, folder: Path, name: str) -> dict[str, Any]:
    """What a command reported of this model, from the folder that was named or else its own."""
    if asked and not (asked / name).is_file():
        raise UserError(f"{asked} holds no {name}; make it with `hf-cushing {Path(name).stem}`")
    found = _json((asked or folder) / name)
    if found and found.get("model_revision") != model_revision(str(folder)):
        raise UserError(
            f"{asked or folder}: {name} was made with another model; make it again with "
            f"`hf-cushing {Path(name).stem}`"
        )
    return found


def _points(path: Path) -> list[OperatingPoint]:
    return points_from_json(read_json(path)) if path.is_file() else []


def _validation(path: Path, labels: Sequence[str]) -> Predictions | None:
    """Scores of the run's validation photos, if they are those of this one model."""
    if not path.is_file():
        return None
    rows = load_predictions(path)
    if rows.labels != tuple(labels) or not (rows.split == "validation").any():
        return None
    rows = rows.of_split("validation")
    return rows if len(set(rows.model_revision.tolist())) == 1 else None


def _method(classifier: Classifier, explained: dict[str, Any]) -> tuple[str, bool]:
    fitting = methods_for(classifier.model)
    best = explained.get("best_method")
    if best in fitting:
        return best, True
    return next((name for name in PREFERRED if name in fitting), fitting[0]), False


def _spread(followed: dict[str, Any]) -> dict[str, Repeatability]:
    if not followed:
        return {}
    facts = followed["repeatability"]
    known = Repeatability.__dataclass_fields__
    values = {k: float("nan") if v is None else v for k, v in facts.items() if k in known}
    return {followed["label"]: Repeatability(**values)}
