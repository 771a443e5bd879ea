"""Read what readers answered, one row an answer, and refuse what can't be right."""

from __future__ import annotations

import difflib
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hf_cushing.data.table import read_table
from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.faces.regions import GROUPS, REGIONS
from hf_cushing.schema import UsageError, UserError

LEVELS = ("student", "resident", "endocrinologist", "expert")
"""Of training, lowest first."""

NEEDED = ("reader", "level", "photo_id", "call")
OPTIONAL = ("read", "occurrence", "score", "seconds", "regions")
READS = {1: "alone", 2: "with the model"}

YES_NO = {"yes": True, "no": False}

Rows = Iterable[tuple[int, Mapping[str, str]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What one reader said of one photo at one time.

    Attributes
    ----------
    row : int
        Of the table, as a spreadsheet counts it.
    reader, photo_id : str
    level : str
        One of `LEVELS`.
    read : int
        1 alone, 2 with the model's score.
    occurrence : int
        1, or 2 where the photo was shown again.
    call : bool
        Has the disease.
    score : float
        The higher, the surer of disease; NaN if not given.
    seconds : float
        0 or more; NaN if not given.
    regions : tuple of str
        Parts of the face that were ticked.
    """

    row: int
    reader: str
    level: str
    photo_id: str
    read: int
    occurrence: int
    call: bool
    score: float
    seconds: float
    regions: tuple[str, ...]


class _Fault(Exception):
    """One wrong cell: its kind, what is wrong and the remedy."""

    def __init__(self, kind: str, text: str):
        super().__init__(text)
        self.kind = kind


def read_answers(
    source: Path, predictions: Predictions, *, label: str, split: str, key: Path | None = None
) -> tuple[Answer, ...]:
    """Read a reading kit, or a table (CSV, JSON lines or Parquet) of one row an answer.

    Columns: `NEEDED`, and `OPTIONAL` ones; others are not looked at.

    Parameters
    ----------
    source : Path
        Kit folder or table.
    predictions : Predictions
        The model's, which say what photos and labels there are.
    label : str
        The disease: a call of another label, or ``no``, means not this disease.
    split : str
        The split that was read.
    key : Path, optional
        The kit's ``key.csv``, if it was moved out of the kit.

    Returns
    -------
    tuple of Answer
        In the order of the table.

    Raises
    ------
    UserError
        Names the first row of each kind of fault, how many more there are, and the remedy.
    """
    source = Path(source)
    return check_answers(_rows(source, key), source, predictions, label=label, split=split)


def _rows(source: Path, key: Path | None) -> Iterator[tuple[int, Mapping[str, str]]]:
    if source.is_dir():
        from hf_cushing.readers.answers import export

        yield from enumerate(export(source, key), start=2)
        return
    if key is not None:
        raise UsageError(f"--key is for a kit folder, which {source} is not; leave it out")
    yield from read_table(source)


def check_answers(
    rows: Rows, source: Path | str, predictions: Predictions, *, label: str, split: str
) -> tuple[Answer, ...]:
    """Make answers of rows (number, cells); see `read_answers`."""
    split_of = dict(zip(predictions.photo_id.tolist(), predictions.split.tolist(), strict=True))
    in_split = predictions.photo_id[predictions.split == split].tolist()
    split_of |= dict.fromkeys(in_split, split)
    faults: dict[str, list[str]] = defaultdict(list)
    answers = []
    for number, cells in rows:
        if missing := [name for name in NEEDED if name not in cells]:
            raise UserError(f"{source} lacks column {', '.join(missing)}; add it")
        try:
            _check_photo(cells["photo_id"], split_of, split, guess="photo" not in faults)
            answers.append(_answer(number, cells, labels=predictions.labels, label=label))
        except _Fault as fault:
            faults[fault.kind].append(f"row {number}: {fault}")
    if not answers and not faults:
        raise UserError(f"{source} has no answers; write one row for each reader and photo")
    for kind, text in (*_between_rows(answers), *(() if faults else _lone_repeats(answers))):
        faults[kind].append(text)
    if faults:
        told = [
            text[0] + (f" ({len(text) - 1} more of this kind)" if len(text) > 1 else "")
            for text in faults.values()
        ]
        raise UserError(f"{source}: " + ". ".join(told))
    return tuple(answers)


def _check_photo(photo: str, split_of: Mapping[str, str], split: str, *, guess: bool) -> None:
    """With `guess` a known photo of nearly this name is told: slow, and only the first is read."""
    if not photo:
        raise _Fault("photo", "no photo_id; write that of the dataset")
    if photo not in split_of:
        near = difflib.get_close_matches(photo, split_of, n=1) if guess else []
        hint = f"did you mean {near[0]}?" if near else "the run has no prediction for it; give the"
        hint += "" if near else " run that was evaluated on these photos, or --dataset"
        raise _Fault("photo", f"unknown photo '{photo}': {hint}")
    if split_of[photo] != split:
        raise _Fault(
            "split",
            f"photo {photo} is of split '{split_of[photo]}', not '{split}'; take it out, or say "
            f"--split {split_of[photo]}",
        )


def _answer(
    number: int, cells: Mapping[str, str], *, labels: tuple[str, ...], label: str
) -> Answer:
    if not cells["reader"]:
        raise _Fault("reader", "no reader; write a name or number")
    return Answer(
        row=number,
        reader=cells["reader"],
        level=_level(cells["reader"], cells["level"].lower()),
        photo_id=cells["photo_id"],
        read=_one_or_two(cells, "read", "1 (alone) or 2 (with the model's score)"),
        occurrence=_one_or_two(cells, "occurrence", "1, or 2 for a repeat"),
        call=_call(cells, labels, label),
        score=_number(cells, "score"),
        seconds=_number(cells, "seconds", least=0),
        regions=_regions(cells.get("regions", "")),
    )


def _level(reader: str, level: str) -> str:
    if level not in LEVELS:
        fault = f"unknown level '{level}'" if level else "no level"
        raise _Fault("level", f"reader {reader} has {fault}; write one of {', '.join(LEVELS)}")
    return level


def _call(cells: Mapping[str, str], labels: tuple[str, ...], label: str) -> bool:
    word = cells["call"].lower()
    if word in labels:
        return word == label
    if word in YES_NO and len(labels) == 2:
        return YES_NO[word]
    known = [*labels, *(YES_NO if len(labels) == 2 else ())]
    found = f"call '{cells['call']}' is none of" if word else "no call; write one of"
    raise _Fault("call", f"reader {cells['reader']}: {found} {', '.join(known)}")


def _one_or_two(cells: Mapping[str, str], name: str, meaning: str) -> int:
    text = cells.get(name) or "1"
    if text not in ("1", "2"):
        raise _Fault(name, f"{name} '{text}'; write {meaning}")
    return int(text)


def _number(cells: Mapping[str, str], name: str, least: float = -math.inf) -> float:
    text = cells.get(name) or ""
    if not text:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < least:
        bound = f" of {least:g} or more" if least > -math.inf else " (with a point, no comma)"
        raise _Fault(name, f"{name} '{text}' is not a number{bound}; correct it or leave it empty")
    return value


def _regions(text: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(word for part in text.split(";") if (word := part.strip())))
    known = (*REGIONS, *GROUPS)
    if unknown := [word for word in found if word not in known]:
        near = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(dict.fromkeys(known))}"
        raise _Fault("region", f"unknown region '{unknown[0]}'; {hint}")
    return found


def _between_rows(answers: Iterable[Answer]) -> Iterator[tuple[str, str]]:
    """Faults that show only when rows are put side by side: kind and text."""
    level: dict[str, Answer] = {}
    seen: dict[tuple[str, str, int, int], Answer] = {}
    for one in answers:
        first = level.setdefault(one.reader, one)
        if first.level != one.level:
            yield (
                "levels",
                f"row {one.row}: reader {one.reader} is {one.level} here and {first.level} in row "
                f"{first.row}; write one level a reader",
            )
        key = (one.reader, one.photo_id, one.read, one.occurrence)
        if key in seen:
            yield (
                "twice",
                f"rows {seen[key].row} and {one.row}: reader {one.reader} answered photo "
                f"{one.photo_id} twice; delete one, or write occurrence 2 if it was shown again",
            )
        seen.setdefault(key, one)


def _lone_repeats(answers: Iterable[Answer]) -> Iterator[tuple[str, str]]:
    """Repeats without a first answer; a first answer with a fault of its own must not count."""
    seen = {(one.reader, one.photo_id, one.read, one.occurrence) for one in answers}
    for one in answers:
        if one.occurrence == 2 and (one.reader, one.photo_id, one.read, 1) not in seen:
            yield (
                "repeat",
                f"row {one.row}: reader {one.reader} has a repeat of photo {one.photo_id} without "
                "a first answer; write occurrence 1, or add the first answer",
            )
