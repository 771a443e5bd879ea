"""The account of an intake: what became of every row and file, and the dataset card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hf_cushing import __version__
from hf_cushing.data.crops import Outcome
from hf_cushing.data.datasheet import Datasheet
from hf_cushing.data.splits import Deal
from hf_cushing.files import read_json, render_template, write_json, write_text
from hf_cushing.schema import (
    NUMBER_COLUMNS,
    RESEARCH_NOTICE,
    SEXES,
    SPLITS,
    TEXT_COLUMNS,
    FacePhoto,
    UserError,
    fold_column,
    order_labels,
)

SMALL_GROUP = 10
"""Fewer patients than this in a label × sex of the test split: called insufficient."""

SHOWN_ROWS = 1000
"""Rows that a table of ``intake.md`` shows; ``intake.json`` has all."""


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
        Every row of the table, and of every public control that was chosen: row, public,
        file_name, status (kept or rejected), reason, message, and for a kept one its `columns`
        with `split`, and the facts of its `file`.
    unlisted : list of str
        Files that no row names.
    dropped_columns : list of str
        Columns of the table that were not carried over.
    merged : list of list of str
        Rows whose patients were found to be one person and put together.
    notes, warnings : list of str
    datasheet : dict
        Answers of a person, empty where missing.
    """

    version: str
    fingerprint: str
    options: dict[str, Any]
    labels: list[str]
    rows: list[dict[str, Any]]
    unlisted: list[str]
    dropped_columns: list[str]
    merged: list[list[str]]
    notes: list[str]
    warnings: list[str]
    datasheet: dict[str, str]

    @property
    def kept(self) -> dict[int, dict[str, Any]]:
        """Column values of the kept photos, by their place in `rows`."""
        return {i: row["columns"] for i, row in enumerate(self.rows) if row["status"] == "kept"}

    @property
    def rejected(self) -> Counter[str]:
        """Number of rejected rows by reason."""
        return Counter(row["reason"] for row in self.rows if row["status"] == "rejected")


def build_account(
    photos: list[FacePhoto],
    outcomes: list[Outcome],
    deal: Deal,
    *,
    keep_columns: tuple[str, ...],
    **facts: Any,
) -> Account:
    """Join what the table said with what became of each photo.

    Parameters
    ----------
    facts
        The fields of `Account` that are known already.
    """
    rows = []
    for photo, outcome in zip(photos, outcomes, strict=True):
        row = {
            "row": photo.row,
            "public": photo.public,
            "file_name": photo.file_name,
            "status": "rejected" if outcome.reason else "kept",
            "reason": outcome.reason,
            "message": outcome.message,
        }
        if outcome.file is not None and not outcome.reason:
            row["columns"] = _columns(photo, deal, keep_columns)
            row["file"] = asdict(outcome.file)
        rows.append(row)
    kept = [row["columns"] for row in rows if row["status"] == "kept"]
    return Account(
        version=__version__,
        labels=order_labels({columns["label"] for columns in kept}),
        rows=rows,
        warnings=list(_warnings(kept)),
        **facts,
    )


def _columns(photo: FacePhoto, deal: Deal, keep_columns: tuple[str, ...]) -> dict[str, Any]:
    names = ("photo_id", "patient_id", "label", "sex", *NUMBER_COLUMNS, *TEXT_COLUMNS, "public")
    columns = {name: getattr(photo, name) for name in names}
    columns["severity"] = None if photo.severity is None else int(photo.severity)
    columns |= dict(zip(keep_columns, photo.extra, strict=False))
    for repeat, folds in enumerate(deal.folds, start=1):
        columns[fold_column(repeat)] = folds[photo.patient_id]
    return columns | {"split": deal.splits[photo.patient_id]}


def write_account(out: Path, account: Account) -> None:
    """Write ``intake.json``, ``intake.md`` and the dataset card into the dataset folder."""
    write_json(out / "intake.json", vars(account))
    problem_rows = [row for row in account.rows if row["status"] == "rejected"]
    noted_rows = [row for row in account.rows if row["status"] == "kept" and row["message"]]
    shown = {
        "account": account,
        "cells": count_cells(account),
        "notice": RESEARCH_NOTICE,
        "shards": {s: f"data/{s}-*-{account.fingerprint[:8]}.parquet" for s in SPLITS},
        "total": len(account.rows),
        "kept": len(account.kept),
        "flow": draw_flow(account),
        "describe": describe(account),
        "datasheet": Datasheet(**account.datasheet),
        "problem_rows": problem_rows[:SHOWN_ROWS],
        "noted_rows": noted_rows[:SHOWN_ROWS],
        "hidden_rows": max(0, len(problem_rows) - SHOWN_ROWS),
    }
    write_text(out / "intake.md", render_template("intake.md.jinja", **shown))
    write_text(out / "README.md", render_template("dataset.md.jinja", **shown))


