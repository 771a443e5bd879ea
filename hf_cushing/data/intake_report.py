"""The intake report: what became of every row and file, and the dataset card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median_high
from typing import Any

from hf_cushing import __version__
from hf_cushing.data.chunks import Outcome
from hf_cushing.data.cohort import Cohort
from hf_cushing.data.controls import WHY_TRAIN_ONLY
from hf_cushing.data.counts import count_cells
from hf_cushing.data.crops import Crops
from hf_cushing.data.datasheet import Datasheet
from hf_cushing.data.intake import row_name
from hf_cushing.data.losses import count_losses, loss_warnings
from hf_cushing.data.options import PrepareOptions
from hf_cushing.data.splits import Splits
from hf_cushing.faces.align import RIVALLED
from hf_cushing.files import read_json, render_template, write_json, write_text
from hf_cushing.schema import (
    DRAWN_SOURCE,
    NUMBER_COLUMNS,
    RESEARCH_NOTICE,
    SPLITS,
    TEXT_COLUMNS,
    FacePhoto,
    UserError,
    counted,
    order_labels,
)

SMALL_GROUP = 10
"""Fewer patients than this in a label × sex of the test split: called insufficient."""

SHOWN_ROWS = 1000
"""Rows that a table of ``intake.md`` shows; ``intake.json`` has all."""

PHOTO_COLUMNS = ("photo_id", "patient_id", "label", "sex", "split")


@dataclass(frozen=True, kw_only=True)
class IntakeReport:
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
    merged : list of dict
        patient_ids (of the table, or hashed) and rows of each person found under several ids.
    notes, warnings : list of str
    datasheet : dict
        Answers of a person, empty where missing.
    losses : list of dict
        Of `count_losses`; empty in a dataset of an older version.
    """

    version: str
    fingerprint: str
    options: dict[str, Any]
    labels: list[str]
    rows: list[dict[str, Any]]
    unlisted: list[str]
    dropped_columns: list[str]
    merged: list[dict[str, list[str]]]
    notes: list[str]
    warnings: list[str]
    datasheet: dict[str, str]
    losses: list[dict[str, Any]] = field(default_factory=list)

    @property
    def kept(self) -> dict[int, dict[str, Any]]:
        """The rows of the kept photos, by their place in `rows`."""
        return {place: row for place, row in enumerate(self.rows) if row["status"] == "kept"}

    @property
    def rejected(self) -> Counter[str]:
        """Number of rejected rows by reason."""
        return Counter(row["reason"] for row in self.rows if row["status"] == "rejected")

    @property
    def drawn(self) -> bool:
        """Whether all kept photos are drawings."""
        return {columns["source"] for columns in self.columns} == {DRAWN_SOURCE}

    @property
    def columns(self) -> list[dict[str, Any]]:
        """Column values of the kept photos."""
        return [row["columns"] for row in self.kept.values()]


def build_intake_report(
    cohort: Cohort, crops: Crops, splits: Splits, options: PrepareOptions, fingerprint: str
) -> IntakeReport:
    """Join what the table said with what became of each photo."""
    rows = [
        _row(photo, outcome, splits, options.keep_columns)
        for photo, outcome in zip(crops.photos, crops.outcomes, strict=True)
    ]
    kept = [row["columns"] for row in rows if row["status"] == "kept"]
    losses = count_losses(crops.photos, crops.outcomes)
    rows += [  # at the end, since a photo's place says where its crop is
        {"public": False, "status": "rejected"} | asdict(row) for row in cohort.clinic.left_out
    ]
    return IntakeReport(
        version=__version__,
        fingerprint=fingerprint,
        options=options.recorded(),
        labels=order_labels({columns["label"] for columns in kept}),
        rows=rows,
        unlisted=cohort.clinic.unlisted,
        dropped_columns=cohort.clinic.dropped_columns,
        merged=crops.merged,
        notes=_notes(kept, options),
        warnings=[
            *cohort.clinic.warnings,
            *loss_warnings(losses),
            *_person_warnings(rows),
            *_warnings(kept),
        ],
        datasheet=asdict(options.datasheet),
        losses=losses,
    )


