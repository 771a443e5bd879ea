"""Read what readers answered, one row an answer, and refuse what can't be right."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hf_cushing.data.table import Problem, read_table, refuse_problems
from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.faces.regions import GROUPS, REGIONS
from hf_cushing.readers.export import export
from hf_cushing.readers.kit import LEVELS
from hf_cushing.schema import UsageError, UserError

NEEDED = ("reader", "level", "photo_id", "call")
"""Columns; ``read``, ``occurrence``, ``score``, ``seconds`` and ``regions`` may be there, too."""

YES_NO = {"yes": True, "no": False}


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerRow:
    """What one reader said of one photo at one time.

    Attributes
    ----------
    row : int
        Of the table, as a spreadsheet counts it.
    reader, photo_id : str
    level : str
        One of `LEVELS`.
    read : int
        1 alone, 2 with what the model says.
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

    @property
    def showing(self) -> tuple[str, str, int, int]:
        """Reader, photo, read and occurrence: there is one answer to each."""
        return self.reader, self.photo_id, self.read, self.occurrence


def read_answers(
    source: Path, predictions: Predictions, *, label: str, split: str, key: Path | None = None
) -> tuple[AnswerRow, ...]:
    """Read a reading kit, or a table (CSV, JSON lines or Parquet) of one row an answer.

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
    tuple of AnswerRow
        In the order of the table.

    Raises
    ------
    UserError
        With a line for every problem of every row.
    """
    source, problems = Path(source), []
    split_of = dict(zip(predictions.photo_id.tolist(), predictions.split.tolist(), strict=True))
    split_of |= dict.fromkeys(predictions.photo_id[predictions.split == split].tolist(), split)
    answers = []
    for row, cells in _rows(source, key, problems):
        if missing := [name for name in NEEDED if name not in cells]:
            raise UserError(f"{source} lacks column {', '.join(missing)}; add it")
        try:
            _check_photo(cells["photo_id"], split_of, split, guess=not problems)
            answers.append(_answer(row, cells, labels=predictions.labels, label=label))
        except UserError as error:
            problems.append((row, str(error)))
    problems += _contradictions(answers)
    # a repeat whose first answer has a problem of its own is no second problem
    refuse_problems(source, problems or _lone_repeats(answers))
    return tuple(answers)


def _rows(
    source: Path, key: Path | None, problems: list[Problem]
) -> Iterable[tuple[int, Mapping[str, str]]]:
    if source.is_dir():
        return enumerate(export(source, key), start=2)
    if key is not None:
        raise UsageError(f"--key is for a kit folder, which {source} is not; leave it out")
    return read_table(source, problems.append)


def _check_photo(photo: str, split_of: Mapping[str, str], split: str, *, guess: bool) -> None:
    """With `guess` a known photo of nearly this name is named: slow, so for one photo only."""
    if not photo:
        raise UserError("no photo_id; write that of the dataset")
    if photo not in split_of:
        hint = _hint(
            photo,
            split_of if guess else (),
            "the run has no prediction for it; give the run that was evaluated on these photos, "
            "or --dataset",
        )
        raise UserError(f"unknown photo '{photo}': {hint}")
    if split_of[photo] != split:
        raise UserError(
            f"photo {photo} is of split '{split_of[photo]}', not '{split}'; take it out, or say "
            f"--split {split_of[photo]}"
        )


def _hint(word: str, known: Iterable[str], otherwise: str) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]}?" if near else otherwise


def _answer(
    row: int, cells: Mapping[str, str], *, labels: tuple[str, ...], label: str
) -> AnswerRow:
    reader, level = cells["reader"], cells["level"].lower()
    if not reader:
        raise UserError("no reader; write a name or number")
    if level not in LEVELS:
        text = f"unknown level '{level}'" if level else "no level"
        raise UserError(f"reader {reader} has {text}; write one of {', '.join(LEVELS)}")
    return AnswerRow(
        row=row,
        reader=reader,
        level=level,
        photo_id=cells["photo_id"],
        read=_one_or_two(cells, "read", "1 (alone) or 2 (with the model's score)"),
        occurrence=_one_or_two(cells, "occurrence", "1, or 2 for a repeat"),
        call=_call(cells, labels, label),
        score=_number(cells, "score"),
        seconds=_number(cells, "seconds", least=0),
        regions=_regions(cells.get("regions", "")),
    )


def _call(cells: Mapping[str, str], labels: tuple[str, ...], label: str) -> bool:
    calls = {name: name == label for name in labels} | (YES_NO if len(labels) == 2 else {})
    word = cells["call"].lower()
    if word not in calls:
        text = f"call '{cells['call']}' is none of" if word else "no call; write one of"
        raise UserError(f"reader {cells['reader']}: {text} {', '.join(calls)}")
    return calls[word]


def _one_or_two(cells: Mapping[str, str], name: str, meaning: str) -> int:
    text = cells.get(name) or "1"
    if text not in ("1", "2"):
        raise UserError(f"{name} '{text}'; write {meaning}")
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
        raise UserError(f"{name} '{text}' is not a number{bound}; correct it or leave it empty")
    return value


def _regions(text: str) -> tuple[str, ...]:
    regions = tuple(dict.fromkeys(word for part in text.split(";") if (word := part.strip())))
    known = dict.fromkeys((*REGIONS, *GROUPS))
    if unknown := [region for region in regions if region not in known]:
        hint = _hint(unknown[0], known, f"known: {', '.join(known)}")
        raise UserError(f"unknown region '{unknown[0]}'; {hint}")
    return regions


def _contradictions(answers: Iterable[AnswerRow]) -> Iterator[Problem]:
    """Problems that show only when rows are put side by side."""
    first_of: dict[str, AnswerRow] = {}
    seen: dict[tuple[str, str, int, int], AnswerRow] = {}
    for answer in answers:
        reader, first = answer.reader, first_of.setdefault(answer.reader, answer)
        if first.level != answer.level:
            yield (
                answer.row,
                f"reader {reader} is {answer.level} here and {first.level} in row {first.row}; "
                "write one level a reader",
            )
        earlier = seen.setdefault(answer.showing, answer)
        if earlier is not answer:
            yield (
                answer.row,
                f"reader {reader} answered photo {answer.photo_id} twice, first in row "
                f"{earlier.row}; delete one, or write occurrence 2 if it was shown again",
            )


def _lone_repeats(answers: Iterable[AnswerRow]) -> Iterator[Problem]:
    """Repeats without a first answer."""
    showings = {answer.showing for answer in answers}
    for answer in answers:
        if answer.occurrence == 2 and (*answer.showing[:3], 1) not in showings:
            yield (
                answer.row,
                f"reader {answer.reader} has a repeat of photo {answer.photo_id} without a first "
                "answer; write occurrence 1, or add the first answer",
            )
