"""What a served model makes of a photo: an answer or "uncertain", and where it looked."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from hf_cushing.evaluation.conformal import plausible_sets
from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.explain.heatmaps import explain_many
from hf_cushing.faces.align import CROP_SCALE, CROP_SIDE, similarity, warp
from hf_cushing.faces.landmarks import Face, find_face
from hf_cushing.faces.photo import PhotoError
from hf_cushing.faces.regions import GROUPS, REGIONS, region_labels
from hf_cushing.predict.model import TOGETHER, Service
from hf_cushing.schema import CONTROL, SEXES, UserError

UNCERTAIN = "uncertain"
DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What the model makes of one photo.

    Attributes
    ----------
    probabilities, log_odds, thresholds : dict
        Label to a number. Probabilities sum to 1; log-odds are against all other labels;
        thresholds of the diseases only.
    called : tuple of str
        Diseases whose probability reaches the threshold.
    plausible : tuple of str or None
        Labels that the photo may have at `ERROR_RATE`; None where that isn't known.
    sex : str
        As told; decides the threshold and the limits.
    face : Face
        Box and landmarks, pixels of the photo.
    crop : PIL.Image.Image
        The aligned face that the network saw.
    landmarks : numpy.ndarray
        float32, shape (68, 2), pixels of the crop.
    """

    probabilities: dict[str, float]
    log_odds: dict[str, float]
    thresholds: dict[str, float]
    called: tuple[str, ...]
    plausible: tuple[str, ...] | None
    sex: str
    face: Face
    crop: Image.Image
    landmarks: np.ndarray

    @property
    def disease(self) -> str:
        """The most probable disease."""
        return max(self.thresholds, key=self.probabilities.__getitem__)

    @property
    def answer(self) -> str:
        """A label, or `UNCERTAIN` unless threshold and plausible labels agree on one."""
        by_threshold = self.called or (CONTROL,)
        certain = len(by_threshold) == 1 and self.plausible in (None, by_threshold)
        return by_threshold[0] if certain else UNCERTAIN


@dataclass(frozen=True, eq=False)
class Look:
    """Where the model looked in one photo.

    Attributes
    ----------
    heat : numpy.ndarray
        float32, shape (side, side), pixels of the crop; at least 0, sums to 1 or is all 0.
    shares, areas : dict
        Group of regions to its share of the heat and of the crop; empty where the landmarks
        lie outside the crop.
    """

    heat: np.ndarray
    shares: dict[str, float]
    areas: dict[str, float]


def warm_up(service: Service) -> None:
    """Go all the way once, so that the first visitor does not wait for what loads late."""
    blank = Image.new("RGB", (200, 200), "gray")
    next(read_photos(service, [blank]))
    service.score([blank])


def read_photos(
    service: Service,
    photos: Iterable[Image.Image | PhotoError],
    sexes: Iterable[str] = itertools.repeat("unknown"),
) -> Iterator[Reading | PhotoError]:
    """Find, align and score the face of each photo; many threads may do so at once.

    Photos are taken one by one, and of each only the aligned face is kept: an iterator that
    opens them keeps memory low.

    Parameters
    ----------
    service : Service
    photos : iterable of PIL.Image.Image or PhotoError
        Upright, as `open_upload` gives them; an error is passed through.
    sexes : iterable of str
        ``female``, ``male`` or ``unknown`` for each photo.

    Yields
    ------
    Reading or PhotoError
        In the order of `photos`; an error where there is no face, or several.
    """
    pairs = zip(photos, sexes, strict=False)
    while chunk := _read_chunk(service, itertools.islice(pairs, TOGETHER)):
        yield from chunk


def _read_chunk(
    service: Service, pairs: Iterable[tuple[Image.Image | PhotoError, str]]
) -> list[Reading | PhotoError]:
    faces: list[tuple[Face, Image.Image, np.ndarray] | PhotoError] = []
    sexes = []
    for photo, sex in pairs:
        face = _align(service, photo)
        faces.append(face)
        sexes += [] if isinstance(face, PhotoError) else [_known(sex)]
    aligned = [face for face in faces if not isinstance(face, PhotoError)]
    if not aligned:
        return list(faces)
    scores = service.score([crop for _, crop, _ in aligned])
    plausible = _plausible(service, np.stack([p for p, _ in scores]), sexes)
    readings = (
        _reading(service, face, scores=pair, plausible=labels, sex=sex)
        for face, pair, labels, sex in zip(aligned, scores, plausible, sexes, strict=True)
    )
    return [face if isinstance(face, PhotoError) else next(readings) for face in faces]


def _known(sex: str) -> str:
    if sex not in SEXES:
        raise UserError(f"sex '{sex}' is not known; choose {', '.join(SEXES)}")
    return sex


