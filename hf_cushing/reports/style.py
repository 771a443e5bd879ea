"""How figures look: women, men and all differ in colour, line and marker.

So they can be read in print and by colour-blind people.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hf_cushing.files import written_aside

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Style:
    """How a sex is drawn."""

    color: str
    line: str
    marker: str
    name: str


STYLES = {
    "all": Style("#000000", "-", "o", "all"),
    "female": Style("#d55e00", "--", "^", "women"),
    "male": Style("#0072b2", "-.", "s", "men"),
}
"""Colours of Okabe and Ito."""


def new_figure(width: float, height: float) -> Figure:
    """A figure of so many inches, without global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def bare(axes: Axes, *, grid: str = "both") -> None:
    """Lay a faint grid behind the data, and take the frame away.

    Parameters
    ----------
    axes : Axes
    grid : str
        ``both``; or ``x`` for lines of intervals, whose names stand on the left without ticks.
    """
    axes.grid(axis=grid, color="0.93")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if grid == "x":
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)


def save(figure: Figure, path: Path) -> None:
    """Write a PNG aside, then rename it; without a date, so that the bytes repeat."""
    with written_aside(path) as aside:
        figure.savefig(
            aside, format="png", dpi=150, bbox_inches="tight", metadata={"Software": None}
        )
