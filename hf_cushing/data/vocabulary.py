"""What a hospital's words most likely mean: names of columns, sexes, diagnoses, views."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

from hf_cushing.data.table import plain

SHORTEST = 4
"""Letters of a word that is also looked for within others; Chinese words may have two."""


def meaning(column: str, text: str) -> tuple[str, bool]:
    """Say what a word means in one of our columns, and whether that is more than a guess.

    >>> meaning("label", "M. Cushing"), meaning("label", "Cushing, hypophysär")
    (('cushing', True), ('cushing', False))
    >>> meaning("label", "kein Cushing"), meaning("sex", "W")
    (('', False), ('female', True))
    """
    known = _index()["values"].get(column, {})
    if (word := known.get(_bare(text))) is not None:
        return word, True
    if (word := _index()["guesses"].get(column, {}).get(_bare(text) or text)) is not None:
        return word, False
    if column == "label" and not any(sign in f"{plain(text)} " for sign in _words()["doubt"]):
        return _within(_bare(text), known), False
    return "", False


def column_of(header: str) -> tuple[str, bool]:
    """Say which of our columns a header names, and whether that is more than a guess.

    >>> column_of("Geschlecht (m/w)"), column_of("拍摄日期"), column_of("Alter bei Diagnose")
    (('sex', True), ('visit', True), ('age', False))
    """
    known, bare = _index()["columns"], _bare(header)
    if bare in known or (bare := _bare(re.sub(r"[(（\[].*", "", header)) or bare) in known:
        return known[bare], True
    if any(word in bare for word in _index()["not_ours"]):
        return "", False
    return _within(bare, known), False


def _within(bare: str, known: dict[str, str]) -> str:
    """Meaning of the known word that it begins with, or else of the longest that it holds."""
    found = [
        w for w in known if w in bare and (len(w) >= SHORTEST or (len(w) > 1 and not w.isascii()))
    ]
    best = max(found, key=lambda word: (bare.startswith(word), len(word)), default="")
    return known.get(best, "")


def _bare(text: str) -> str:
    """Letters and digits alone, without accents."""
    letters = unicodedata.normalize("NFKD", plain(text))
    return "".join(letter for letter in letters if letter.isalnum())


@cache
def _words() -> dict[str, Any]:
    import yaml

    path = Path(__file__).with_name("words.yaml")
    return yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)


@cache
def _index() -> dict[str, Any]:
    """The words the other way round: what each of them means."""
    words = _words()

    def turned(lists: dict[str, list[str]]) -> dict[str, str]:
        return {_bare(word) or word: ours for ours, some in lists.items() for word in [ours, *some]}

    return {
        "columns": turned(words["columns"]),
        "values": {column: turned(lists) for column, lists in words["values"].items()},
        "guesses": {
            column: {_bare(word) or word: ours for ours, some in lists.items() for word in some}
            for column, lists in words["guesses"].items()
        },
        "not_ours": [_bare(word) for word in words["not_ours"]],
    }
