"""Figures of an explanation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from hf_cushing.explain.cohort import Explained
from hf_cushing.explain.mean_face import FEWEST, mean_face, mean_warped, person_weights
from hf_cushing.faces.regions import GROUPS, REGIONS
from hf_cushing.heatmaps.regions import above_mean
from hf_cushing.reports.style import STYLES, bare, new_figure, save
from hf_cushing.stats.region_shares import RegionRow, sex_masks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHIFTS = {"all": 0.25, "female": 0.0, "male": -0.25}
EXAMPLES = 4


def plot_densities(path: Path, rows: Sequence[RegionRow], method: str) -> None:
    """How much more of the attribution each region gets than its area would."""
    figure = new_figure(7.5, 6.5)
    axes = figure.subplots()
    _draw_intervals(axes, [row for row in rows if row.measure == "density"], REGIONS, neutral=1)
    axes.set_xlabel(f"{method}: attribution over area (1 is chance; 95 %, by patient)")
    save(figure, path)


def plot_hidden(path: Path, rows: Sequence[RegionRow]) -> None:
    """What hiding a region takes from the separation of the classes, and from the AUROC."""
    figure = new_figure(11, 5)
    panels = figure.subplots(1, 2, sharey=True)
    texts = {
        "separation": "log-odds that the region adds between the classes (95 %, by patient)",
        "auroc_lost": "AUROC lost when the region is hidden (95 %, by patient)",
    }
    for axes, (measure, text) in zip(panels, texts.items(), strict=True):
        _draw_intervals(axes, [r for r in rows if r.measure == measure], list(GROUPS), neutral=0)
        axes.set_xlabel(text)
    save(figure, path)


def _draw_intervals(
    axes: Axes, rows: Sequence[RegionRow], names: Sequence[str], *, neutral: float
) -> None:
    """A line for each region and sex, beside the value that says nothing."""
    found = {(row.region, row.group): row for row in rows}
    for group, style in STYLES.items():
        label = style.name
        for place, name in enumerate(names):
            row = found[name, group]
            y = SHIFTS[group] - place
            if math.isfinite(row.low):
                axes.plot([row.low, row.high], [y, y], color=style.color, lw=1.5)
            if math.isfinite(row.estimate):
                axes.plot(row.estimate, y, style.marker, color=style.color, ms=5, label=label)
                label = None
    axes.axvline(neutral, color="0.4", lw=1)
    axes.set_yticks([-n for n in range(len(names))], [name.replace("_", " ") for name in names])
    axes.set_ylim(-len(names) + 0.4, 0.6)
    bare(axes, grid="x")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=9, frameon=False)


def plot_mean_faces(path: Path, explained: Explained, method: str) -> None:
    """Mean faces with the mean heatmap on them: by class, by right and wrong, and by sex."""
    sexes = sex_masks(explained.sexes)
    kinds = {
        explained.label: explained.truth,
        f"not {explained.label}": ~explained.truth,
        "called rightly": explained.right,
        "called wrongly": ~explained.right,
    }
    figure = new_figure(2.6 * len(kinds), 2.85 * len(sexes))
    figure.get_layout_engine().set(hspace=0.06)
    panels = figure.subplots(len(sexes), len(kinds), squeeze=False)
    for line, (sex, one) in zip(panels, sexes.items(), strict=True):
        for axes, (kind, two) in zip(line, kinds.items(), strict=True):
            _mean_face(axes, explained, method, one & two)
            axes.set_title(f"{STYLES[sex].name}, {kind}", fontsize=9)
    save(figure, path)


def _mean_face(axes: Axes, explained: Explained, method: str, mask: np.ndarray) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    patients, landmarks = explained.patients[mask], explained.landmarks[mask]
    persons = len(np.unique(patients))
    axes.set_xlabel(f"{persons} persons, {len(patients)} photos", fontsize=8)
    if persons < FEWEST:
        axes.text(0.5, 0.5, f"fewer than {FEWEST} persons:\nnot shown", ha="center", va="center",
                  transform=axes.transAxes, fontsize=8)  # fmt: skip
        return
    side = explained.side
    face = mean_face(explained.crops(mask), landmarks, patients=patients, side=side)
    maps = (Image.fromarray(heat).resize((side, side)) for heat in explained.maps[method][mask])
    weights = person_weights(patients)
    _overlay(
        axes, face.image, mean_warped(maps, landmarks, face.landmarks, weights, keep_mass=True)
    )


def _overlay(axes: Axes, image: np.ndarray, heat: np.ndarray) -> None:
    """Grey face, heat above its mean in colour."""
    axes.imshow(image.mean(2), cmap="gray", vmin=0, vmax=255)
    strength, edge = above_mean(heat), len(image) - 0.5
    axes.imshow(strength, cmap="inferno", alpha=0.75 * strength, vmin=0, vmax=1,
                extent=(-0.5, edge, edge, -0.5))  # fmt: skip


def plot_examples(path: Path, explained: Explained, method: str) -> None:
    """The surest photos of each kind with their heatmaps: shows persons."""
    distance = np.abs(explained.log_odds)
    kinds = [
        (f"{'' if ill else 'not '}{explained.label}, called {'rightly' if right else 'wrongly'}",
         (explained.truth == ill) & (explained.right == right))
        for ill in (True, False) for right in (True, False)
    ]  # fmt: skip
    figure = new_figure(2.3 * EXAMPLES, 2.45 * len(kinds))
    panels = figure.subplots(len(kinds), EXAMPLES, squeeze=False)
    for line, (kind, mask) in zip(panels, kinds, strict=True):
        rows = np.flatnonzero(mask)
        chosen = rows[np.argsort(-distance[rows], kind="stable")][:EXAMPLES]
        for axes in line:
            axes.set_axis_off()
        line[0].set_title(kind + ("" if len(chosen) else ": none"), fontsize=9, loc="left")
        for axes, row in zip(line, chosen, strict=False):
            photo = np.asarray(explained.photos[int(row)]["image"].convert("RGB"))
            _overlay(axes, photo, explained.maps[method][row])
    save(figure, path)
