"""The options of `explain`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hf_cushing.config.option import Split, check_choices, cpu_option, option, split_option
from hf_cushing.schema import UsageError

METHODS, EFFORT = "Methods", "Effort"


@dataclass(frozen=True, kw_only=True)
class ExplainOptions:
    """What to explain, and how.

    `methods` are of `METHODS`, `how` one of `hiding.HOW`; of fewer photos than all, the first by
    photo_id are taken.
    """

    split: Split = split_option()
    label: str | None = option(None, "The disease; may be left out where there is one.")
    methods: tuple[str, ...] = option(
        (), "Heatmap to make; may be repeated. By default all quick ones that fit.", group=METHODS
    )
    how: Literal["blur", "mean_skin", "inpaint"] = option(
        "blur", "What hides a region.", group=METHODS
    )
    limit: int = option(0, "Most photos; 0 for all.", group=EFFORT)
    faithful_photos: int = option(24, "Photos on which the heatmaps are judged.", group=EFFORT)
    batch_size: int = option(8, "Photos at once.", group=EFFORT)
    cpu: bool = cpu_option(group=EFFORT)

    def __post_init__(self):
        check_choices(self)
        if self.limit < 0 or min(self.faithful_photos, self.batch_size) < 1:
            raise UsageError(
                f"--limit {self.limit}, --faithful-photos {self.faithful_photos}, --batch-size "
                f"{self.batch_size}: give 0 or more, and 1 or more of the last two"
            )
