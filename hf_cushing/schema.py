"""Vocabularies, column names and the typed records that every stage shares."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datasets import Features

CONTROL = "control"
KNOWN_LABELS = (CONTROL, "cushing", "acromegaly")
NOT_A_LABEL = {
    **dict.fromkeys(("healthy", "normal", "negative", "no"), "write 'control'"),
    "unknown": "leave photos without a diagnosis out",
}
"""Words that would otherwise pass for the name of a disease, and the remedy."""

LABEL_PATTERN = re.compile(r"[a-z][a-z0-9_]*")

SEXES = ("female", "male", "unknown")
KNOWN_SEXES = SEXES[:2]
SEX_SPELLINGS = {
    "female": "female", "f": "female", "woman": "female",
    "male": "male", "m": "male", "man": "male",
    "unknown": "unknown", "u": "unknown",
}  # fmt: skip

VIEWS = ("frontal", "left", "right", "oblique")
SPLITS = ("train", "validation", "test")

REQUIRED_COLUMNS = ("file_name", "patient_id", "sex", "label")
NUMBER_COLUMNS = ("age", "bmi", "severity")
TEXT_COLUMNS = ("view", "visit", "site", "source", "pair_id")
OPTIONAL_COLUMNS = NUMBER_COLUMNS + TEXT_COLUMNS

Several = Literal["refuse", "largest", "central"]
"""What to do where several faces are there and none dominates: no face is taken, or the largest,
or the one whose middle is nearest to the photo's."""

PROBABILITY_PREFIX = "prob_"

NO_FOLD = -1
"""Value of the column `fold` for a patient outside cross-validation: public controls, which
train in every fold, and the patients of an external test site, which are in none."""

CROP_SIDE = 256
"""Side of a stored crop, pixels, unless a dataset was prepared with another."""

CONTEXT_COLUMNS = ("context", "context_box", "context_share")
"""The wide view, the face's box in its pixels, and how much of the photo it shows; datasets
prepared with ``--no-context``, or before there were views, lack them."""

ALIGNED, PLAIN, ANY = "aligned", "plain", "any"
"""What a network is shown of a photo: the aligned crop; the wide view, as transformers' own
pipeline gets a photo; or in training now the one, now a part of the other."""

RESEARCH_NOTICE = (
    "Research use only. Not a medical device: do not use it to diagnose, "
    "to rule out or to monitor disease in any person."
)


class UserError(Exception):
    """Something the user can mend: the text names the row or file and the remedy."""


class UsageError(UserError):
    """An option was given a value that it can't take: exit code 2 instead of 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FacePhoto:
    """One row of the clinic's table, checked and typed; the photo is not yet opened.

    Attributes
    ----------
    row : int
        Line of the table as a spreadsheet counts it (the header is 1).
    file_name : str
        Path of the photo, relative to the table.
    photo_id : str
        First 16 hex digits of the SHA-256 of the file's bytes; empty while not read.
    patient_id, label, sex, view, visit, site, source, pair_id : str
        Words; empty where the table says nothing. `pair_id` names a matched pair or set.
    age, bmi, severity : float or None
        Years, kg/m², and a whole grade from 0 to 10.
    extra : tuple of str
        Cells of the columns that `--keep-column` names, in that order.
    public : bool
        From a folder of public controls instead of the clinic's.
    """

    row: int
    file_name: str
    patient_id: str
    label: str
    sex: str
    photo_id: str = ""
    age: float | None = None
    bmi: float | None = None
    severity: float | None = None
    view: str = ""
    visit: str = ""
    site: str = ""
    source: str = ""
    pair_id: str = ""
    extra: tuple[str, ...] = ()
    public: bool = False


def counted(count: int, noun: str) -> str:
    """A count with its noun.

    Examples
    --------
    >>> counted(1, "patient"), counted(20, "patient")
    ('1 patient', '20 patients')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def order_labels(labels: set[str]) -> list[str]:
    """Sort label words: ``control`` first, the known diseases next, others by name.

    >>> order_labels({"acromegaly", "control", "cushing"})
    ['control', 'cushing', 'acromegaly']
    """
    known = [label for label in KNOWN_LABELS if label in labels]
    return known + sorted(labels - set(known))


DRAWN_SOURCE = "synthetic"
"""Value of the column `source` of drawn faces: no photographs of persons."""


def fold_column(repeat: int) -> str:
    """Name of the column with the folds of a repeat of the cross-validation, counted from 1.

    >>> fold_column(1), fold_column(3)
    ('fold', 'fold_3')
    """
    return "fold" if repeat == 1 else f"fold_{repeat}"


def dataset_features(
    labels: list[str],
    *,
    repeats: int = 1,
    keep_columns: tuple[str, ...] = (),
    context: bool = True,
) -> Features:
    """Columns of a prepared dataset, with `labels` as class names in that order."""
    from datasets import Array2D, ClassLabel, Features, Image, List, Value

    text = {name: Value("string") for name in TEXT_COLUMNS}
    box = List(Value("int32"), length=4)
    views = dict(zip(CONTEXT_COLUMNS, (Image(), box, Value("float32")), strict=True))
    return Features(
        {
            "image": Image(),
            "label": ClassLabel(names=labels),
            "sex": ClassLabel(names=list(SEXES)),
            "patient_id": Value("string"),
            "photo_id": Value("string"),
            "age": Value("float32"),
            "bmi": Value("float32"),
            "severity": Value("int32"),
            **text,
            **{fold_column(repeat): Value("int32") for repeat in range(1, repeats + 1)},
            "landmarks": Array2D(shape=(68, 2), dtype="float32"),
            "face_box": box,
            **(views if context else {}),
            **{name: Value("string") for name in keep_columns},
        }
    )
