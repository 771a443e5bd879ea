"""What of a study is better than chance at all: the sentence before any ranking."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hf_cushing.compare.results import ArmResult, LabelResult
from hf_cushing.stats.intervals import INSUFFICIENT

CHANCE = 0.5
"""AUROC of a score that knows nothing."""

NEARLY_ALL = 0.95
"""Share of the photos that are called alike, from which a threshold decides nothing."""

NAMED = 6


def beats_chance(arm: ArmResult) -> bool:
    """The interval of its AUROC lies above 0.5; never where patients are insufficient."""
    return arm.subgroups["all"].report.values["auroc"].low > CHANCE


def learned_sentence(result: LabelResult) -> str:
    """Which arms beat chance, and which call everybody the same."""
    arms = [arm for arm in result.arms if not arm.arm.is_trial]
    if arms[0].subgroups["all"].report.size == "insufficient":
        return (
            f"Fewer than {INSUFFICIENT} patients with or without the disease: no statement about "
            "any model."
        )
    better = [arm for arm in arms if beats_chance(arm)]
    networks = [arm for arm in better if not arm.arm.is_baseline]
    baselines = [arm for arm in better if arm.arm.is_baseline]
    if not better:
        text = f"Nothing is shown to be better than chance: the AUROC interval of {_each(arms)} "
        text += "reaches 0.5 or less, so that there is nothing to rank"
    elif networks:
        text = f"Better than chance by AUROC: {_names(networks)}"
        text += f"; of the baselines {_names(baselines)}" if baselines else ""
    else:
        text = f"No network is shown to be better than chance; of the baselines {_names(baselines)}"
    rest = len(arms) - len(better)
    text += f" ({rest} of {len(arms)} are not)" if better and rest else ""
    for word, alike in (("positive", 1.0), ("negative", 0.0)):
        same = [arm for arm in arms if abs(alike - _called(arm)) <= 1 - NEARLY_ALL]
        text += f". Nearly all are called {word} by {_names(same)}" if same else ""
    return text + "."


def _called(arm: ArmResult) -> float:
    share = arm.estimate("selection_rate")
    return share if math.isfinite(share) else 0.5


def _each(arms: Sequence[ArmResult]) -> str:
    return f"each of {len(arms)} arms" if len(arms) > 1 else arms[0].arm.name


def _names(arms: Sequence[ArmResult]) -> str:
    names = [arm.arm.model if arm.arm.is_baseline else arm.arm.name for arm in arms]
    return "; ".join(names[:NAMED]) + (f"; {len(names) - NAMED} more" if names[NAMED:] else "")
