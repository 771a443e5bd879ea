"""`predictions.parquet`: one row a photo, enough to rebuild every number without the photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import softmax

from hf_cushing.files import written_aside
from hf_cushing.schema import (
    ALIGNED,
    CONTROL,
    DRAWN_SOURCE,
    PLAIN,
    PROBABILITY_PREFIX,
    SEXES,
    UserError,
)

if TYPE_CHECKING:
    import pyarrow

TEXT = ("photo_id", "patient_id", "label", "sex", "split", "model_revision", "dataset_revision")
ROW_FIELDS = ("photo_id", "patient_id", "label", "sex", "split", "fold", "seed")
FRAMING = "framing"
"""Column of the file that says what the network was shown: ``aligned`` or ``plain``."""
COLUMNS = (*ROW_FIELDS, "probabilities", "model_revision", "dataset_revision")


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Scores of photos.

    Attributes
    ----------
    photo_id, patient_id, label, sex, split : numpy.ndarray
        Words, shape (n,).
    fold, seed : numpy.ndarray
        int, shape (n,).
    probabilities : numpy.ndarray
        float64, shape (n, classes), rows sum to 1.
    labels : tuple of str
        Class names in the order of the columns, ``control`` first.
    model_revision, dataset_revision : str or numpy.ndarray
        What was scored by what; one for all, or of shape (n,).
    attributes : mapping
        Further columns (age, site, …) by which subgroups can be made: shape (n,) each, words or
        float64 with NaN for unknown.
    plain : numpy.ndarray, optional
        Like `probabilities`, of the same photos' wide views, unaligned.
    """

    photo_id: np.ndarray
    patient_id: np.ndarray
    label: np.ndarray
    sex: np.ndarray
    split: np.ndarray
    fold: np.ndarray
    seed: np.ndarray
    probabilities: np.ndarray
    labels: tuple[str, ...]
    model_revision: str | np.ndarray
    dataset_revision: str | np.ndarray
    attributes: Mapping[str, np.ndarray] = field(default_factory=dict)
    plain: np.ndarray | None = None

    def __post_init__(self):
        for name in ("model_revision", "dataset_revision"):
            value = np.broadcast_to(np.asarray(getattr(self, name)), self.photo_id.shape)
            object.__setattr__(self, name, value)
        _check(self)

    def __len__(self) -> int:
        return len(self.photo_id)

    def select(self, mask: np.ndarray) -> Predictions:
        """The rows where `mask` (bool, shape (n,)) is true, or whose numbers it gives."""
        kept = {name: values[mask] for name, values in self.attributes.items()}
        rows = {name: getattr(self, name)[mask] for name in COLUMNS}
        plain = None if self.plain is None else self.plain[mask]
        return replace(self, **rows, attributes=kept, plain=plain)

    def of_split(self, split: str) -> Predictions:
        """The rows of one split; an error names those that there are."""
        mask = self.split == split
        if not mask.any():
            found = ", ".join(sorted(set(self.split.tolist()))) or "none"
            raise UserError(f"the predictions have no rows of split '{split}' (found: {found})")
        return self.select(mask)

    def spread(self, most: int) -> Predictions:
        """At most so many rows, evenly over all of them."""
        return self.select(np.linspace(0, len(self) - 1, min(most, len(self))).astype(int))

    @property
    def unaligned(self) -> Predictions | None:
        """The same rows with the scores of the wide views; None where there are none."""
        if self.plain is None:
            return None
        return replace(self, probabilities=self.plain, plain=None)

    @property
    def drawn(self) -> bool:
        """Whether all faces are drawings; False where the source isn't known."""
        return set(self.attributes.get("source", ())) == {DRAWN_SOURCE}

    @property
    def positive_labels(self) -> tuple[str, ...]:
        """All labels but ``control``."""
        return tuple(label for label in self.labels if label != CONTROL)

    def score(self, label: str) -> np.ndarray:
        """Probability of one label, shape (n,)."""
        return self.probabilities[:, self.labels.index(label)]

    def save(self, path: Path) -> None:
        """Write the rows, sorted by split and photo_id, as Parquet; scores of wide views as rows
        of their own after them.
        """
        import pyarrow
        import pyarrow.parquet

        parts = {ALIGNED: self, PLAIN: self.unaligned}
        tables = [part._table(framing) for framing, part in parts.items() if part]
        with written_aside(path) as aside:
            pyarrow.parquet.write_table(pyarrow.concat_tables(tables), aside)

    def _table(self, framing: str) -> pyarrow.Table:
        import pyarrow

        columns = {name: getattr(self, name) for name in ROW_FIELDS}
        columns |= {PROBABILITY_PREFIX + label: self.score(label) for label in self.labels}
        columns |= {n: getattr(self, n) for n in ("model_revision", "dataset_revision")}
        columns |= self.attributes | {FRAMING: np.full(len(self), framing)}
        return pyarrow.table(columns).sort_by([("split", "ascending"), ("photo_id", "ascending")])


