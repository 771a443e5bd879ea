"""Rules that look at photographs and at what is told of the persons in them.

Each yields what it found, one message a fault; nothing means that the rule is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from hf_cushing.data.audit_report import read_audit
from hf_cushing.data.datasheet import Datasheet
from hf_cushing.data.intake_report import read_intake_report
from hf_cushing.data.row_checks import ANY_DATE
from hf_cushing.publish.image_bytes import foreign_parts
from hf_cushing.publish.staged import Staged
from hf_cushing.schema import (
    CONTEXT_COLUMNS,
    DRAWN_SOURCE,
    LABEL_PATTERN,
    TEXT_COLUMNS,
    counted,
    dataset_features,
)

IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic",
          ".heif", ".avif")  # fmt: skip
PHOTOGRAPHS = (".jpg", ".jpeg", ".webp", ".heic", ".tif", ".tiff", ".bmp")

PICTURES = ("image", CONTEXT_COLUMNS[0])
"""Columns of pictures in a dataset."""

FOLD = re.compile(r"fold(_\d+)?")
METADATA = {b"ARROW:schema", b"huggingface"}
"""What a Parquet file says of itself: the columns and their types, for both libraries."""

MOST_LETTERS, MOST_WORDS = 40, 4
"""Of a code in a column of text; more is prose."""

HEX = re.compile(r"[0-9a-f]{16}")
HASHED = re.compile(r"(public-)?[0-9a-f]{16}")
"""A patient id as ``prepare --hash-ids`` makes it."""

CONSENT = ("consent", "ethics_approval", "licence", "access")
"""Answers of the datasheet without which nothing that learned from people becomes public."""


def crossing(staged: Staged) -> Iterator[str]:
    """No patient in two splits, and no leak that the audit found."""
    seen: dict[str, str] = {}
    crossing: set[str] = set()
    for name, table in _tables(staged, ["patient_id"]):
        split = name.partition("-")[0]
        for patient in set(table["patient_id"]):
            if seen.setdefault(patient, split) != split:
                crossing.add(patient)
    if crossing:
        yield f"{counted(len(crossing), 'patient')} in more than one split"
    if not (staged.source / "audit.json").is_file():
        yield "the dataset was not audited; run `hf-cushing audit` on it"
        return
    audit = read_audit(staged.source)
    if audit["leaks"]:
        yield f"the audit found leaks between splits or folds: {audit['leaks']}"
    if holds_photographs(staged) and not audit["identity_checked"]:
        yield "the audit did not compare faces, so one person under two ids would be unnoticed"


def image_metadata(staged: Staged) -> Iterator[str]:
    """Images are pixels alone: no EXIF, comment, profile, trailing bytes or old file name."""
    found: list[str] = []
    for path in staged.files.values():
        if path.suffix.lower() in IMAGES:
            found += [f"{path.name}: {part}" for part in foreign_parts(path.read_bytes())]
    for name, table in _tables(staged, [*PICTURES, "photo_id"]):
        for column in table.keys() - {"photo_id"}:
            for image, photo_id in zip(table[column], table["photo_id"], strict=True):
                parts = foreign_parts(image["bytes"] or b"")
                parts += ["file name"] if image["path"] else []
                found += [f"{name}, photo {photo_id}: {part}" for part in parts]
    if found:
        yield f"{len(found)} × metadata in images, such as {found[0]}"


def columns(staged: Staged) -> Iterator[str]:
    """The columns that `prepare` makes, with their types, and nothing said beside them."""
    from datasets import Features

    odd: set[str] = set()
    for path in _shards(staged):
        file = pyarrow.parquet.ParquetFile(path)
        features = Features.from_arrow_schema(file.schema_arrow)
        allowed = _allowed(features, context=staged.options.context)
        odd |= {
            f"column '{name}' ({file.schema_arrow.field(name).type}) is not one that may go"
            for name, feature in features.items()
            if allowed.get(name) != feature
        }
        more = set(file.metadata.metadata or ()) - METADATA
        more |= (file.schema_arrow.metadata or {}).items() - features.arrow_schema.metadata.items()
        if more or any(map(_has_metadata, file.schema_arrow)):
            odd.add("a shard holds more than its columns and their types")
    yield from sorted(odd)


def _has_metadata(field: pyarrow.Field) -> bool:
    kind = getattr(field.type, "storage_type", field.type)
    below = (kind.field(number) for number in range(kind.num_fields))
    return bool(field.metadata) or any(map(_has_metadata, below))


def _allowed(features: Any, *, context: bool) -> dict[str, Any]:
    """Columns that may go, and their types; as many folds as there are, and the shard's labels."""
    labels = getattr(features.get("label"), "names", None) or []
    if not all(LABEL_PATTERN.fullmatch(label) for label in labels):
        labels = []
    repeats = sum(bool(FOLD.fullmatch(name)) for name in features)
    return dataset_features(labels, repeats=repeats, context=context)


