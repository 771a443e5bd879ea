"""Explain a model on a whole split: heatmaps, hidden regions, and whether the maps are faithful.

Every batch is kept as it is done, so that a stopped explanation goes on where it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from hf_cushing import __version__
from hf_cushing.data.loading import class_words
from hf_cushing.data.options import Progress
from hf_cushing.explain.faithfulness import Faithfulness, measure_faithfulness
from hf_cushing.explain.hiding import hiding_effects
from hf_cushing.explain.options import ExplainOptions
from hf_cushing.faces.regions import GROUPS, region_labels
from hf_cushing.heatmaps.methods import METHODS, check_method, explain_many, methods_for
from hf_cushing.heatmaps.regions import region_sums
from hf_cushing.heatmaps.store import Store, key_of
from hf_cushing.models.score import check_labels, class_number
from hf_cushing.predict.answer import Predictor
from hf_cushing.predict.decision import decide
from hf_cushing.run import Run
from hf_cushing.schema import UsageError, UserError

if TYPE_CHECKING:
    from datasets import Dataset

MAP_SIDE = 64
"""Side at which heatmaps are kept: finer than any method sees."""

QUICK = 100
"""Methods of at most this many passes a photo are made unless others are named."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Cohort:
    """What is to be explained: a model and the photos of a split, in order of photo_id.

    Attributes
    ----------
    predictor : Predictor
    photos : datasets.Dataset
    dataset_revision : str
    label : str
        The disease.
    methods : tuple of str
        Heatmaps, of `METHODS`.
    landmarks : numpy.ndarray
        float32, shape (n, 68, 2).
    regions : numpy.ndarray
        `region_labels` of each photo: uint8, shape (n, side, side).
    """

    predictor: Predictor
    photos: Dataset
    dataset_revision: str
    label: str
    methods: tuple[str, ...]
    landmarks: np.ndarray
    regions: np.ndarray

    @property
    def run(self) -> Run:
        return self.predictor.run

    @property
    def side(self) -> int:
        """Pixels along a side of a crop."""
        return self.regions.shape[1]

    @property
    def photo_ids(self) -> list[str]:
        """One a photo, in order."""
        return self.photos["photo_id"][:]

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

    @cached_property
    def areas(self) -> np.ndarray:
        """Pixels of each region, shape (n, regions)."""
        return np.stack([region_sums(np.ones(r.shape), r) for r in self.regions])

    def crops(self, mask: np.ndarray) -> Iterator[Image.Image]:
        """The photos of a mask, decoded one at a time."""
        places = np.flatnonzero(mask).tolist()
        return (self.photos[place]["image"].convert("RGB") for place in places)


@dataclass(frozen=True, kw_only=True, eq=False)
class Explained(Cohort):
    """Everything the report needs, one row a photo.

    Attributes
    ----------
    log_odds : numpy.ndarray
        Of the disease, shape (n,).
    called : numpy.ndarray
        Whether the model calls the disease, by the run's operating points: bool, shape (n,).
    shares : dict
        Method to absolute attribution by region, shape (n, regions).
    maps : dict
        Method to float32, shape (n, MAP_SIDE, MAP_SIDE), absolute values, sum 1.
    absent, only : numpy.ndarray
        Changes of the log-odds, shape (n, groups); see `hiding_effects` without and with `alone`.
    faithful : dict
        Method to `Faithfulness`, on the first photos.
    """

    log_odds: np.ndarray
    called: np.ndarray
    shares: dict[str, np.ndarray]
    maps: dict[str, np.ndarray]
    absent: np.ndarray
    only: np.ndarray
    faithful: dict[str, Faithfulness]

    @property
    def right(self) -> np.ndarray:
        """Whether the model is right about the disease: bool, shape (n,)."""
        return self.called == self.truth


def load_cohort(run: Run, dataset: str, options: ExplainOptions) -> Cohort:
    """Load the model and the photos of a split, with the roles that they had in the run.

    Parameters
    ----------
    run : Run
    dataset : str
        Dataset folder or Hub id.
    options : ExplainOptions

    Raises
    ------
    UserError
        A dataset without landmarks, a landmark outside its crop; a model with other labels.
    UsageError
        No such split, a method that the network can't have, or an unknown label.
    """
    predictor = Predictor(run, cpu=options.cpu)
    model = run.classifier.model
    data = run.load_faces(dataset)
    if options.split not in data.roles:
        raise UsageError(f"--split {options.split}: choose from {', '.join(data.roles)}")
    check_labels(run.classifier, data.labels, run.name)
    label = run.labels[class_number(model, options.label)]
    methods = options.methods or _quick_methods(run)
    for method in methods:
        check_method(model, method)
    photos = data.roles[options.split]
    if "landmarks" not in photos.column_names:
        raise UserError(
            f"--dataset {dataset} has no landmarks, so no regions; make it with `hf-cushing "
            "prepare`"
        )
    order = np.argsort(photos["photo_id"][:], kind="stable")
    photos = photos.select(order[: options.limit or None])
    landmarks = np.array(photos["landmarks"][:], np.float32).reshape(len(photos), 68, 2)
    return Cohort(
        predictor=predictor,
        photos=photos,
        dataset_revision=data.revision,
        label=label,
        methods=methods,
        landmarks=landmarks,
        regions=_regions(photos, landmarks),
    )


