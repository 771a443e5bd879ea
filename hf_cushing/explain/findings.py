"""What an explanation of a split comes to: judged methods, regions, readers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hf_cushing.explain.cohort import Explained
from hf_cushing.explain.marked_masks import Overlap, mask_overlaps
from hf_cushing.explain.reader_regions import ReaderRegions
from hf_cushing.faces.regions import GROUPS, REGIONS
from hf_cushing.heatmaps.regions import group_sums
from hf_cushing.stats.hidden_regions import hidden_table
from hf_cushing.stats.map_faithfulness import MethodRow, best_method, judge_methods
from hf_cushing.stats.region_agreement import Agreement, rank_agreement
from hf_cushing.stats.region_shares import RegionRow, region_table


@dataclass(frozen=True)
class Findings:
    """All tables of a report.

    Attributes
    ----------
    methods : list of MethodRow
        The most faithful first.
    regions : dict
        Method to its table of shares, densities and asymmetries.
    hidden : list of RegionRow
    agreement : dict
        Method, and ``hidden regions``, to the rank agreement with readers; empty without readers.
    overlaps : dict
        Method to its overlap with masks; empty without masks.
    """

    methods: list[MethodRow]
    regions: dict[str, list[RegionRow]]
    hidden: list[RegionRow]
    agreement: dict[str, list[Agreement]]
    overlaps: dict[str, list[Overlap]]

    @property
    def best(self) -> MethodRow | None:
        """The most faithful method; None where none is better than a random map."""
        return best_method(self.methods)

    @property
    def shown(self) -> str:
        """The method that the figures show: the best, or the least bad."""
        return (self.best or self.methods[0]).method


def findings_of(
    explained: Explained,
    *,
    readers: ReaderRegions | None = None,
    masks: dict[str, np.ndarray] | None = None,
) -> Findings:
    """Judge an explanation.

    Parameters
    ----------
    explained : Explained
    readers : ReaderRegions, optional
        What people used; compared in groups where they named groups.
    masks : dict, optional
        photo_id to bool of shape (MAP_SIDE, MAP_SIDE): pixels that people (or a drawer) marked.
    """
    faithful = explained.faithful
    who = {"patients": explained.patients, "sexes": explained.sexes}
    count = len(next(iter(faithful.values())).gain)
    methods = judge_methods(
        {name: measured.gain for name, measured in faithful.items()},
        {name: measured.random for name, measured in faithful.items()},
        {name: measured.sanity for name, measured in faithful.items()},
        explained.patients[:count],
    )
    return Findings(
        methods=methods,
        regions={
            name: region_table(shares, explained.areas, classes=explained.truth, **who)
            for name, shares in explained.shares.items()
        },
        hidden=hidden_table(
            explained.absent, explained.only, explained.log_odds, truth=explained.truth,
            names=list(GROUPS), **who,
        ),
        agreement=_agreement(explained, readers) if readers else {},
        overlaps=mask_overlaps(explained, masks) if masks else {},
    )  # fmt: skip


def _agreement(explained: Explained, readers: ReaderRegions) -> dict[str, list[Agreement]]:
    """Of each method's densities with the readers' consensus, and of the hidden regions.

    By density: by share, large regions would agree with any reader who names large regions.
    """
    place = {name: number for number, name in enumerate(explained.photo_ids)}
    rows = np.array([place[name] for name in readers.photo_ids])
    marks = dict(zip(readers.regions, readers.consensus().T, strict=True))
    patients, truth = explained.patients[rows], explained.truth[rows].astype(str)

    def agree(machine: np.ndarray, human: np.ndarray) -> list[Agreement]:
        return rank_agreement(machine, human, patients, strata=truth)

    of_groups = np.stack([_marks_of(marks, group) for group in GROUPS], 1)
    named_groups = any(marks[group].any() for group in GROUPS if group not in REGIONS)
    area = np.maximum(explained.areas[rows], 1)
    agreement = {}
    for name, shares in explained.shares.items():
        if named_groups:
            density = group_sums(shares[rows]) / group_sums(area)
            agreement[name] = agree(density, of_groups)
        else:
            human = np.stack([marks[region] for region in REGIONS], 1)
            agreement[name] = agree(shares[rows] / area, human)
    effects = np.abs(np.nan_to_num(explained.absent[rows]))
    return agreement | {"hidden regions": agree(effects, of_groups)}


def _marks_of(marks: dict[str, np.ndarray], group: str) -> np.ndarray:
    """What readers gave a group, by its own name or by its sides."""
    return np.sum([marks[name] for name in {group, *GROUPS[group]}], axis=0)
