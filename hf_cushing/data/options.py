"""The options of `prepare`, checked before any work."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hf_cushing.config.option import check_choices, option
from hf_cushing.data.datasheet import Datasheet
from hf_cushing.schema import CROP_SIDE, UsageError

Progress = Callable[[str, int], Callable[[int], None]]
"""``progress(title, total)`` opens a bar and returns the function that advances it."""


def no_progress(title: str, total: int) -> Callable[[int], None]:
    """Show nothing."""
    return lambda count: None


MIN_FOLDS = 3
"""One fold tests, one validates, the rest train."""

MATCHABLE = ("sex", "age")

SPLITTING, FACES, TABLE, PUBLIC = "Splits", "Faces", "Table", "Public controls"


@dataclass(frozen=True, kw_only=True)
class ControlsOptions:
    """Which public controls are added."""

    folder: Path | None = option(
        None,
        "Clinic folder of public controls, all of them labelled control.",
        group=PUBLIC,
        flag="--controls",
    )
    match: tuple[str, ...] = option(
        (),
        "Match by sex, age (within 5 years) or sex,age; otherwise at random.",
        group=PUBLIC,
        commas=True,
    )
    ratio: float = option(1.0, "Public controls for each patient with a disease.", group=PUBLIC)
    splits: Literal["train", "all"] = option(
        "train",
        "train: in training alone, in every fold; all: dealt out like the clinic's own.",
        group=PUBLIC,
        flag="--controls-split",
    )

    def __post_init__(self):
        check_choices(self)
        unknown = [name for name in self.match if name not in MATCHABLE]
        if unknown:
            raise UsageError(f"--match {', '.join(unknown)}: choose from {', '.join(MATCHABLE)}")
        if not 0 < self.ratio <= 1000:
            raise UsageError(f"--ratio {self.ratio}: give a number above 0, at most 1000")


@dataclass(frozen=True, kw_only=True)
class PrepareOptions:
    """How a clinic folder becomes a dataset.

    Of `salt` nothing is ever written anywhere, of the faces' descriptors (biometric data) nothing
    into a dataset.
    """

    labels: tuple[str, ...] = option(
        (),
        "Labels that may occur, with commas; by default those that do.",
        group=TABLE,
        commas=True,
    )
    sheet: str = option("", "Sheet of an Excel workbook.", group=TABLE, metavar="NAME")
    columns: tuple[str, ...] = option(
        (),
        "Which column of the table holds one of ours: patient_id='Patient ID'; repeatable.",
        group=TABLE,
        flag="--column",
        metavar="OURS=THEIRS",
    )
    values: tuple[str, ...] = option(
        (),
        "What words of a column mean: sex W=female Frau=female; 'leave out' leaves rows out.",
        group=TABLE,
        flag="--map",
        metavar="COLUMN THEIRS=OURS",
    )
    on_bad_row: Literal["reject", "fail"] = option(
        "fail",
        "Stop, or leave rows at fault out (of those that contradict each other, all).",
        group=TABLE,
    )
    number_visits: bool = option(
        False, "Write the number of a visit instead of its date.", group=TABLE
    )
    folds: int = option(5, "Cross-validation folds over all patients, 3 or more.", group=SPLITTING)
    repeats: int = option(1, "How often the folds are dealt anew.", group=SPLITTING)
    validation_size: float = option(0.15, "Share of the photos.", group=SPLITTING)
    test_size: float = option(0.2, "Share of the photos.", group=SPLITTING)
    external_sites: tuple[str, ...] = option(
        (),
        "Sites, with commas, whose patients are the test split, and in no fold.",
        group=SPLITTING,
        flag="--external-site",
        commas=True,
    )
    seed: int = option(0, "Of splits and folds.", group=SPLITTING)
    crop_size: int = option(CROP_SIDE, "Side of the crops in pixels.", group=FACES)
    context: bool = option(
        True, "Keep a wide view of each photo too, which shows the surroundings.", group=FACES
    )
    on_bad_photo: Literal["reject", "fail"] = option(
        "reject", "Leave it out and account for it, or stop.", group=FACES
    )
    identity: bool = option(True, "Compare faces (biometric data; not stored).", group=FACES)
    merge_identities: bool = option(
        True, "Put ids together whose faces seem to be one person.", group=FACES
    )
    keep_columns: tuple[str, ...] = option(
        (),
        "Carry this column of the table over, as text; repeatable.",
        group=TABLE,
        flag="--keep-column",
    )
    salt: str = option(
        "",
        "Replace patient and pair ids by hashes keyed with this secret.",
        group=TABLE,
        repr=False,
        flag="--hash-ids",
        metavar="SALT",
        envvar="HF_CUSHING_SALT",
    )
    controls: ControlsOptions | None = None
    thumbnails: bool = option(True, "Show faces in audit.html.", group=FACES)
    datasheet: Datasheet = field(default_factory=Datasheet)
    decisions: tuple[tuple[str, str, str], ...] = ()

    def __post_init__(self):
        check_choices(self)
        if self.folds < MIN_FOLDS:
            raise UsageError(f"--folds {self.folds}: at least {MIN_FOLDS} (test, validate, train)")
        if not 1 <= self.repeats <= 100:
            raise UsageError(f"--repeats {self.repeats}: give 1 to 100")
        if min(self.validation_size, self.test_size) <= 0 or not (
            self.validation_size + self.test_size < 1
        ):
            raise UsageError(
                f"--validation-size {self.validation_size} and --test-size {self.test_size}: "
                "both must be above 0, and leave something to train on"
            )
        if not 32 <= self.crop_size <= 2048:
            raise UsageError(f"--crop-size {self.crop_size}: give 32 to 2048 pixels")

    def recorded(self) -> dict[str, Any]:
        """The options as the intake report tells them: no salt, no path of this machine."""
        values = dataclasses.asdict(self)
        values["hash_ids"] = bool(values.pop("salt"))
        del values["datasheet"]
        if self.controls is not None:
            values["controls"]["folder"] = self.controls.folder.resolve().name
        return values