def _quick_methods(run: Run) -> tuple[str, ...]:
    names = methods_for(run.classifier.model)
    return tuple(name for name in names if METHODS[name].passes <= QUICK)


def _regions(photos: Dataset, landmarks: np.ndarray) -> np.ndarray:
    side = photos[0]["image"].size[0]
    regions = []
    for name, points in zip(photos["photo_id"][:], landmarks, strict=True):
        try:
            regions.append(region_labels(points, side))
        except UserError as error:
            raise UserError(f"photo {name}: {error}") from None
    return np.stack(regions)


def explain_cohort(
    cohort: Cohort, work: Path, options: ExplainOptions, progress: Progress
) -> Explained:
    """Compute everything, batch by batch, into `work`; what is there is not computed again.

    Parameters
    ----------
    cohort : Cohort
    work : Path
        Folder for finished batches.
    options : ExplainOptions
    progress : callable
        Takes a title and a total; gives what advances the bar.
    """
    folder = work / _key(cohort, options)
    store = Store(folder, cohort.photos, options.batch_size, progress)
    scores = store.get("scores", partial(_scores, cohort), title="Scoring")
    maps = {
        name: store.get(name, partial(_maps, cohort, name), title=f"Heatmaps, {name}")
        for name in cohort.methods
    }
    absent, only = (
        store.get(
            f"{options.how}-{mode}", partial(_effects, cohort, options.how, mode == "only"),
            title=f"{title} ({options.how})",
        )
        for mode, title in (("absent", "Hiding each region"), ("only", "Each region alone"))
    )  # fmt: skip
    decisions = decide(cohort.run, scores["probabilities"], cohort.sexes.tolist())
    return Explained(
        **{field.name: getattr(cohort, field.name) for field in fields(cohort)},
        log_odds=scores["log_odds"],
        called=np.array([cohort.label in decision.called for decision in decisions]),
        shares={method: parts["shares"] for method, parts in maps.items()},
        maps={method: parts["maps"] for method, parts in maps.items()},
        absent=absent["change"],
        only=only["change"],
        faithful=measure_faithfulness(
            cohort.run.classifier, cohort.label, cohort.methods, store,
            count=options.faithful_photos,
        ),
    )  # fmt: skip


def _key(cohort: Cohort, options: ExplainOptions) -> str:
    """Names everything that decides the results of a batch.

    The dataset's revision too: prepared anew, a photo keeps its id and gets another crop. And
    where the regions lie, which a later version may draw otherwise.
    """
    model = cohort.run.weights_revision or cohort.run.name
    facts = [__version__, model, cohort.dataset_revision, cohort.photo_ids, cohort.label]
    regions = [GROUPS, hashlib.sha256(cohort.regions.tobytes()).hexdigest()]
    return key_of([*facts, *regions, options.batch_size])


def _scores(cohort: Cohort, crops: list[Image.Image], part: slice) -> dict[str, np.ndarray]:
    probabilities, log_odds = cohort.predictor.score(crops)
    index = cohort.run.labels.index(cohort.label)
    return {"probabilities": probabilities, "log_odds": log_odds[:, index]}


def _maps(
    cohort: Cohort, method: str, crops: list[Image.Image], part: slice
) -> dict[str, np.ndarray]:
    """Absolute attribution by region, and the maps in small."""
    heatmaps = explain_many(cohort.run.classifier, crops, method, label=cohort.label)
    maps = [np.abs(heatmap.values) for heatmap in heatmaps]
    pairs = zip(maps, cohort.regions[part], strict=True)
    return {
        "shares": np.stack([region_sums(heat, regions) for heat, regions in pairs]),
        "maps": np.stack([_small(heat) for heat in maps]),
    }


def _small(heat: np.ndarray) -> np.ndarray:
    image = Image.fromarray(heat)
    small = np.asarray(image.resize((MAP_SIDE, MAP_SIDE), Image.Resampling.BOX), np.float32)
    total = small.sum()
    return small / total if total > 0 else small


def _effects(
    cohort: Cohort, how: str, alone: bool, crops: list[Image.Image], part: slice
) -> dict[str, np.ndarray]:
    def log_odds(pictures: list[Image.Image]) -> np.ndarray:
        return _scores(cohort, pictures, part)["log_odds"]

    regions = cohort.regions[part]
    return {"change": hiding_effects(log_odds, crops, regions, how=how, alone=alone)}