def load_predictions(path: Path) -> Predictions:
    """Read ``predictions.parquet``; `path` may be the run folder that holds it."""
    path = Path(path)
    path = path / "predictions.parquet" if path.is_dir() else path
    table, plain = _by_framing(_read(path))
    labels = tuple(
        name.removeprefix(PROBABILITY_PREFIX)
        for name in table.column_names
        if name.startswith(PROBABILITY_PREFIX)
    )
    missing = [n for n in (*ROW_FIELDS, *TEXT) if n not in table.column_names]
    if missing or len(labels) < 2:
        raise UserError(
            f"{path} lacks {', '.join(dict.fromkeys(missing)) or 'columns prob_<label>'}; "
            "it is not a predictions.parquet of hf-cushing"
        )
    columns = {
        name: np.array(table[name].to_pylist(), dtype=str if name in TEXT else int)
        for name in dict.fromkeys((*ROW_FIELDS, *TEXT))
    }
    names = [PROBABILITY_PREFIX + label for label in labels]
    scores = [
        np.stack([part[name].to_numpy() for name in names], 1) if part else None
        for part in (table, plain)
    ]
    further = {n: _attribute(table[n]) for n in table.column_names if n not in {*columns, *names}}
    try:
        return Predictions(
            **columns,
            probabilities=scores[0],
            plain=scores[1],
            labels=labels,
            attributes=further,
        )
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _read(path: Path) -> pyarrow.Table:
    import pyarrow
    import pyarrow.parquet

    if not path.is_file():
        raise UserError(f"{path}: no such file; give a finished run folder or predictions.parquet")
    try:
        return pyarrow.parquet.read_table(path)
    except (OSError, pyarrow.ArrowInvalid) as error:
        raise UserError(f"{path} can't be read as predictions ({error})") from None


def _by_framing(table: pyarrow.Table) -> tuple[pyarrow.Table, pyarrow.Table | None]:
    """The rows of aligned crops, and those of wide views in the same order, where there are any.

    Files made before there were wide views hold crops alone.
    """
    import pyarrow.compute

    if FRAMING not in table.column_names:
        return table, None
    aligned, plain = (
        table.filter(pyarrow.compute.equal(table[FRAMING], framing)).drop([FRAMING])
        for framing in (ALIGNED, PLAIN)
    )
    same = all(
        aligned[n].equals(plain[n]) for n in ("photo_id", "split") if n in table.schema.names
    )
    return aligned, plain if len(plain) and same else None


def _attribute(column: Any) -> np.ndarray:
    """Words, or numbers with NaN for unknown."""
    values = column.to_pylist()
    if any(isinstance(value, str) for value in values):
        return np.array([value or "" for value in values], dtype=str)
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def concatenate(parts: Sequence[Predictions]) -> Predictions:
    """Join predictions, for instance of all folds; the labels must be the same.

    Attributes that not every part has are left out.
    """
    if len({part.labels for part in parts}) > 1:
        raise UserError("these predictions have different labels; evaluate them apart")
    joined = {n: np.concatenate([getattr(part, n) for part in parts]) for n in COLUMNS}
    shared = [n for n in parts[0].attributes if all(n in part.attributes for part in parts)]
    further = {n: np.concatenate([part.attributes[n] for part in parts]) for n in shared}
    views = [part.plain for part in parts if part.plain is not None]
    plain = np.concatenate(views) if len(views) == len(parts) else None
    return Predictions(**joined, labels=parts[0].labels, attributes=further, plain=plain)


def by_patient(predictions: Predictions) -> Predictions:
    """One row a patient: the mean of the log-odds over the photos.

    With several classes the mean of the log-probabilities, scaled to sum to 1, which for two
    classes is the same. A patient whose label changes between visits has a row for each label;
    attributes are those of the first photo.
    """
    p = predictions
    keys = np.stack([p.patient_id, p.label, p.split, p.model_revision.astype(str)], 1).astype(str)
    _, first, of_row = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    of_row = of_row.ravel()
    logs = np.log(np.clip(p.probabilities, np.finfo(float).tiny, None))
    counts = np.bincount(of_row)
    means = np.stack([np.bincount(of_row, column) / counts for column in logs.T], 1)
    rows = p.select(first)
    names = ["/".join(key) for key in keys[first].tolist()]
    scores = softmax(means, axis=1)
    return replace(rows, photo_id=np.array(names), probabilities=scores, plain=None)


def _check(predictions: Predictions) -> None:
    count = len(predictions.photo_id)
    columns = {name: getattr(predictions, name) for name in ROW_FIELDS} | predictions.attributes
    for name, values in columns.items():
        if len(values) != count:
            raise UserError(f"column {name} has {len(values)} of {count} rows")
    if CONTROL not in predictions.labels:
        raise UserError(f"there is no label '{CONTROL}' among {', '.join(predictions.labels)}")
    for name, known in (("label", predictions.labels), ("sex", SEXES)):
        unknown = sorted(set(getattr(predictions, name).tolist()) - set(known))
        if unknown:
            raise UserError(f"unknown {name} {', '.join(unknown)}; known: {', '.join(known)}")
    for values in (predictions.probabilities, predictions.plain):
        if values is not None:
            _check_probabilities(predictions, values)


def _check_probabilities(predictions: Predictions, values: np.ndarray) -> None:
    shape, count = (len(predictions), len(predictions.labels)), len(predictions)
    if values.shape != shape:
        raise UserError(f"probabilities have shape {values.shape}, not {shape}")
    for bad, fault in (
        (~np.isfinite(values).all(1), "are not all numbers"),
        (((values < -1e-9) | (values > 1 + 1e-9)).any(1), "lie outside 0..1"),
        (~np.isclose(values.sum(1), 1, atol=1e-4), "do not sum to 1"),
    ):
        if bad.any():
            first = predictions.photo_id[np.flatnonzero(bad)[0]]
            raise UserError(
                f"the probabilities of photo {first} {fault} ({bad.sum()} of {count} photos); "
                "score it again"
            )
