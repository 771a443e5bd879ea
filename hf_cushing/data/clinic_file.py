"""How a hospital's table is read: its sheet, columns and words, from ``clinic.yaml`` or options."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hf_cushing.data.table import SECOND, plain, present
from hf_cushing.schema import OPTIONAL_COLUMNS, REQUIRED_COLUMNS, UsageError, UserError

CLINIC_FILE = "clinic.yaml"

OUR_COLUMNS = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)

LEAVE_OUT = "leave out"
"""Meaning of a word whose rows are to be left out."""

OPEN = "???"
"""Ends what a person still has to confirm or to fill in."""

EMPTY = '""'
"""An empty cell, as the file writes it."""


@dataclass(frozen=True)
class Reading:
    """What a hospital's table means.

    Attributes
    ----------
    table, sheet, encoding : str
        Path of the table in the folder, name of the sheet, Python's name of the encoding; empty:
        the only table, the only filled sheet, UTF-8.
    columns : dict
        Our column to the table's. Others are known by our name, in capitals or not.
    values : dict of dict
        Our column to what a word of the table (see `plain`) means there.
    """

    table: str = ""
    sheet: str = ""
    encoding: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def with_options(self, sheet: str, columns: Sequence[str], values: Sequence[str]) -> Reading:
        """Let the command line say it otherwise.

        Parameters
        ----------
        columns : sequence of str
            ``patient_id=Patient ID``.
        values : sequence of str
            ``sex W=female``.

        Raises
        ------
        UsageError
        """
        named, words = dict(self.columns), {name: dict(w) for name, w in self.values.items()}
        for given in columns:
            ours, _, theirs = given.partition("=")
            _check_column(f"--column {given}", ours, theirs, "patient_id='Patient ID'")
            named[ours.strip()] = theirs.strip()
        for given in values:
            ours, _, pair = given.partition(" ")
            word, mark, meaning = pair.rpartition("=")
            _check_column(f"--map {given}", ours, meaning if mark else "", "sex W=female")
            words.setdefault(ours, {})[plain(word)] = _meaning(meaning)
        return replace(self, sheet=sheet or self.sheet, columns=named, values=words)

    def sources(self, names: Sequence[str]) -> dict[str, str]:
        """Which column of a table holds which of ours: ours to the table's.

        Raises
        ------
        UserError
            Two of its columns are one of ours.
        """
        found: dict[str, list[str]] = {}
        wanted = {plain(theirs): ours for ours, theirs in self.columns.items()}
        for name in names:
            if (ours := wanted.get(plain(name))) is not None:
                found.setdefault(ours, []).append(name)
            key = re.sub(r"[\s-]+", "_", plain(name))
            if key in OUR_COLUMNS and key not in self.columns:
                found.setdefault(key, []).append(name)
        for ours, several in found.items():
            several += [n + SECOND for n in several if n + SECOND in names]
            if len(several) > 1 and self.columns.get(ours) != several[0]:
                raise UserError(
                    f"column {ours} stands twice ({', '.join(several)}); say which is meant with "
                    f"--column {ours}='{several[-1]}'"
                )
        return {ours: several[0] for ours, several in found.items()}

    def translate(self, cells: Mapping[str, str], sources: Mapping[str, str]) -> dict[str, str]:
        """Cells of a row under our names and in our words; other columns as they are."""
        ours = {
            name: self.values.get(name, {}).get(plain(cells[theirs]), present(cells[theirs]))
            for name, theirs in sources.items()
            if theirs in cells
        }
        used = set(sources.values())
        rest = {name: present(text) for name, text in cells.items() if name not in used}
        other = {f"{name} (of the table)" if name in (*ours, *self.columns) else name: text
                 for name, text in rest.items()}  # fmt: skip
        return ours | other


def read_clinic_file(raw: Path) -> Reading:
    """Read ``clinic.yaml`` of a clinic folder, where there is one.

    Raises
    ------
    UserError
        It is no such file, or a person has not yet confirmed all that it guesses.
    """
    import yaml

    path = raw / CLINIC_FILE
    if not path.is_file():
        return Reading()
    try:  # the base loader leaves every word as it is: `no` and 0 are words of hospitals
        content = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader) or {}
        plain_words = {name: content.get(name) or "" for name in ("table", "sheet", "encoding")}
        columns = dict(content.get("columns") or {})
        values = {name: dict(words or {}) for name, words in (content.get("values") or {}).items()}
    except (OSError, ValueError, AttributeError, TypeError, yaml.YAMLError) as error:
        raise UserError(
            f"{path} can't be read ({error}); correct it, or delete it and let `hf-cushing prepare "
            f"{raw} --propose` write it anew"
        ) from None
    _refuse_open(path, content, columns, values)
    for name, words in (columns | values).items():
        _check_column(f"{path}: {name}", name, words or "", "patient_id, sex, label")
    meanings = {
        name: {plain(word): _meaning(meaning) for word, meaning in words.items()}
        for name, words in values.items()
    }
    return Reading(**plain_words, columns=columns, values=meanings)


def _refuse_open(
    path: Path,
    content: Mapping[str, object],
    columns: Mapping[str, str],
    values: Mapping[str, Mapping[str, str]],
) -> None:
    unknown = set(content) - {"table", "sheet", "encoding", "columns", "values"}
    if unknown:
        raise UserError(f"{path}: unknown name '{sorted(unknown)[0]}'; delete it")
    said = [("columns", *item) for item in columns.items()]
    said += [(name, *item) for name, words in values.items() for item in words.items()]
    lines = [
        f"  {where}: {word or EMPTY}: {text}" for where, word, text in said if text.endswith(OPEN)
    ]
    if lines:
        head = f"{path}: {len(lines)} to confirm; correct each and delete its {OPEN}"
        raise UserError("\n".join([head, *lines]))


def _meaning(word: str) -> str:
    word = plain(word)
    return LEAVE_OUT if re.sub(r"[-_]", " ", word) == LEAVE_OUT else word


def _check_column(where: str, ours: str, given: object, example: str) -> None:
    if ours.strip() not in OUR_COLUMNS:
        raise UsageError(f"{where}: '{ours}' is none of {', '.join(OUR_COLUMNS)}")
    if not given:
        raise UsageError(f"{where}: give it like {example}")
