"""The options of `readers make` and `readers analyse`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hf_cushing.config.option import Split, check_choices, cpu_option, option, split_option
from hf_cushing.schema import CONTROL, UsageError


@dataclass(frozen=True, kw_only=True)
class KitOptions:
    """How a kit is made.

    Attributes
    ----------
    split : str
    label : str or None
        The disease that ratings are about; needed where the dataset has several.
    repeats : float
        Share of the cases that each reader sees twice, 0..0.5.
    cases : int or None
        How many photos, as many of each label × sex; None for all of the split.
    seed : int
        Of the choice and the orders; the names of cases and the codes are never the same again.
    """

    split: Split = split_option()
    label: str | None = option(None, "Disease to be rated, where the dataset has several.")
    repeats: float = option(0.1, "Share of the cases that each reader sees twice, 0 to 0.5.")
    cases: int | None = option(
        None, "So many photos, as many of each label and sex; by default all."
    )
    seed: int = option(0, "Of the choice and the orders.")

    def __post_init__(self):
        check_choices(self)
        if not 0 <= self.repeats <= 0.5:
            raise UsageError(f"--repeats {self.repeats}: give a share from 0 to 0.5")
        if self.cases is not None and self.cases < 4:
            raise UsageError(f"--cases {self.cases}: give 4 or more")


@dataclass(frozen=True, kw_only=True)
class AnalysisOptions:
    """What is analysed.

    Attributes
    ----------
    dataset : str or None
        Score this dataset with the model; None for the recorded predictions.
    split : str
    key : Path or None
        The kit's ``key.csv``, if it was moved out of the kit.
    label : str or None
        The disease; needed if the model knows several.
    cpu : bool
    """

    dataset: str | None = option(
        None, "Dataset to score; without it, the run's recorded predictions serve."
    )
    split: Split = split_option()
    key: Path | None = option(None, "The kit's key.csv, if it was moved elsewhere.")
    label: str | None = option(None, "The disease, if the model knows several.")
    cpu: bool = cpu_option()

    def __post_init__(self):
        check_choices(self)


def chosen_disease(labels: Sequence[str], wanted: str | None) -> str:
    """The disease that a study is about: `wanted`, or the only one.

    Raises
    ------
    UsageError
        There are several, or none of this name.
    """
    diseases = [label for label in labels if label != CONTROL]
    if wanted is None and len(diseases) > 1:
        raise UsageError(f"--label: choose the disease to be rated ({', '.join(diseases)})")
    if wanted is not None and wanted not in diseases:
        raise UsageError(f"--label {wanted}: choose {', '.join(diseases)}")
    return wanted or diseases[0]
