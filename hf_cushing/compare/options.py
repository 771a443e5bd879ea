"""The options of `compare`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hf_cushing.config import BASELINES
from hf_cushing.config.option import option

MORE = "Further results"


@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """Which study, which part of it, and what else is wanted of its models."""

    config: Path | None = option(
        None, "Study: a YAML file, or the name of one of configs/studies; needed the first time."
    )
    baselines: str = option(
        "",
        "Runs without a network beside the others: all, none, or names with commas, of "
        f"{', '.join(BASELINES)}; by default as the study says, and all if it says nothing.",
    )
    shard: str = option("0/1", "Train every n-th arm only, as 0/4; all share --out.")
    sizes: str = option(
        "",
        "Learning curve: train also with these shares of the training patients, as 0.25,0.5.",
        group=MORE,
    )
    external: str | None = option(
        None, "A second cohort's dataset: scored by all models, nothing adjusted.", group=MORE
    )
    export_ensemble: str | None = option(
        None, "Average the fold models of an arm, as 'dinov2-s, head', into one.", group=MORE
    )
    mitigation: str = option(
        "", "Compare these methods against sex bias, as 'dfr,group_dro', or all.", group=MORE
    )
