"""Persons whom two datasets share: an external test set must hold none of the training's."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hf_cushing.data.audit import AuditPhotos, Finding, near_duplicates, same_person_pairs
from hf_cushing.data.pairs import Pairs


def shared_persons(photos: AuditPhotos, other: AuditPhotos) -> Iterator[Finding]:
    """One finding for each pair of patients, one of either dataset, who seem to be one person.

    Parameters
    ----------
    photos : AuditPhotos
        The dataset that is audited; findings name its rows.
    other : AuditPhotos
        The dataset it must be free of, usually that of the training.
    """
    here, count = photos.columns, len(photos)
    persons = np.concatenate(
        [
            np.char.add(side, part.columns["patient_id"].astype(str))
            for side, part in (("here ", photos), ("there ", other))
        ]
    )
    known = {photo_id: row for row, photo_id in enumerate(other.columns["photo_id"].tolist())}
    copies = [(i, known[p]) for i, p in enumerate(here["photo_id"].tolist()) if p in known]
    parts = [("the same file", [(i, j, 0.0) for i, j in copies])]
    prints = np.concatenate([photos.measures.thumbprint, other.measures.thumbprint])
    parts.append(("the same photo, saved anew,", _across(near_duplicates(prints, persons), count)))
    vectors = np.concatenate([photos.measures.descriptor, other.measures.descriptor])
    if np.isfinite(vectors).all():
        pairs = _across(same_person_pairs(vectors, persons), count)
        parts.append(("seemingly the same person", pairs))
    seen = set()
    for what, pairs in parts:
        for i, j, ratio in pairs:
            key = (here["patient_id"][i], other.columns["patient_id"][j])
            if key not in seen:
                seen.add(key)
                text = f"{what} as photo {other.columns['photo_id'][j]} of the other dataset"
                yield Finding("in_other_dataset", True, (i,), text, ratio)


def _across(pairs: Pairs, count: int) -> list[tuple[int, int, float]]:
    """The pairs with one photo on either side, nearest first: rows here and there, ratio."""
    rows = zip(pairs.first.tolist(), pairs.second.tolist(), pairs.ratio.tolist(), strict=True)
    return [(i, j - count, ratio) for i, j, ratio in rows if i < count <= j]