def _align(
    service: Service, photo: Image.Image | PhotoError
) -> tuple[Face, Image.Image, np.ndarray] | PhotoError:
    """As `align_face`, keeping the face as it was found in the photo, to be drawn there."""
    if isinstance(photo, PhotoError):
        return photo
    try:
        with service.finding:
            face = find_face(photo)
    except PhotoError as error:
        return error
    to_photo = similarity(face.landmarks, CROP_SIDE, CROP_SCALE)
    landmarks = (face.landmarks - to_photo[:, 2]) @ np.linalg.inv(to_photo[:, :2]).T
    return face, warp(photo, to_photo, CROP_SIDE), landmarks.astype(np.float32)


def _plausible(
    service: Service, probabilities: np.ndarray, sexes: Sequence[str]
) -> list[tuple[str, ...] | None]:
    if service.limits is None:
        return [None] * len(probabilities)
    count = len(probabilities)
    rows = Predictions(
        photo_id=np.arange(count).astype(str),
        patient_id=np.arange(count).astype(str),
        label=np.full(count, CONTROL),
        sex=np.array(sexes),
        split=np.full(count, "new"),
        fold=np.zeros(count, int),
        seed=np.zeros(count, int),
        probabilities=probabilities,
        labels=service.labels,
        model_revision=service.revision,
        dataset_revision="",
    )  # the labels are never looked at
    sets = plausible_sets(service.limits, rows)
    return [tuple(x for x, held in zip(service.labels, row, strict=True) if held) for row in sets]


def _reading(
    service: Service,
    aligned: tuple[Face, Image.Image, np.ndarray],
    *,
    scores: Sequence[np.ndarray],
    plausible: tuple[str, ...] | None,
    sex: str,
) -> Reading:
    face, crop, landmarks = aligned
    probabilities, odds = (dict(zip(service.labels, s.tolist(), strict=True)) for s in scores)
    points = {label: service.point(label, sex) for label in service.diseases}
    thresholds = {x: p.threshold if p else DEFAULT_THRESHOLD for x, p in points.items()}
    return Reading(
        probabilities=probabilities,
        log_odds=odds,
        thresholds=thresholds,
        called=tuple(x for x, limit in thresholds.items() if probabilities[x] >= limit),
        plausible=plausible,
        sex=sex,
        face=face,
        crop=crop,
        landmarks=landmarks,
    )


def uncertain_band(service: Service, label: str, sex: str = "unknown") -> tuple[float, float]:
    """Probabilities of a disease between which there is no answer, for a model of two labels.

    Where limits and operating point disagree there is no answer either, so the band of the
    limits reaches to the operating point.

    Returns
    -------
    low, high : float
        0..1. ``(0, 1)`` where the validation patients are too few; ``(0, 0)``: no band known.

    Raises
    ------
    ValueError
        For a model of more than two labels, whose answer does not hang on one probability.
    """
    if len(service.labels) != 2:
        raise ValueError("a band needs exactly two labels")
    if service.limits is None:
        return 0.0, 0.0
    point = service.point(label, sex)
    threshold = point.threshold if point else DEFAULT_THRESHOLD
    low, high = _band_of_limits(service, label, sex)
    return min(low, threshold), max(high, threshold)


def _band_of_limits(service: Service, label: str, sex: str) -> tuple[float, float]:
    sexes = (sex,) if sex in ("female", "male") else ("female", "male")
    widest = {
        name: max(x.limit for x in service.limits.limits if x.label == name and x.sex in sexes)
        for name in service.labels
    }
    control_up_to, disease_from = min(1.0, widest[CONTROL]), max(0.0, 1 - widest[label])
    return min(control_up_to, disease_from), max(control_up_to, disease_from)


def patients_behind(service: Service, sex: str = "unknown") -> int:
    """The smallest number of validation patients behind the limits of this sex."""
    sexes = (sex,) if sex in ("female", "male") else ("female", "male")
    limits = service.limits.limits if service.limits else ()
    return min((x.patients for x in limits if x.sex in sexes), default=0)


def look(service: Service, reading: Reading) -> Look:
    """The heatmap of the most probable disease, and what of it lies in each region."""
    with service.score.busy:
        heatmap = explain_many(
            service.classifier, [reading.crop], service.method, label=reading.disease
        )[0]
    heat = np.abs(heatmap.values)
    try:
        regions = region_labels(reading.landmarks, reading.crop.width)
    except UserError:
        return Look(heat, {}, {})
    one = np.bincount(regions.ravel(), minlength=len(REGIONS)) / regions.size
    hot = np.bincount(regions.ravel(), heat.ravel(), minlength=len(REGIONS))
    return Look(heat, _grouped(hot), _grouped(one))


def _grouped(values: np.ndarray) -> dict[str, float]:
    return {
        name: float(sum(values[REGIONS.index(member)] for member in members))
        for name, members in GROUPS.items()
    }
