"""Who must stay together: patients linked by a pair, or found to be one person."""

from __future__ import annotations

from collections.abc import Iterable


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
