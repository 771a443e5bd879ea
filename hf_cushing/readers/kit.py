"""Make a reading kit: photos under random names, and who sees them in what order."""

from __future__ import annotations

import csv
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_cushing import __version__
from hf_cushing.data.loading import FaceData, class_words, load_faces
from hf_cushing.data.options import Progress
from hf_cushing.data.table import read_table
from hf_cushing.evaluation.predictions import load_predictions
from hf_cushing.evaluation.record import points_from_json
from hf_cushing.faces.regions import mean_shape
from hf_cushing.files import read_json, write_json
from hf_cushing.readers.kit_folder import (
    ANSWERS,
    KEY_COLUMNS,
    VERSION,
    Reader,
    hashed,
    new_code,
)
from hf_cushing.readers.order import chosen, reading_order, spread
from hf_cushing.readers.table import LEVELS
from hf_cushing.schema import CONTROL, SPLITS, UsageError, UserError
from hf_cushing.stats.resampling import strata_of

if TYPE_CHECKING:
    from datasets import Dataset

READER = re.compile(r"\w[\w .-]{0,39}")


@dataclass(frozen=True, kw_only=True)
class KitOptions:
    """How a kit is made.

    Attributes
    ----------
    readers : tuple of Reader
        Names and levels.
    split : str
    label : str, optional
        The disease that ratings are about; needed where the dataset has several.
    repeats : float
        Share of the cases that each reader sees twice, 0..0.5.
    cases : int, optional
        How many photos, as many of each label × sex; by default all of the split.
    seed : int
        Of the choice and the orders; the names of cases and the codes are never the same again.

    Raises
    ------
    UsageError
        A value out of range.
    """

    readers: tuple[Reader, ...]
    split: str = "test"
    label: str | None = None
    repeats: float = 0.1
    cases: int | None = None
    seed: int = 0

    def __post_init__(self):
        if self.split not in SPLITS:
            raise UsageError(f"--split {self.split}: choose {', '.join(SPLITS)}")
        if not 0 <= self.repeats <= 0.5:
            raise UsageError(f"--repeats {self.repeats}: give a share from 0 to 0.5")
        if self.cases is not None and self.cases < 4:
            raise UsageError(f"--cases {self.cases}: give 4 or more")
        if not self.readers:
            raise UsageError("--readers: at least one is needed")


def parse_readers(given: str, level: str | None = None) -> tuple[Reader, ...]:
    """Read ``--readers``: a number (all of one level), or a CSV with columns reader, level.

    Raises
    ------
    UserError
        A missing column, an unknown level, a name that stands twice or can't be one; it names
        the row.
    """
    if given.isdigit():
        if level not in LEVELS:
            raise UsageError(
                f"--readers {given}: say what they are with --level ({', '.join(LEVELS)}), "
                "or give a CSV with columns reader, level"
            )
        count = int(given)
        return tuple(Reader(name=f"reader-{n + 1}", level=level) for n in range(count))
    if level is not None:
        raise UsageError("--level goes with a number of readers; the CSV has a column level")
    path = Path(given)
    if path.suffix != ".csv" or not path.is_file():
        raise UsageError(f"--readers {given}: give a number, or a .csv with columns reader, level")
    readers: dict[str, Reader] = {}
    for number, cells in read_table(path):
        if missing := [name for name in ("reader", "level") if name not in cells]:
            raise UserError(f"{path} lacks column {', '.join(missing)}; add it")
        reader = Reader(name=cells["reader"], level=cells["level"].lower())
        _check_reader(f"{path}, row {number}", reader, readers)
        readers[reader.name] = reader
    return tuple(readers.values())


def _check_reader(where: str, reader: Reader, others: Mapping[str, Reader]) -> None:
    if not READER.fullmatch(reader.name):
        raise UserError(
            f"{where}: '{reader.name}' can't be a reader's name; use letters and digits"
        )
    if reader.level not in LEVELS:
        text = f"unknown level '{reader.level}'" if reader.level else "no level"
        raise UserError(f"{where}: {text}; write one of {', '.join(LEVELS)}")
    if reader.name in others:
        raise UserError(f"{where}: reader '{reader.name}' stands twice; delete one")


