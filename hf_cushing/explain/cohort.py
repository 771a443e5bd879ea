"""Explain a model on a whole split: heatmaps, hidden regions, and whether the maps are faithful.

Every batch is kept as it is done, so that a stopped explanation goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from hf_cushing import __version__
from hf_cushing.data.loading import class_words
from hf_cushing.data.options import Progress
from hf_cushing.evaluation.command import load_as_run, model_revision
from hf_cushing.evaluation.record import points_from_json
from hf_cushing.explain.faithful_cohort import Faithful, measure_faithful
from hf_cushing.explain.occlusion import occlusion_effects
from hf_cushing.explain.options import ExplainOptions
from hf_cushing.faces.regions import REGIONS, region_labels
from hf_cushing.files import read_json
from hf_cushing.heatmaps.inputs import score
from hf_cushing.heatmaps.methods import METHODS, check_method, explain_many, methods_for
from hf_cushing.heatmaps.store import Store
from hf_cushing.models.build import Classifier, load_classifier
from hf_cushing.models.score import check_labels, class_number, input_pixels, labels_of
from hf_cushing.schema import UsageError, UserError

if TYPE_CHECKING:
    from datasets import Dataset

MAP_SIDE = 64
"""Side at which heatmaps are kept: finer than any method sees."""

QUICK = 100
"""Methods of at most this many passes a photo are made unless others are named."""


@dataclass(frozen=True)
class Explained:
    """Everything the report needs, one row a photo, in order of photo_id.

    Attributes
    ----------
    photos : datasets.Dataset
    model_revision, dataset_revision : str
        What was explained, and on what.
    label : str
        The disease explained.
    landmarks : numpy.ndarray
        float32, shape (n, 68, 2).
    log_odds : numpy.ndarray
        Shape (n,).
    threshold : float
        Of the probability, as the run chose it; 0.5 where it has none.
    areas : numpy.ndarray
        Pixels of each region, shape (n, regions).
    shares : dict
        Method to absolute attribution by region, shape (n, regions).
    maps : dict
        Method to float32, shape (n, MAP_SIDE, MAP_SIDE), absolute values, sum 1.
    absent, only : numpy.ndarray
        Changes of the log-odds, shape (n, groups); see `occlusion_effects`.
    faithful : dict
        Method to `Faithful`, on the first photos.
    """

    photos: Dataset
    model_revision: str
    dataset_revision: str
    label: str
    landmarks: np.ndarray
    log_odds: np.ndarray
    threshold: float
    areas: np.ndarray
    shares: dict[str, np.ndarray]
    maps: dict[str, np.ndarray]
    absent: np.ndarray
    only: np.ndarray
    faithful: dict[str, Faithful]

    @property
    def side(self) -> int:
        """Pixels along a side of a crop."""
        return self.photos[0]["image"].size[0]

    @property
    def patients(self) -> np.ndarray:
        """Words, shape (n,)."""
        return np.array(self.photos["patient_id"][:])

    @property
    def sexes(self) -> np.ndarray:
        """Words, shape (n,)."""
        return class_words(self.photos, "sex")

    @property
    def truth(self) -> np.ndarray:
        """Whether the photo has the label: bool, shape (n,)."""
        return class_words(self.photos, "label") == self.label

    @property
    def right(self) -> np.ndarray:
        """Whether the model, at its threshold, is right: bool, shape (n,)."""
        called = 1 / (1 + np.exp(-self.log_odds)) >= self.threshold
        return called == self.truth

    def crops(self, mask: np.ndarray | None = None) -> Iterator[Image.Image]:
        """The photos of a mask, decoded one at a time."""
        places = range(len(self.photos)) if mask is None else np.flatnonzero(mask).tolist()
        return (self.photos[place]["image"].convert("RGB") for place in places)


def explain_run(
    run: str,
    dataset: str,
    work: Path,
    options: ExplainOptions,
    progress: Progress,
    *,
    check: Callable[[Dataset], object] = id,
) -> Explained:
    """Compute everything, batch by batch, into `work`; what is there is not computed again.

    Parameters
    ----------
    run : str
        Run folder or Hub id.
    dataset : str
        Dataset folder or Hub id.
    work : Path
        Folder for finished batches.
    options : ExplainOptions
    progress : callable
        Takes a title and a total; gives what advances the bar.
    check : callable
        Called with the photos before anything is computed; may refuse by raising.

    Raises
    ------
    UserError
        A dataset without landmarks, a landmark outside its crop, no such split; a model with
        other labels.
    UsageError
        A method that the network can't have, or an unknown label.
    """
    classifier = load_classifier(run)
    device = "cuda" if torch.cuda.is_available() and not options.cpu else "cpu"
    classifier.model.to(device)
    photos, revision = _photos(run, dataset, options, classifier)
    label = _label(classifier, options.label)
    methods = options.methods or _quick(classifier)
    for method in methods:
        check_method(classifier.model, method)
    landmarks = np.array(photos["landmarks"][:], np.float32).reshape(len(photos), 68, 2)
    sides = [image.size[0] for image in photos["image"][:1]]
    regions = _regions(photos, landmarks, sides[0])
    check(photos)
    key = _key(classifier, revision, photos, label, options)
    store = Store(work / key, photos, options.batch_size, progress)
    odds = store.get("log-odds", lambda crops, _: {"log_odds": _log_odds(classifier, label)(crops)})

    def mapped(method: str) -> Callable[[list[Image.Image], slice], dict[str, np.ndarray]]:
        return lambda crops, part: _maps(classifier, crops, regions[part], label, method)

    found = {method: store.get(method, mapped(method)) for method in methods}
    hidden = {
        mode: store.get(
            f"{options.how}-{mode}",
            lambda crops, part, mode=mode: {
                "change": occlusion_effects(
                    _log_odds(classifier, label), crops, regions[part],
                    how=options.how, mode=mode, batch_size=4 * options.batch_size,
                )
            },
        )["change"]
        for mode in ("absent", "only")
    }  # fmt: skip
    return Explained(
        photos=photos,
        model_revision=model_revision(run),
        dataset_revision=revision,
        label=label,
        landmarks=landmarks,
        log_odds=odds["log_odds"],
        threshold=_threshold(run, label),
        areas=np.stack([np.bincount(r.ravel(), minlength=len(REGIONS)) for r in regions]),
        shares={method: parts["shares"] for method, parts in found.items()},
        maps={method: parts["maps"] for method, parts in found.items()},
        absent=hidden["absent"],
        only=hidden["only"],
        faithful=measure_faithful(classifier, label, methods, store, count=options.faithful_photos),
    )


def _photos(
    run: str, dataset: str, options: ExplainOptions, classifier: Classifier
) -> tuple[Dataset, str]:
    """The photos of the split, as the run dealt them, in order of photo_id; and the revision."""
    data = load_as_run(run, dataset)
    if options.split not in data.roles:
        raise UsageError(f"--split {options.split}: choose from {', '.join(data.roles)}")
    check_labels(classifier, data.labels, run)
    photos = data.roles[options.split]
    if "landmarks" not in photos.column_names:
        raise UserError(
            f"--dataset {dataset} has no landmarks, so no regions; make it with `hf-cushing "
            "prepare`"
        )
    order = np.argsort(photos["photo_id"][:], kind="stable")
    return photos.select(order[: options.limit or None]), data.revision


def _label(classifier: Classifier, asked: str | None) -> str:
    return labels_of(classifier.model)[class_number(classifier.model, asked)]


def _quick(classifier: Classifier) -> tuple[str, ...]:
    names = methods_for(classifier.model)
    return tuple(name for name in names if METHODS[name].passes <= QUICK)


def _regions(photos: Dataset, landmarks: np.ndarray, side: int) -> np.ndarray:
    """Region numbers of every photo: uint8, shape (n, side, side)."""
    found = []
    for name, points in zip(photos["photo_id"][:], landmarks, strict=True):
        try:
            found.append(region_labels(points, side))
        except UserError as error:
            raise UserError(f"photo {name}: {error}") from None
    return np.stack(found)


def _threshold(run: str, label: str) -> float:
    path = Path(run) / "metrics.json"
    points = points_from_json(read_json(path)) if path.is_file() else []
    return next((p.threshold for p in points if p.label == label and p.sex == "all"), 0.5)


def _key(
    classifier: Classifier, revision: str, photos: Dataset, label: str, options: ExplainOptions
) -> str:
    """Names everything that decides the results of a batch.

    The dataset's revision too: prepared anew, a photo keeps its id and gets another crop.
    """
    weights = hashlib.sha256()
    for name, tensor in sorted(classifier.model.state_dict().items()):
        weights.update(name.encode())
        weights.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    facts = [
        __version__,
        weights.hexdigest(),
        revision,
        photos["photo_id"][:],
        label,
        options.batch_size,
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _log_odds(classifier: Classifier, label: str) -> Callable[[Sequence[Image.Image]], np.ndarray]:
    index = class_number(classifier.model, label)

    def scored(crops: Sequence[Image.Image]) -> np.ndarray:
        with torch.inference_mode():
            pixels = input_pixels(crops, classifier)
            return score(classifier.model, pixels, index).double().cpu().numpy()

    return scored


def _maps(
    classifier: Classifier, crops: list[Image.Image], regions: np.ndarray, label: str, method: str
) -> dict[str, np.ndarray]:
    """Absolute attribution by region, and the map in small."""
    maps = [np.abs(h.values) for h in explain_many(classifier, crops, method, label=label)]
    shares = [
        np.bincount(where.ravel(), values.ravel(), minlength=len(REGIONS))
        for where, values in zip(regions, maps, strict=True)
    ]
    return {"shares": np.stack(shares), "maps": np.stack([_small(values) for values in maps])}


def _small(values: np.ndarray) -> np.ndarray:
    image = Image.fromarray(values.astype(np.float32))
    small = np.asarray(image.resize((MAP_SIDE, MAP_SIDE), Image.Resampling.BOX), np.float32)
    total = small.sum()
    return small / total if total > 0 else small
