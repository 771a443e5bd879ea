"""What an explanation of a split comes to: judged methods, regions, readers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from hf_cushing.explain.cohort import MAP_SIDE, Explained
from hf_cushing.explain.mean_face import warp_to
from hf_cushing.explain.reader_regions import ReaderRegions
from hf_cushing.faces.regions import GROUPS, REGIONS
from hf_cushing.schema import UserError
from hf_cushing.stats import DRAWS
from hf_cushing.stats.hidden_regions import hidden_table
from hf_cushing.stats.intervals import INSUFFICIENT
from hf_cushing.stats.map_faithfulness import MethodRow, best_method, judge_methods
from hf_cushing.stats.region_agreement import Agreement, mask_agreement, rank_agreement
from hf_cushing.stats.region_shares import RegionRow, region_table, shortcut_alarm
from hf_cushing.stats.resampling import Patients, percentile_interval

READER_REGIONS = tuple(dict.fromkeys([*REGIONS, *GROUPS]))
"""What readers may name: a region, or a group of both sides as the reading room has them."""


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Heatmaps against what people marked, mean over photos.

    Attributes
    ----------
    measure : str
        ``auroc``, ``iou`` or ``pointing``: of pixels; each 0..1.
    estimate, low, high : float
        With a 95 % interval over patients; NaN where undefined.
    chance : float
        What a map that ignores the face would get, 0..1.
    patients, photos : int
        Photos with a mask that is neither empty nor full.
    """

    measure: str
    estimate: float
    low: float
    high: float
    chance: float
    patients: int
    photos: int


@dataclass(frozen=True)
class Findings:
    """All tables of a report.

    Attributes
    ----------
    methods : list of MethodRow
        The most faithful first.
    best : MethodRow or None
        The most faithful; None where none is better than a random map.
    regions : dict
        Method to its table of shares, densities and asymmetries.
    hidden : list of RegionRow
    alarms : dict
        Method to a sentence; empty where there is no alarm.
    agreement : dict
        Method, and ``hidden regions``, to the rank agreement with readers; empty without readers.
    overlaps : dict
        Method to its overlap with masks; empty without masks.
    """

    methods: list[MethodRow]
    best: MethodRow | None
    regions: dict[str, list[RegionRow]]
    hidden: list[RegionRow]
    alarms: dict[str, str]
    agreement: dict[str, list[Agreement]]
    overlaps: dict[str, list[Overlap]]


def find(
    explained: Explained,
    *,
    readers: ReaderRegions | None = None,
    masks: dict[str, np.ndarray] | None = None,
    draws: int = DRAWS,
) -> Findings:
    """Judge an explanation.

    Parameters
    ----------
    readers : ReaderRegions, optional
        What people used, of `READER_REGIONS`; compared in groups where they named groups.
    masks : dict, optional
        photo_id to bool of shape (MAP_SIDE, MAP_SIDE): pixels that people (or a drawer) marked.
    draws : int
    """
    who = {"patients": explained.patients, "sexes": explained.sexes, "draws": draws}
    faithful = explained.faithful
    count = len(next(iter(faithful.values())).gain)
    methods = judge_methods(
        {name: found.gain for name, found in faithful.items()},
        {name: found.random for name, found in faithful.items()},
        {name: found.sanity for name, found in faithful.items()},
        explained.patients[:count],
        draws=draws,
    )
    regions = {
        name: region_table(shares, explained.areas, classes=explained.truth, **who)
        for name, shares in explained.shares.items()
    }
    return Findings(
        methods=methods,
        best=best_method(methods),
        regions=regions,
        hidden=hidden_table(
            explained.absent, explained.only, explained.log_odds, truth=explained.truth,
            names=list(GROUPS), **who,
        ),
        alarms={name: shortcut_alarm(rows) for name, rows in regions.items()},
        agreement=_agreement(explained, readers, draws) if readers else {},
        overlaps=_overlaps(explained, masks, draws) if masks else {},
    )  # fmt: skip


def _agreement(
    explained: Explained, readers: ReaderRegions, draws: int
) -> dict[str, list[Agreement]]:
    """Of each method's densities with the readers' consensus, and of the hidden regions.

    By density: by share, large regions would agree with any reader who names large regions.
    """
    place = {name: n for n, name in enumerate(explained.photos["photo_id"][:])}
    rows = np.array([place[name] for name in readers.photo_ids])
    marks = dict(zip(readers.regions, readers.consensus().T, strict=True))
    patients, truth = explained.patients[rows], explained.truth[rows].astype(str)

    def agree(machine: np.ndarray, human: np.ndarray) -> list[Agreement]:
        return rank_agreement(machine, human, patients, strata=truth, draws=draws)

    joined = np.stack([_marks_of(marks, group) for group in GROUPS], 1)
    sided = not any(marks[group].any() for group in GROUPS if group not in REGIONS)
    area = np.maximum(explained.areas[rows], 1)
    found = {}
    for name, shares in explained.shares.items():
        if sided:
            human = np.stack([marks[region] for region in REGIONS], 1)
            found[name] = agree(shares[rows] / area, human)
        else:
            found[name] = agree(_by_group(shares[rows]) / _by_group(area), joined)
    found["hidden regions"] = agree(np.abs(np.nan_to_num(explained.absent[rows])), joined)
    return found