def _row(
    photo: FacePhoto, outcome: Outcome, splits: Splits, keep_columns: tuple[str, ...]
) -> dict[str, Any]:
    row = {
        "row": photo.row,
        "public": photo.public,
        "file_name": photo.file_name,
        "status": "rejected" if outcome.reason else "kept",
        "reason": outcome.reason,
        "message": outcome.message,
    }
    if outcome.reason:
        return row
    names = ("photo_id", "patient_id", "label", "sex", *NUMBER_COLUMNS, *TEXT_COLUMNS, "public")
    columns = {name: getattr(photo, name) for name in names}
    columns["severity"] = None if photo.severity is None else int(photo.severity)
    columns |= dict(zip(keep_columns, photo.extra, strict=False))
    columns |= splits.columns_of(photo.patient_id)
    return row | {"columns": columns, "file": asdict(outcome.file)}


def _notes(kept: Collection[dict[str, Any]], options: PrepareOptions) -> list[str]:
    if options.controls is None:
        return []
    public = sum(columns["public"] for columns in kept)
    why = [WHY_TRAIN_ONLY] if options.controls.splits == "train" else []
    return [f"{public} photos of public controls were added", *why]


def write_intake_report(out: Path, report: IntakeReport) -> None:
    """Write ``intake.json``, ``intake.md`` and the dataset card into the dataset folder."""
    write_json(out / "intake.json", vars(report))
    rejected = [row for row in report.rows if row["status"] == "rejected"]
    page = render_template(
        "intake.md.jinja",
        intake=report,
        notice=RESEARCH_NOTICE,
        flow=draw_flow(report),
        cells=_cells(report.columns, "split", "label", "sex"),
        rejected=rejected[:SHOWN_ROWS],
        noted=[row for row in report.kept.values() if row["message"]][:SHOWN_ROWS],
        hidden_rows=max(0, len(rejected) - SHOWN_ROWS),
    )
    write_text(out / "intake.md", page)
    write_text(out / "README.md", dataset_page(report))


def dataset_page(report: IntakeReport) -> str:
    """The dataset card, with the metadata that the Hub and `load_dataset` read.

    Of the warnings it has those on numbers: the others name rows of the clinic's table.
    """
    return render_template(
        "dataset.md.jinja",
        intake=report,
        cells=_cells(report.columns, "split", "label", "sex"),
        notice=RESEARCH_NOTICE,
        title=f"{'Drawn faces' if report.drawn else 'Face photographs'} for hf-cushing",
        shards={s: f"data/{s}-*-{report.fingerprint[:8]}.parquet" for s in SPLITS},
        flow=draw_flow(report),
        demographics=_demographics(report),
        datasheet=Datasheet(**report.datasheet),
        warnings=[*loss_warnings(report.losses), *_warnings(report.columns)],
    )


def read_intake_report(dataset: Path) -> IntakeReport | None:
    """Read the ``intake.json`` of a dataset folder; None where there is none."""
    path = dataset / "intake.json"
    return IntakeReport(**read_json(path)) if path.is_file() else None


def draw_flow(report: IntakeReport) -> str:
    """Flow of the photos from the table to the splits, with what was left out, as text."""
    public = sum(row["public"] for row in report.rows)
    lines = [f"rows of the clinic's table         {len(report.rows) - public:>8}"]
    if public:
        lines.append(f"+ public controls chosen           {public:>8}")
    for reason, count in sorted(report.rejected.items()):
        lines.append(f"  ├── left out: {reason:<17}{count:>10}")
    lines.append(f"photos kept                        {len(report.kept):>8}")
    for cell in _cells(report.columns, "split"):
        split, photos, patients = cell.values()
        fork = "└──" if split == SPLITS[-1] else "├──"
        lines.append(f"  {fork} {split:<27}{photos:>10}   ({patients} patients)")
    return "\n".join(lines)