def make_kit(
    dataset: str,
    out: Path,
    options: KitOptions,
    *,
    run: str | None = None,
    progress: Progress,
) -> dict[str, str]:
    """Write a kit folder, and return each reader's login code, which is kept nowhere.

    Parameters
    ----------
    dataset : str
        Folder or Hub id; its crops are shown, as PNG without any metadata.
    out : Path
        New folder; nobody else may open it (mode 700).
    run : str, optional
        Run folder with predictions of the split, for a second read with the model's score.

    Raises
    ------
    UserError
        `out` is there already, too few cases, or photos that the run has not scored.
    """
    _check_new(out)
    if run and options.split != "test":
        raise UsageError(f"--run with --split {options.split}: the model knows these photos; test")
    data = load_faces(dataset)
    disease = _disease(data.labels, options.label)
    photos, columns = _drawn_photos(data, options)
    model = _model(run, options.split, columns["photo_id"], disease) if run else {}
    names = [secrets.token_hex(5) for _ in columns["photo_id"]]
    codes, readers, gap = _readers(options, columns, names, reads=2 if run else 1)
    side = photos[0]["image"].width
    kit = {
        "version": VERSION,
        "name": secrets.token_hex(8),
        "made_by": f"hf-cushing {__version__}",
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "dataset_revision": data.revision,
        "split": options.split,
        "seed": options.seed,
        "cases": len(names),
        "gap": gap,
        "labels": data.labels,
        "disease": disease,
        "side": side,
        "landmarks": mean_shape(np.array(photos["landmarks"]), side).astype(float).round(1),
        "model_revision": model.get("revision"),
        "threshold": model.get("threshold"),
        "readers": readers,
    }
    aside = out.with_name(f".{out.name}.{secrets.token_hex(6)}.aside")
    try:
        (aside / "photos").mkdir(parents=True)
        aside.chmod(0o700)
        _write_photos(photos, aside / "photos", names, progress("photos", len(names)))
        _write_key(aside / "key.csv", names, columns)
        if model:
            write_json(aside / "scores.json", dict(zip(names, model["scores"], strict=True)))
        write_json(aside / "kit.json", kit)
        aside.rename(out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return codes


def _check_new(out: Path) -> None:
    if (out / ANSWERS).exists():
        raise UserError(f"{out} holds answers of readers; a kit with answers is never overwritten")
    if out.exists():
        raise UserError(f"{out} is there already; give --out a new folder")


def _disease(labels: Sequence[str], wanted: str | None) -> str:
    diseases = [label for label in labels if label != CONTROL]
    if wanted is None and len(diseases) > 1:
        raise UsageError(f"--label: choose the disease to be rated ({', '.join(diseases)})")
    if wanted is not None and wanted not in diseases:
        raise UsageError(f"--label {wanted}: choose {', '.join(diseases)}")
    return wanted or diseases[0]


def _drawn_photos(data: FaceData, options: KitOptions) -> tuple[Dataset, dict[str, np.ndarray]]:
    """The photos of the study by photo_id, and what the key says of them."""
    photos = data.roles[options.split]
    if "landmarks" not in photos.column_names:
        raise UserError("the dataset lacks landmarks; make it with `hf-cushing prepare`")
    columns = {name: np.array(photos[name][:]) for name in ("photo_id", "patient_id")}
    columns |= {name: class_words(photos, name) for name in ("label", "sex")}
    rows = np.argsort(columns["photo_id"])
    if options.cases is not None:
        kept = chosen(
            *(columns[name][rows] for name in ("label", "sex", "patient_id")),
            cases=options.cases,
            rng=np.random.default_rng([options.seed, 0]),
        )
        rows = rows[kept]
    columns = {name: values[rows] for name, values in columns.items()}
    healthy = columns["label"] == CONTROL
    for name, side in (("diseased", ~healthy), ("healthy", healthy)):
        count = len(np.unique(columns["patient_id"][side]))
        if count < 2:
            raise UserError(
                f"a reader study needs two {name} patients or more, split {options.split} has "
                f"{count}; choose another split or dataset"
            )
    return photos.select(rows), columns


def _model(run: str, split: str, photo_ids: np.ndarray, disease: str) -> dict[str, Any]:
    """The run's scores of the disease in the order of the photos, and its threshold."""
    predictions = load_predictions(Path(run)).of_split(split)
    if disease not in predictions.labels:
        raise UserError(
            f"--run {run} knows {', '.join(predictions.labels)}, but not {disease}; give a run "
            "of this dataset"
        )
    scores = predictions.score(disease)
    known = dict(zip(predictions.photo_id.tolist(), scores.tolist(), strict=True))
    missing = [photo for photo in photo_ids.tolist() if photo not in known]
    if missing:
        raise UserError(
            f"--run {run} has no score of {len(missing)} of {len(photo_ids)} photos of the split "
            f"(the first: {missing[0]}); give a run of this dataset and its splits"
        )
    metrics = Path(run) / "metrics.json"
    points = points_from_json(read_json(metrics)) if metrics.is_file() else []
    common = [p.threshold for p in points if p.sex == "all" and p.label == disease]
    return {
        "scores": [known[photo] for photo in photo_ids.tolist()],
        "revision": str(predictions.model_revision[0]),
        "threshold": common[0] if common else None,
    }


def _readers(
    options: KitOptions, columns: Mapping[str, np.ndarray], names: Sequence[str], *, reads: int
) -> tuple[dict[str, str], list[dict[str, Any]], int]:
    """Codes by reader, what the kit keeps of each reader, and how far repeats are apart."""
    cells = strata_of(columns["label"], columns["sex"])
    repeats = round(options.repeats * len(cells))
    if options.repeats and not repeats:
        raise UsageError(f"--repeats {options.repeats} of {len(cells)} cases is none; 0, or more")
    codes, entries, gap = {}, [], 0
    for number, reader in enumerate(options.readers, start=1):
        rng = np.random.default_rng([options.seed, number])
        first, gap = reading_order(cells, repeats, rng)
        orders = [first, *(spread(cells, rng) for _ in range(reads - 1))]
        code, salt = new_code(), secrets.token_hex(16)
        codes[reader.name] = code
        entries.append(
            {
                "name": reader.name,
                "level": reader.level,
                "salt": salt,
                "code_hash": hashed(code, salt),
                "orders": [[names[row] for row in order] for order in orders],
            }
        )
    return codes, entries, gap


def _write_photos(
    photos: Dataset, folder: Path, names: Sequence[str], advance: Callable[[int], None]
) -> None:
    from PIL import Image

    for photo, name in zip(photos.select_columns(["image"]), names, strict=True):
        pixels = np.asarray(photo["image"].convert("RGB"))  # nothing but pixels goes on
        Image.fromarray(pixels).save(folder / f"{name}.png")
        advance(1)


def _write_key(path: Path, names: Iterable[str], columns: Mapping[str, np.ndarray]) -> None:
    rows = zip(names, *(columns[name].tolist() for name in KEY_COLUMNS[1:]), strict=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(KEY_COLUMNS)
        writer.writerows(sorted(rows))  # not in the order of photo_id
