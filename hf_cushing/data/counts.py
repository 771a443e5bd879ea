"""Photos and patients by label, sex, split, …: the cells of every table of a cohort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hf_cushing.schema import SEXES, SPLITS, order_labels


def count_cells(columns: Mapping[str, Sequence[str]], by: Sequence[str]) -> list[dict[str, Any]]:
    """Count the photos and patients of each combination of words; empty ones are left out.

    Parameters
    ----------
    columns : mapping
        ``patient_id`` and the columns of `by`: one word a photo.
    by : sequence of str
        Columns, the first one sorts first: label, sex and split in the order of their
        vocabulary, others by word.

    Examples
    --------
    >>> columns = {"patient_id": ["a", "a", "b"], "sex": ["male", "male", "female"]}
    >>> count_cells(columns, ["sex"])[1]
    {'sex': 'male', 'photos': 2, 'patients': 1}
    """
    cells: dict[tuple[str, ...], list[str]] = {}
    rows = zip(*(columns[name] for name in by), columns["patient_id"], strict=True)
    for *cell, patient in rows:
        cells.setdefault(tuple(cell), []).append(patient)
    words = {"sex": SEXES, "split": SPLITS, "label": order_labels(set(columns.get("label", ())))}
    places = {name: {word: place for place, word in enumerate(words.get(name, ()))} for name in by}

    def order(cell: tuple[str, ...]) -> list[tuple[int, str]]:
        return [(places[n].get(w, len(places[n])), w) for n, w in zip(by, cell, strict=True)]

    return [
        dict(zip(by, cell, strict=True))
        | {"photos": len(cells[cell]), "patients": len(set(cells[cell]))}
        for cell in sorted(cells, key=order)
    ]
