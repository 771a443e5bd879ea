"""A kit on disk, as the reading room and the analysis open it.

``kit.json`` and ``photos/`` are what the room opens; ``key.csv`` says which case is whose and is
opened by the analysis alone; ``scores.json`` waits until a reader's first read is done.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hf_cushing.data.table import read_table
from hf_cushing.files import read_json
from hf_cushing.schema import UserError

VERSION = 2
"""Of the kit's files, as they are written."""

READABLE = (1, 2)
"""In version 1, ``scores.json`` has the score of each case alone, and ``kit.json`` one threshold
for all of them."""

LEVELS = ("student", "resident", "endocrinologist", "expert")
"""Of training, lowest first."""

ANSWERS = "answers.db"
KEY_COLUMNS = ("case", "photo_id", "patient_id", "label", "sex")

CODE_LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""Without those that look like others."""


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Who reads.

    Attributes
    ----------
    name : str
    level : str
        One of `LEVELS`.
    salt, code_hash : str
        Hex; of the login code, which is nowhere kept.
    orders : tuple of tuple of str
        Cases in the order of the first read, and of the second if there is one; a case that
        comes twice is a repeat.
    """

    name: str
    level: str
    salt: str = ""
    code_hash: str = ""
    orders: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, kw_only=True)
class ModelAnswer:
    """What the model says of a case, as the second read shows it.

    Attributes
    ----------
    probability : float
        Of the kit's disease, 0..1.
    threshold : float or None
        From which probability on the disease is called, for a person of this sex; None where it
        is not known.
    label : str or None
        A label or ``uncertain``; None in a kit of version 1.
    """

    probability: float
    threshold: float | None
    label: str | None = None


@dataclass(frozen=True, kw_only=True)
class Kit:
    """A kit as the reading room knows it: neither labels nor who is who.

    Attributes
    ----------
    folder : Path
    name : str
        Random, hex; ties the answers to the kit.
    labels : tuple of str
        Answers that there are, ``control`` first.
    disease : str
        Of these labels, the one that ratings and the model's scores are about.
    readers : dict of str to Reader
    side : int
        Of the photos, pixels.
    landmarks : numpy.ndarray
        Shape (68, 2): mean face of all cases, for the map.
    threshold : float or None
        In a kit of version 1: from which score on the model calls the disease.
    """

    folder: Path
    name: str
    labels: tuple[str, ...]
    disease: str
    readers: Mapping[str, Reader]
    side: int
    landmarks: np.ndarray
    threshold: float | None

    def reader(self, name: str) -> Reader:
        """The reader of that name, or an error that names those there are."""
        if name not in self.readers:
            raise UserError(
                f"unknown reader '{name}'; this kit was made for {', '.join(self.readers)}"
            )
        return self.readers[name]

    def admits(self, name: str, code: str) -> bool:
        """Whether this is the reader's login code; dashes, blanks and case do not matter."""
        reader = self.readers.get(name, Reader(name="", level="", salt="00"))
        return hmac.compare_digest(hashed(code, reader.salt), reader.code_hash)

    def photo(self, case: str) -> bytes:
        """The case's picture, PNG."""
        return (self.folder / "photos" / f"{case}.png").read_bytes()

    def model_answer(self, case: str) -> ModelAnswer:
        """What the model says of a case; only for a second read."""
        entry = read_json(self.folder / "scores.json")[case]
        if isinstance(entry, dict):
            return ModelAnswer(**entry)
        return ModelAnswer(probability=entry, threshold=self.threshold)


def new_code() -> str:
    """A login code: 8 letters and digits with a dash, about 40 bits."""
    letters = "".join(secrets.choice(CODE_LETTERS) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"


def hashed(code: str, salt: str) -> str:
    """Scrypt of a login code, hex; dashes, blanks and case do not matter."""
    plain = re.sub(r"[\s-]", "", code).upper().encode()
    return hashlib.scrypt(plain, salt=bytes.fromhex(salt), n=2**14, r=8, p=1).hex()


def read_kit(folder: Path) -> Kit:
    """Open a kit without its key and without the model's scores.

    Raises
    ------
    UserError
        Not a kit, of a version that isn't `READABLE`, or photos are missing.
    """
    folder = Path(folder)
    if not (folder / "kit.json").is_file():
        raise UserError(f"{folder} is not a reading kit; make one with `hf-cushing readers make`")
    facts = read_json(folder / "kit.json")
    if facts.get("version") not in READABLE:
        raise UserError(
            f"{folder} is a kit of version {facts.get('version')} ({facts.get('made_by')}), this "
            f"hf-cushing knows versions {', '.join(map(str, READABLE))}; use the one that made "
            "it, or make a new kit"
        )
    readers = {
        entry["name"]: Reader(**entry | {"orders": tuple(map(tuple, entry["orders"]))})
        for entry in facts["readers"]
    }
    cases = {case for reader in readers.values() for order in reader.orders for case in order}
    missing = sorted(c for c in cases if not (folder / "photos" / f"{c}.png").is_file())
    if missing:
        raise UserError(
            f"{folder}/photos lacks {len(missing)} of {len(cases)} photos (the first: "
            f"{missing[0]}.png); copy the kit again as a whole"
        )
    return Kit(
        folder=folder,
        name=facts["name"],
        labels=tuple(facts["labels"]),
        disease=facts["disease"],
        readers=readers,
        side=facts["side"],
        landmarks=np.array(facts["landmarks"], np.float32),
        threshold=facts.get("threshold"),
    )


def read_key(folder: Path, key: Path | None = None) -> dict[str, dict[str, str]]:
    """Who is in which case: columns of ``key.csv`` by case. For the analysis, never for the room.

    Parameters
    ----------
    key : Path, optional
        Where the key was put; by default it lies in the kit.
    """
    path = key or Path(folder) / "key.csv"
    if not path.is_file():
        raise UserError(
            f"{path} is missing: it says which case is which photo; say where it is with --key"
        )
    rows = [cells for _, cells in read_table(path)]
    if missing := [name for name in KEY_COLUMNS if name not in rows[0]]:
        raise UserError(f"{path} lacks column {', '.join(missing)}; it is not the key of a kit")
    return {cells["case"]: cells for cells in rows}
