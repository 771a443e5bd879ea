"""The options of `followup`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hf_cushing.config.option import check_choices, cpu_option, option
from hf_cushing.schema import UsageError


@dataclass(frozen=True, kw_only=True)
class FollowupOptions:
    """What to follow, and how."""

    split: Literal["train", "validation", "test", "all"] = option(
        "test", "Of a dataset: train, validation, test or all.", metavar="SPLIT"
    )
    visits: Path | None = option(
        None, "For a dataset: table of photo_id, date, treatment_date, stable."
    )
    label: str | None = option(None, "Disease to follow, where the model knows several.")
    regions: bool = option(False, "Say where in the face the model looked; slow.")
    thumbnails: bool = option(True, "Show faces on the patients' pages.")
    num_proc: int | None = option(None, "Processes; all cores by default.")
    cpu: bool = cpu_option()

    def __post_init__(self):
        check_choices(self)
        if self.num_proc is not None and self.num_proc < 1:
            raise UsageError(f"--num-proc {self.num_proc}: give 1 or more")