def free_text(staged: Staged) -> Iterator[str]:
    """Only codes in the columns of text."""
    odd: dict[str, int] = {}
    for _, table in _tables(staged, ["photo_id", *TEXT_COLUMNS]):
        for name, values in table.items():
            wrong = _is_no_hash if name == "photo_id" else _is_prose
            odd[name] = odd.get(name, 0) + len({v for v in values if v and wrong(str(v))})
    for name, number in odd.items():
        if number:
            yield f"column '{name}' holds text or dates in {number} values"


def _is_no_hash(value: str) -> bool:
    return not HEX.fullmatch(value)


def _is_prose(value: str) -> bool:
    long = len(value) > MOST_LETTERS or len(value.split()) > MOST_WORDS
    return long or "@" in value or bool(ANY_DATE.search(value))


def patient_ids(staged: Staged) -> Iterator[str]:
    """The clinic's own ids stay at the clinic."""
    if not holds_photographs(staged):
        return
    ids = {name for _, table in _tables(staged, ["patient_id"]) for name in table["patient_id"]}
    plain = sum(not HASHED.fullmatch(name) for name in ids)
    report = read_intake_report(staged.source)
    if plain:
        yield f"{plain} of {len(ids)} patient ids are the clinic's own"
    elif report is None or not report.options.get("hash_ids"):
        yield "nothing says that the patient ids were hashed: a clinic's numbers may look the same"


def datasheet(staged: Staged) -> Iterator[str]:
    """What only a person can say of photographs, consent above all, must be said."""
    if holds_photographs(staged) and (missing := _unanswered(staged.source)):
        yield f"the datasheet lacks {len(missing)} answers: {', '.join(missing)}"


def _unanswered(dataset: Path | None) -> list[str]:
    """Questions of the datasheet that nobody answered; all of them where there is no dataset."""
    report = read_intake_report(dataset) if dataset else None
    return Datasheet(**report.datasheet if report else {}).missing


def consent(staged: Staged) -> Iterator[str]:
    """A model that learned from people becomes public only where they agreed to that."""
    if staged.private or staged.drawn:
        return
    missing = [name for name in _unanswered(staged.options.dataset) if name in CONSENT]
    if missing:
        yield (
            "the repo would be public, the model learned from people, and nobody says of its "
            f"dataset: {', '.join(missing)}"
        )


def public_photographs(staged: Staged) -> Iterator[str]:
    """Faces don't go into a public repo."""
    if not staged.private and holds_photographs(staged):
        yield "the repo would be public, and it holds photographs of faces"


def ungated_photographs(staged: Staged) -> Iterator[str]:
    """Faces don't go into a repo that hands them to anybody who may see it."""
    if not staged.gated and holds_photographs(staged):
        yield "the repo would not be gated, and it holds photographs of faces"


def holds_photographs(staged: Staged) -> bool:
    """Whether there are images that may show persons: all but drawn faces and our figures."""
    for path in staged.files.values():
        if path.suffix.lower() in PHOTOGRAPHS:
            return True
        if path.suffix == ".html" and "data:image/jpeg" in path.read_text(encoding="utf-8"):
            return True
    return any(set(table["source"]) != {DRAWN_SOURCE} for _, table in _tables(staged, ["source"]))


def _shards(staged: Staged) -> list[Path]:
    return sorted((staged.folder / "data").glob("*.parquet"))


def _tables(staged: Staged, columns: list[str]) -> Iterator[tuple[str, dict[str, list[Any]]]]:
    """File name and some columns of the shards, one row group at a time."""
    for path in _shards(staged):
        file = pyarrow.parquet.ParquetFile(path)
        for group in range(file.metadata.num_row_groups):
            yield path.name, file.read_row_group(group, columns=columns).to_pydict()
