"""The options of `prepare`, checked before any work."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hf_cushing.data.controls import ControlsOptions
from hf_cushing.data.datasheet import Datasheet
from hf_cushing.data.intake import MIN_FOLDS
from hf_cushing.faces.align import CROP_SIDE
from hf_cushing.schema import UsageError

Progress = Callable[[str, int], Callable[[int], None]]
"""``progress(title, total)`` opens a bar and returns the function that advances it."""


@dataclass(frozen=True, kw_only=True)
class PrepareOptions:
    """How a clinic folder becomes a dataset.

    Attributes
    ----------
    labels : tuple of str
        Labels that may occur; empty for those that do.
    folds, repeats : int
        Cross-validation folds over all patients, at least 3, and how often they are dealt anew.
    validation_size, test_size : float
        Shares of the photos, above 0 and below 1 together.
    external_sites : tuple of str
        Patients seen there are the test split, and in no fold; `test_size` then plays no part.
    seed : int
    crop_size : int
        Side of the stored crops in pixels.
    on_bad_photo : str
        ``reject`` (leave it out, with the reason in the account) or ``fail``.
    identity : bool
        Compare faces, to find one person under two ids. Descriptors are biometric data; they
        are not stored.
    merge_identities : bool
        Put ids that the comparison found to be one person together.
    keep_columns : tuple of str
        Further columns of the table to carry over, as text.
    salt : str
        Replace patient and pair ids by keyed hashes; never written anywhere.
    controls : ControlsOptions, optional
        Public negatives.
    thumbnails : bool
        Show faces in ``audit.html``.
    datasheet : Datasheet
    """

    labels: tuple[str, ...] = ()
    folds: int = 5
    repeats: int = 1
    validation_size: float = 0.15
    test_size: float = 0.2
    external_sites: tuple[str, ...] = ()
    seed: int = 0
    crop_size: int = CROP_SIDE
    on_bad_photo: str = "reject"
    identity: bool = True
    merge_identities: bool = False
    keep_columns: tuple[str, ...] = ()
    salt: str = field(default="", repr=False)
    controls: ControlsOptions | None = None
    thumbnails: bool = True
    datasheet: Datasheet = field(default_factory=Datasheet)

    def __post_init__(self):
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
        if self.on_bad_photo not in ("reject", "fail"):
            raise UsageError(f"--on-bad-photo {self.on_bad_photo}: give reject or fail")
        if self.merge_identities and not self.identity:
            raise UsageError("--merge-identities needs the comparison of faces: drop --no-identity")

    def recorded(self) -> dict[str, Any]:
        """The options as the account tells them: no salt, no path of this machine."""
        values = dataclasses.asdict(self)
        values["hash_ids"] = bool(values.pop("salt"))
        del values["datasheet"]
        if self.controls is not None:
            values["controls"]["folder"] = self.controls.folder.resolve().name
        return values
