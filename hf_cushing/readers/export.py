"""The long table of a kit's answers, one row an answer: written out, and read by the analysis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hf_cushing.faces.regions import GROUPS
from hf_cushing.files import write_text
from hf_cushing.readers.answer_store import AnswerStore
from hf_cushing.readers.kit import ANSWERS, read_key, read_kit
from hf_cushing.reports.table import Table, table_to_csv
from hf_cushing.schema import UserError

COLUMNS = ("reader", "level", "photo_id", "read", "occurrence", "call", "score", "seconds",
           "regions", "answered_at", "shown")  # fmt: skip


def export(folder: Path, key: Path | None = None) -> list[dict[str, str]]:
    """The long table: one row an answer, with the photo's name in the dataset.

    Parameters
    ----------
    folder : Path
        Kit.
    key : Path, optional
        Its ``key.csv``, if that was moved out of the kit.

    Returns
    -------
    list of dict
        Columns `COLUMNS` as text. `read` is 1, or 2 with the model's score; `occurrence` 2 for a
        repeat; `call` a label; `score` 1..10, the higher the surer of the disease, which was
        called from 6 on; `seconds` from the last time it was shown, and `shown` how many times
        it was (more than once: interrupted); `regions` with semicolons between.

    Raises
    ------
    UserError
        No answers yet, or a case that the key lacks.
    """
    kit = read_kit(folder)
    rows = AnswerStore(kit).rows() if (kit.folder / ANSWERS).is_file() else []
    if not rows:
        raise UserError(f"{folder} has no answers yet; `hf-cushing readers serve {folder}` first")
    photos = read_key(folder, key)
    if unknown := {row["case"] for row in rows} - set(photos):
        raise UserError(f"the key of {folder} lacks case {min(unknown)}; give this kit's own")
    table = []
    for row in rows:
        cells = dict(row) | {
            "level": kit.reader(row["reader"]).level,
            "photo_id": photos[row["case"]]["photo_id"],
            "seconds": "" if row["seconds"] is None else f"{row['seconds']:.2f}",
        }
        table.append({name: str(cells[name]) for name in COLUMNS})
    return table


def region_rows(table: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """What `explain.reader_regions.read_reader_regions` reads, of first readings alone.

    Columns reader, photo_id, region (all of `GROUPS`), score 1 where ticked and 0 where not.
    """
    return [
        {
            "reader": row["reader"],
            "photo_id": row["photo_id"],
            "region": region,
            "score": str(int(region in row["regions"].split(";"))),
        }
        for row in table
        if (row["read"], row["occurrence"]) == ("1", "1")
        for region in GROUPS
    ]


def write_rows(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Write rows as CSV."""
    body = [list(row.values()) for row in rows]
    write_text(path, table_to_csv(Table(path.stem, path.stem, list(rows[0]), body, [])))