def _cells(kept: Collection[dict[str, Any]], *by: str) -> list[dict[str, Any]]:
    return count_cells({name: [row[name] for row in kept] for name in ("patient_id", *by)}, by)


def _demographics(report: IntakeReport) -> list[dict[str, Any]]:
    """By split × label: age, BMI and severity as median and range, and how many are unknown."""
    rows = []
    for cell in _cells(report.columns, "split", "label"):
        place = (cell["split"], cell["label"])
        some = [c for c in report.columns if (c["split"], c["label"]) == place]
        rows.append(cell | {name: _median_and_range(some, name) for name in NUMBER_COLUMNS})
    return rows


def _median_and_range(rows: list[dict[str, Any]], name: str) -> str:
    values = [row[name] for row in rows if row[name] is not None]
    if not values:
        return "unknown"
    unknown = f", {len(rows) - len(values)} unknown" if len(values) < len(rows) else ""
    return f"{median_high(values):g} ({min(values):g}–{max(values):g}{unknown})"


def _warnings(kept: Collection[dict[str, Any]]) -> Iterable[str]:
    labels = order_labels({columns["label"] for columns in kept})
    cells = _cells(kept, "split", "label", "sex")
    patients = {(c["label"], c["sex"]): c["patients"] for c in cells if c["split"] == "test"}
    for sex in ("female", "male"):
        for label in labels:
            number = patients.get((label, sex), 0)
            if number < SMALL_GROUP:
                yield (
                    f"the test split holds {counted(number, 'patient')} with label '{label}' and "
                    f"sex '{sex}': insufficient for a statement about them; use cross-validation "
                    "(train --fold all) or add patients"
                )
    unknown = sum(columns["sex"] == "unknown" for columns in kept)
    if unknown:
        yield f"{unknown} photos have sex 'unknown'; they count in no comparison of the sexes"


def _person_warnings(rows: list[dict[str, Any]]) -> Iterable[str]:
    """Name the photos in which a bystander may have been taken for the patient."""
    unsure = [row_name(r["row"], r["public"]) for r in rows if RIVALLED in r["message"]]
    if unsure:
        shown = ", ".join(unsure[:10]) + ", …" * (len(unsure) > 10)
        yield f"in {counted(len(unsure), 'photo')} (rows {shown}) {RIVALLED}"


def kept_photos(dataset: Path) -> list[dict[str, str]]:
    """File name, photo_id, patient_id, label, sex and split of every photo of a dataset.

    Raises
    ------
    UserError
        A folder without the report that `prepare` writes.
    """
    return [
        {"file_name": row["file_name"]} | {name: row["columns"][name] for name in PHOTO_COLUMNS}
        for row in _known(dataset).kept.values()
    ]


def original_files(dataset: Path, raw: Path, photo_ids: Sequence[str]) -> list[Path]:
    """The clinic's own files of these photos.

    Parameters
    ----------
    dataset : Path
        Prepared dataset, whose intake report knows the files.
    raw : Path
        The clinic folder that it was prepared from.
    photo_ids : sequence of str

    Raises
    ------
    UserError
        No intake report, or a photo that isn't in `raw`.
    """
    rows = [row for row in _known(dataset).kept.values() if not row["public"]]
    names = {row["columns"]["photo_id"]: row["file_name"] for row in rows}
    missing = [p for p in photo_ids if p not in names or not (raw / names[p]).is_file()]
    if missing:
        raise UserError(
            f"{raw} lacks {len(missing)} of {len(photo_ids)} photos (such as photo {missing[0]}); "
            "give the clinic folder that the dataset was prepared from"
        )
    return [raw / names[photo] for photo in photo_ids]


def _known(dataset: Path) -> IntakeReport:
    """The intake report of a folder that must have one."""
    report = read_intake_report(dataset)
    if report is None:
        raise UserError(
            f"{dataset} has no intake.json, so nothing says which file is which photo; give the "
            "folder that `hf-cushing prepare` made"
        )
    return report
