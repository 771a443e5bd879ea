"""The account of an intake: what became of every row and file, and the dataset card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_cushing import __version__
from hf_cushing.data.crops import Crop
from hf_cushing.data.intake import Intake
from hf_cushing.files import render_template, write_json, write_text
from hf_cushing.schema import (
    NUMBER_COLUMNS,
    RESEARCH_NOTICE,
    SEXES,
    SPLITS,
    TEXT_COLUMNS,
    order_labels,
)

if TYPE_CHECKING:
    from hf_cushing.data.prepare import PrepareOptions

SMALL_GROUP = 10
"""Fewer patients than this in a label × sex of the test split: called insufficient."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """Content of ``intake.json``.

    Attributes
    ----------
    version, fingerprint : str
        The package's version, and the hash of all input and options.
    options : dict
        The options of `prepare`.
    labels : list of str
        In the order of the class numbers.
    rows : list of dict
        Every row of the table: row, file_name, status (kept or rejected), reason, message, and
        for a kept one all its columns, `split` and `index`.
    unlisted : list of str
        Files that no row names.
    dropped_columns : list of str
        Columns of the table that were not carried over.
    warnings : list of str
    """

    version: str
    fingerprint: str
    options: dict[str, Any]
    labels: list[str]
    rows: list[dict[str, Any]]
    unlisted: list[str]
    dropped_columns: list[str]
    warnings: list[str]

    @property
    def kept(self) -> dict[int, dict[str, Any]]:
        """Column values of the kept photos, by their place in the table."""
        return {i: row["columns"] for i, row in enumerate(self.rows) if row["status"] == "kept"}

    @property
    def rejected(self) -> Counter[str]:
        """Number of rejected rows by reason."""
        return Counter(row["reason"] for row in self.rows if row["status"] == "rejected")


def build_account(
    intake: Intake,
    crops: list[Crop],
    splits: dict[str, str],
    folds: dict[str, int],
    *,
    options: PrepareOptions,
    fingerprint: str,
) -> Account:
    """Join what the table said with what became of each photo."""
    rows = []
    for photo, crop in zip(intake.photos, crops, strict=True):
        row = {"row": photo.row, "file_name": photo.file_name, "reason": crop.reason}
        row |= {"status": "rejected" if crop.reason else "kept", "message": crop.message}
        if not crop.reason:
            names = ("photo_id", "patient_id", "label", "sex", *NUMBER_COLUMNS, *TEXT_COLUMNS)
            columns = {name: getattr(photo, name) for name in names}
            columns |= {"fold": folds[photo.patient_id], "split": splits[photo.patient_id]}
            row["columns"] = columns
        rows.append(row)
    kept = [row["columns"] for row in rows if row["status"] == "kept"]
    return Account(
        version=__version__,
        fingerprint=fingerprint,
        options=asdict(options),
        labels=order_labels({columns["label"] for columns in kept}),
        rows=rows,
        unlisted=intake.unlisted,
        dropped_columns=intake.dropped_columns,
        warnings=list(_warnings(kept)),
    )


def write_account(out: Path, account: Account) -> None:
    """Write ``intake.json``, ``intake.md`` and the dataset card into the dataset folder."""
    write_json(out / "intake.json", asdict(account))
    shown = {
        "account": account,
        "cells": count_cells(account),
        "notice": RESEARCH_NOTICE,
        "shards": {s: f"data/{s}-*-{account.fingerprint[:8]}.parquet" for s in SPLITS},
        "total": len(account.rows),
        "kept": len(account.kept),
        "problem_rows": [row for row in account.rows if row["status"] == "rejected"],
        "noted_rows": [r for r in account.rows if r["status"] == "kept" and r["message"]],
    }
    write_text(out / "intake.md", render_template("intake.md.jinja", **shown))
    write_text(out / "README.md", render_template("dataset.md.jinja", **shown))


def count_cells(account: Account) -> list[dict[str, Any]]:
    """Photos and patients by split × label × sex; cells without a photo are left out."""
    cells = []
    for split in SPLITS:
        for label in account.labels:
            for sex in SEXES:
                key = (split, label, sex)
                rows = [
                    c for c in account.kept.values() if (c["split"], c["label"], c["sex"]) == key
                ]
                patients = len({columns["patient_id"] for columns in rows})
                if rows:
                    cell = {"split": split, "label": label, "sex": sex}
                    cells.append(cell | {"photos": len(rows), "patients": patients})
    return cells


def _warnings(kept: list[dict[str, Any]]) -> Iterable[str]:
    labels = order_labels({columns["label"] for columns in kept})
    for sex in ("female", "male"):
        for label in labels:
            patients = {
                c["patient_id"]
                for c in kept
                if (c["split"], c["label"], c["sex"]) == ("test", label, sex)
            }
            if len(patients) < SMALL_GROUP:
                yield (
                    f"the test split holds {len(patients)} patients with label '{label}' and sex "
                    f"'{sex}': insufficient for a statement about them; use cross-validation "
                    "(train.py --fold) or add patients"
                )
    unknown = sum(columns["sex"] == "unknown" for columns in kept)
    if unknown:
        yield f"{unknown} photos have sex 'unknown'; they count in no comparison of the sexes"
