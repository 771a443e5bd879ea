"""``hf-cushing followup``: a patient's photographs over dated visits, and which change is real."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from hf_cushing.data.options import Progress
from hf_cushing.data.table import SUFFIXES
from hf_cushing.followup.camera import measure_photos
from hf_cushing.followup.pairs import Pairs, change_of, dated_visits, months_of, pairs_of
from hf_cushing.followup.photos import Followed, check_not_seen, photos_of_dataset, photos_of_table
from hf_cushing.followup.regions import Shares, share_changes
from hf_cushing.followup.table import DatedPhoto
from hf_cushing.followup.trend import Trend, fit_trend, require_statsmodels
from hf_cushing.models.build import Classifier, load_classifier
from hf_cushing.models.score import check_labels, class_number, labels_of, score
from hf_cushing.schema import UsageError
from hf_cushing.stats.reliable_change import (
    Change,
    Repeatability,
    Visits,
    outweighing,
    repeatability,
)

if TYPE_CHECKING:
    from datasets import Dataset

BATCH = 32


@dataclass(frozen=True, kw_only=True)
class FollowupOptions:
    """What to follow, and how.

    Attributes
    ----------
    split : str
        Of a dataset: one of `SPLITS`, or ``all``.
    visits : Path or None
        Table of dates by photo_id, for a dataset without dates.
    label : str or None
        The disease; may be left out where there is one.
    regions : bool
        Make heatmaps and say how the regions' shares changed.
    thumbnails : bool
        Show one photo of each visit on the patient's page.
    num_proc : int
        Processes that align photos of a table.
    cpu : bool
    """

    split: str = "test"
    visits: Path | None = None
    label: str | None = None
    regions: bool = False
    thumbnails: bool = True
    num_proc: int = 1
    cpu: bool = False


@dataclass(frozen=True, kw_only=True)
class Followup:
    """Everything the reports need.

    Attributes
    ----------
    run, label : str
    photos : list of DatedPhoto
    crops : datasets.Dataset
        In the order of `photos`.
    log_odds : numpy.ndarray
        float64, shape (photos,).
    measures : numpy.ndarray
        float64, shape (photos, measures of `followup_camera`).
    visits : Visits
    spread : Repeatability
        Of the log-odds.
    pairs : Pairs
    change : Change
        Of the log-odds, shape (pairs,).
    camera : Change
        Of the measures, shape (pairs, measures).
    changed, alarms : numpy.ndarray
        bool, shape (pairs, measures); see `outweighing`.
    months, treated : numpy.ndarray
        Shape (visits,); see `months_of`.
    trend : Trend
    shares : Shares or None
    left_out : dict
    """

    run: str
    label: str
    photos: list[DatedPhoto]
    crops: Dataset
    log_odds: np.ndarray
    measures: np.ndarray
    visits: Visits
    spread: Repeatability
    pairs: Pairs
    change: Change
    camera: Change
    changed: np.ndarray
    alarms: np.ndarray
    months: np.ndarray
    treated: np.ndarray
    trend: Trend
    shares: Shares | None = None
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def patients(self) -> list[str]:
        """Names, in order."""
        return list(dict.fromkeys(self.visits.patient.tolist()))

    @property
    def means(self) -> np.ndarray:
        """Score of each visit."""
        return self.visits.means(self.log_odds)

    def facts(self, patient: str) -> DatedPhoto:
        """Sex and date of treatment, from the first photo."""
        return next(photo for photo in self.photos if photo.patient_id == patient)


def follow_up(
    run: str,
    dataset: str,
    work: Path,
    options: FollowupOptions,
    progress: Progress,
) -> Followup:
    """Score every dated photo and measure every change.

    Parameters
    ----------
    run : str
        Run folder or Hub id.
    dataset : str
        Dataset folder or Hub id, or a table of file_name, patient_id and date.
    work : Path
        Folder for what takes long; what is there is not done again.

    Raises
    ------
    UserError
        Problems of the dates, row by row; photos that trained the model; one visit a patient
        only; nothing to measure repeatability from.
    """
    require_statsmodels()
    classifier = load_classifier(run)
    followed = _followed(run, dataset, work, options, progress)
    if followed.labels:
        check_labels(classifier, followed.labels, run)
    check_not_seen(followed.crops, run)
    visits = dated_visits(followed.photos)
    pairs = pairs_of(followed.photos, visits)
    index = class_number(classifier.model, options.label)
    odds = _log_odds(classifier, followed.crops, index, options.cpu, progress)
    spread = repeatability(odds, visits)
    change = change_of(odds, visits, pairs)
    measures = measure_photos(
        followed.crops, progress("Measuring camera, light and pose", len(followed.photos))
    )
    camera = change_of(measures, visits, pairs)
    changed, alarms = outweighing(camera, change)
    months, treated = months_of(followed.photos, visits)
    shares = None
    if options.regions:
        shares = share_changes(
            classifier, followed, work=work, odds=odds, index=index, progress=progress
        )
    return Followup(
        run=run,
        label=labels_of(classifier.model)[index],
        photos=followed.photos,
        crops=followed.crops,
        log_odds=odds,
        measures=measures,
        visits=visits,
        spread=spread,
        pairs=pairs,
        change=change,
        camera=camera,
        changed=changed,
        alarms=alarms,
        months=months,
        treated=treated,
        trend=_trend(followed.photos, visits, visits.means(odds), months),
        shares=shares,
        left_out=followed.left_out | (shares.left_out if shares else {}),
    )


def _followed(
    run: str, dataset: str, work: Path, options: FollowupOptions, progress: Progress
) -> Followed:
    if Path(dataset).suffix not in SUFFIXES:
        return photos_of_dataset(run, dataset, split=options.split, visits=options.visits)
    if options.visits:
        raise UsageError(f"--visits is for a prepared dataset; {dataset} is a table with dates")
    return photos_of_table(Path(dataset), work, num_proc=options.num_proc, progress=progress)


def _log_odds(
    classifier: Classifier, crops: Dataset, index: int, cpu: bool, progress: Progress
) -> np.ndarray:
    """Log-odds of a class against all others, shape (photos,)."""
    advance, parts = progress("Scoring", len(crops)), []
    for start in range(0, len(crops), BATCH):
        rows = crops.select(range(start, min(start + BATCH, len(crops))))
        parts.append(score(classifier, rows, cpu=cpu, progress=False))
        advance(len(rows))
    logits = np.concatenate(parts)
    return logits[:, index] - logsumexp(np.delete(logits, index, axis=1), axis=1)


def _trend(
    photos: Sequence[DatedPhoto], visits: Visits, scores: np.ndarray, months: np.ndarray
) -> Trend:
    """The mixed model of treated patients, flat until treatment; of all, if nobody was treated."""
    facts = {photo.patient_id: photo for photo in photos}
    treated = np.array([facts[name].treatment is not None for name in visits.patient])
    sexes = np.array([facts[name].sex for name in visits.patient])
    use = treated if treated.any() else np.full(len(visits), True)
    return fit_trend(scores[use], np.maximum(months, 0)[use], visits.patient[use], sexes[use])