def draw_flow(account: Account) -> str:
    """Flow of the photos from the table to the splits, with what was left out, as text."""
    clinic = [row for row in account.rows if not row["public"]]
    public = len(account.rows) - len(clinic)
    lines = [f"rows of the clinic's table         {len(clinic):>8}"]
    if public:
        lines.append(f"+ public controls chosen           {public:>8}")
    for reason, count in sorted(account.rejected.items()):
        lines.append(f"  ├── left out: {reason:<17}{count:>10}")
    lines.append(f"photos kept                        {len(account.kept):>8}")
    splits = Counter(columns["split"] for columns in account.kept.values())
    patients = {
        split: len({c["patient_id"] for c in account.kept.values() if c["split"] == split})
        for split in SPLITS
    }
    for split in SPLITS:
        fork = "└──" if split == SPLITS[-1] else "├──"
        lines.append(f"  {fork} {split:<27}{splits[split]:>10}   ({patients[split]} patients)")
    return "\n".join(lines)


def count_cells(account: Account) -> list[dict[str, Any]]:
    """Photos and patients by split × label × sex; cells without a photo are left out."""
    photos: Counter[tuple[str, str, str]] = Counter()
    patients: dict[tuple[str, str, str], set[str]] = {}
    for columns in account.kept.values():
        key = (columns["split"], columns["label"], columns["sex"])
        photos[key] += 1
        patients.setdefault(key, set()).add(columns["patient_id"])
    order = sorted(
        photos, key=lambda k: (SPLITS.index(k[0]), account.labels.index(k[1]), SEXES.index(k[2]))
    )
    return [
        {"split": key[0], "label": key[1], "sex": key[2]}
        | {"photos": photos[key], "patients": len(patients[key])}
        for key in order
    ]


def describe(account: Account) -> list[dict[str, Any]]:
    """Demographics by split × label: age and BMI as median and range, and how many are unknown."""
    rows = []
    for split in SPLITS:
        for label in account.labels:
            some = [c for c in account.kept.values() if (c["split"], c["label"]) == (split, label)]
            if some:
                texts = {name: _median_and_range(some, name) for name in NUMBER_COLUMNS}
                rows.append({"split": split, "label": label, "photos": len(some)} | texts)
    return rows


def _median_and_range(rows: list[dict[str, Any]], name: str) -> str:
    values = sorted(row[name] for row in rows if row[name] is not None)
    if not values:
        return "unknown"
    unknown = f", {len(rows) - len(values)} unknown" if len(values) < len(rows) else ""
    return f"{values[len(values) // 2]:g} ({values[0]:g}–{values[-1]:g}{unknown})"


def _warnings(kept: list[dict[str, Any]]) -> Iterable[str]:
    labels = order_labels({columns["label"] for columns in kept})
    patients: dict[tuple[str, str], set[str]] = {}
    for columns in kept:
        if columns["split"] == "test":
            key = (columns["label"], columns["sex"])
            patients.setdefault(key, set()).add(columns["patient_id"])
    for sex in ("female", "male"):
        for label in labels:
            number = len(patients.get((label, sex), ()))
            if number < SMALL_GROUP:
                yield (
                    f"the test split holds {number} patients with label '{label}' and sex "
                    f"'{sex}': insufficient for a statement about them; use cross-validation "
                    "(train.py --fold) or add patients"
                )
    unknown = sum(columns["sex"] == "unknown" for columns in kept)
    if unknown:
        yield f"{unknown} photos have sex 'unknown'; they count in no comparison of the sexes"


PHOTO_COLUMNS = ("photo_id", "patient_id", "label", "sex", "split")


def kept_photos(dataset: Path) -> list[dict[str, str]]:
    """File name, photo_id, patient_id, label, sex and split of every photo of a dataset.

    Raises
    ------
    UserError
        A folder without the account that `prepare` writes.
    """
    path = dataset / "intake.json"
    if not path.is_file():
        raise UserError(
            f"{dataset} has no intake.json, so nothing says which file is which photo; give the "
            "folder that `hf-cushing prepare` made"
        )
    rows = [row for row in Account(**read_json(path)).rows if row["status"] == "kept"]
    return [
        {"file_name": row["file_name"]} | {name: row["columns"][name] for name in PHOTO_COLUMNS}
        for row in rows
    ]
