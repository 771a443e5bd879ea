"""Who must stay together: patients linked by a pair, or found to be one person."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

SEPARATOR = re.compile(r"(?<=[^\W\d])[-_.]+(?=\d)")
"""Between the letters and the number of an id: ``P-007``."""

DASHES = re.compile("[‐-―−]")


def group_patients(patients: Iterable[str], links: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Give patients who are linked, also by way of others, one common group name.

    >>> group_patients(["a", "b", "c", "d"], [("c", "b"), ("b", "d")])
    {'a': 'a', 'b': 'b', 'c': 'b', 'd': 'b'}
    """
    parent = {patient: patient for patient in patients}

    def root(patient: str) -> str:
        while parent[patient] != patient:
            parent[patient] = patient = parent[parent[patient]]
        return patient

    for one, other in links:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    return {patient: root(patient) for patient in parent}


def pair_links(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Link the patients of each matched pair or set, from (pair_id, patient_id) of each photo.

    >>> pair_links([("x", "a"), ("", "b"), ("x", "c")])
    [('a', 'a'), ('a', 'c')]
    """
    first: dict[str, str] = {}
    return [(first.setdefault(pair, patient), patient) for pair, patient in pairs if pair]


def plain_id(word: str) -> str:
    """Write an id without what only dresses it: width, capitals, spaces, zeros in front, ``.0``.

    >>> [plain_id(word) for word in ("007", "7.0", "Ｐ００7", "p-7", "P 07", "A10-3")]
    ['7', '7', 'p7', 'p7', 'p7', 'a10-3']
    """
    word = "".join(unicodedata.normalize("NFKC", word).casefold().split())
    word = SEPARATOR.sub("", DASHES.sub("-", word))
    word = re.sub(r"(?<=\d)\.0+$", "", word)
    return re.sub(r"(?<!\d)0+(?=\d)", "", word)


def alike_ids(ids: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Each id that another one, met before, equals but for its dress: the places of both.

    >>> list(alike_ids(["007", "8", "007", "7", "7", ""]))
    [(3, 0)]
    """
    places: dict[str, int] = {}
    for place, word in enumerate(ids):
        places.setdefault(word, place)
    first: dict[str, int] = {}
    for word, place in places.items():
        if word and (like := first.setdefault(plain_id(word), place)) != place:
            yield place, like