def _marks_of(marks: dict[str, np.ndarray], group: str) -> np.ndarray:
    """What readers gave a group, by its own name or by its sides."""
    return np.sum([marks[name] for name in {group, *GROUPS[group]}], axis=0)


def _by_group(values: np.ndarray) -> np.ndarray:
    """Both sides joined: shape (n, groups)."""
    columns = [[REGIONS.index(name) for name in names] for names in GROUPS.values()]
    return np.stack([values[:, column].sum(1) for column in columns], 1)


def _overlaps(
    explained: Explained, masks: dict[str, np.ndarray], draws: int
) -> dict[str, list[Overlap]]:
    names = explained.photos["photo_id"][:]
    rows = [n for n, name in enumerate(names) if name in masks]
    return {
        method: _overlap([maps[n] for n in rows], [masks[names[n]] for n in rows],
                         explained.patients[rows], draws)
        for method, maps in explained.maps.items()
    }  # fmt: skip


def _overlap(
    maps: Iterable[np.ndarray], masks: Iterable[np.ndarray], patients: np.ndarray, draws: int
) -> list[Overlap]:
    found = [mask_agreement(heat, mask) for heat, mask in zip(maps, masks, strict=True)]
    known = np.array([not f.reason for f in found], bool)
    kept = [f for f in found if not f.reason]
    who = Patients(patients[known], np.full(int(known.sum()), ""))
    weights = np.concatenate([np.ones((1, len(kept))), who.draws(draws, np.random.default_rng(0))])
    area = np.array([f.area for f in kept])
    # as many pixels as the mask has, drawn by chance, share area² of the picture with it
    chance = {"auroc": np.full(len(kept), 0.5), "iou": area / (2 - area), "pointing": area}
    values = {
        "auroc": [f.auroc for f in kept],
        "iou": [f.iou for f in kept],
        "pointing": [f.hit for f in kept],
    }
    rows = []
    for measure, column in values.items():
        means = weights @ np.array(column) / np.maximum(weights.sum(1), 1e-12)
        enough = who.count >= INSUFFICIENT
        low, high = percentile_interval(means[1:], who.level()) if enough else (np.nan, np.nan)
        rows.append(
            Overlap(
                measure=measure,
                estimate=float(means[0]) if kept else float("nan"),
                low=low,
                high=high,
                chance=float(chance[measure].mean()) if kept else float("nan"),
                patients=who.count,
                photos=len(kept),
            )
        )
    return rows


def read_masks(folder: Path, photo_ids: Sequence[str], side: int) -> dict[str, np.ndarray]:
    """Read ``READER/PHOTO_ID.png`` (white is marked); marked is what most readers marked.

    Parameters
    ----------
    folder : Path
    photo_ids : sequence of str
        The photos that there are; others are an error.
    side : int
        Of the crops, pixels: that of every mask.

    Returns
    -------
    dict
        photo_id to bool, shape (MAP_SIDE, MAP_SIDE).

    Raises
    ------
    UserError
        For no mask, an unknown photo, a file that can't be read or has another size.
    """
    known, found = set(photo_ids), {}
    for path in sorted(Path(folder).glob("*/*.png")):
        if path.stem not in known:
            raise UserError(f"{path}: no such photo in this split; name the file PHOTO_ID.png")
        try:
            with Image.open(path) as image:
                mask = image.convert("L")
        except OSError as error:
            raise UserError(f"{path} can't be read ({error}); save it as PNG again") from None
        if mask.size != (side, side):
            raise UserError(
                f"{path} has {mask.width} × {mask.height} pixels; mark the crop of the dataset, "
                f"{side} × {side}"
            )
        found.setdefault(path.stem, []).append(shrunk(np.asarray(mask) > 127))
    if not found:
        raise UserError(f"{folder} has no masks; put them at READER/PHOTO_ID.png")
    return {name: np.mean(marks, axis=0) > 0.5 for name, marks in found.items()}


def shrunk(mask: np.ndarray) -> np.ndarray:
    """A mask at the size of the kept maps: bool, shape (MAP_SIDE, MAP_SIDE)."""
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(image.resize((MAP_SIDE, MAP_SIDE), Image.Resampling.BOX)) > 127


def mean_map(explained: Explained, method: str, mask: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Mean heatmap of some photos on a mean shape; each person counts the same.

    Parameters
    ----------
    mask : numpy.ndarray
        bool, shape (n,).
    shape : numpy.ndarray
        Shape (68, 2), pixels of the crops.

    Returns
    -------
    numpy.ndarray
        float64, shape (side, side) of the crops.
    """
    side = explained.side
    rows = np.flatnonzero(mask)
    _, of_photo, counts = np.unique(
        explained.patients[rows], return_inverse=True, return_counts=True
    )
    total = np.zeros((side, side))
    for row, person in zip(rows, of_photo, strict=True):
        large = Image.fromarray(explained.maps[method][row]).resize((side, side))
        values = np.asarray(large) * (MAP_SIDE / side) ** 2
        total += warp_to(values, explained.landmarks[row], shape, keep_mass=True) / counts[person]
    return total / len(counts)
