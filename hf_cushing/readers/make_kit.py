"""Make a reading kit: photos under random names, and who sees them in what order."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from hf_cushing import __version__
from hf_cushing.data.loading import FaceData, class_words, load_faces
from hf_cushing.data.options import Progress
from hf_cushing.data.table import Problem, read_table, refuse_problems
from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.faces.regions import mean_shape
from hf_cushing.files import write_json, write_text
from hf_cushing.predict.decision import decide
from hf_cushing.readers.case_order import balanced_sample, reading_order, repeat_gap, spread_order
from hf_cushing.readers.kit import (
    ANSWERS,
    KEY_COLUMNS,
    LEVELS,
    VERSION,
    ModelAnswer,
    Reader,
    hashed,
    new_code,
)
from hf_cushing.readers.options import KitOptions, chosen_disease
from hf_cushing.reports.table import Table, table_to_csv
from hf_cushing.run import Run
from hf_cushing.schema import CONTROL, UsageError, UserError
from hf_cushing.stats.resampling import strata_of

if TYPE_CHECKING:
    from datasets import Dataset

READER = re.compile(r"\w[\w .-]{0,39}")


def parse_readers(given: str, level: str | None = None) -> tuple[Reader, ...]:
    """Read ``--readers``: a number (all of one level), or a CSV with columns reader, level.

    Raises
    ------
    UserError
        A missing column; an unknown level, a name that stands twice or can't be one: with a line
        for each.
    """
    if given.isdigit():
        if level not in LEVELS:
            raise UsageError(
                f"--readers {given}: say what they are with --level ({', '.join(LEVELS)}), "
                "or give a CSV with columns reader, level"
            )
        if int(given) < 1:
            raise UsageError("--readers: at least one is needed")
        return tuple(Reader(name=f"reader-{n + 1}", level=level) for n in range(int(given)))
    if level is not None:
        raise UsageError("--level goes with a number of readers; the CSV has a column level")
    path = Path(given)
    if path.suffix != ".csv" or not path.is_file():
        raise UsageError(f"--readers {given}: give a number, or a .csv with columns reader, level")
    readers: dict[str, Reader] = {}
    problems: list[Problem] = []
    for number, cells in read_table(path, problems.append):
        if missing := [name for name in ("reader", "level") if name not in cells]:
            raise UserError(f"{path} lacks column {', '.join(missing)}; add it")
        reader = Reader(name=cells["reader"], level=cells["level"].lower())
        problems += [(number, text) for text in _problems_of(reader, readers)]
        readers[reader.name] = reader
    refuse_problems(path, problems)
    return tuple(readers.values())


def _problems_of(reader: Reader, others: Collection[str]) -> Iterator[str]:
    if not READER.fullmatch(reader.name):
        yield f"'{reader.name}' can't be a reader's name; use letters and digits"
    if reader.level not in LEVELS:
        text = f"unknown level '{reader.level}'" if reader.level else "no level"
        yield f"{text}; write one of {', '.join(LEVELS)}"
    if reader.name in others:
        yield f"reader '{reader.name}' stands twice; delete one"


def make_kit(
    dataset: str,
    out: Path,
    readers: Sequence[Reader],
    options: KitOptions,
    *,
    run: Run | None = None,
    progress: Progress,
) -> dict[str, str]:
    """Write a kit folder, and return each reader's login code, which is kept nowhere.

    Parameters
    ----------
    dataset : str
        Folder or Hub id; its crops are shown, as PNG without any metadata.
    out : Path
        New folder; nobody else may open it (mode 700).
    readers : sequence of Reader
        Names and levels.
    options : KitOptions
    run : Run, optional
        With predictions of the split, for a second read with what the model says.

    Raises
    ------
    UserError
        `out` is there already, too few cases, or photos that the run has not scored.
    """
    _check_new(out)
    if run and options.split != "test":
        raise UsageError(f"--run with --split {options.split}: the model knows these photos; test")
    data = load_faces(dataset)
    disease = chosen_disease(data.labels, options.label)
    photos, key = _chosen_photos(data, options)
    scored = _scored(run, options.split, key["photo_id"], disease) if run else None
    codes = {reader.name: new_code() for reader in readers}
    facts = {
        **_facts(data, photos, options),
        "disease": disease,
        "model_revision": str(scored.model_revision[0]) if scored else None,
        "readers": [asdict(r) for r in _with_orders(readers, codes, key, options, bool(run))],
    }
    answers = _model_answers(run, scored, disease) if scored else []
    _write_kit(out, photos, key, facts, answers, progress)
    return codes


def _facts(data: FaceData, photos: Dataset, options: KitOptions) -> dict[str, Any]:
    """What ``kit.json`` says of all cases."""
    side = photos[0]["image"].width
    return {
        "version": VERSION,
        "name": secrets.token_hex(8),
        "made_by": f"hf-cushing {__version__}",
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "dataset_revision": data.revision,
        "split": options.split,
        "seed": options.seed,
        "cases": len(photos),
        "gap": repeat_gap(len(photos)),
        "labels": data.labels,
        "side": side,
        "landmarks": mean_shape(np.array(photos["landmarks"]), side).astype(float).round(1),
    }


def _check_new(out: Path) -> None:
    if (out / ANSWERS).exists():
        raise UserError(f"{out} holds answers of readers; a kit with answers is never overwritten")
    if out.exists():
        raise UserError(f"{out} is there already; give --out a new folder")


def _chosen_photos(data: FaceData, options: KitOptions) -> tuple[Dataset, dict[str, np.ndarray]]:
    """The photos of the study by photo_id, and the columns of the key."""
    photos = data.roles[options.split]
    if "landmarks" not in photos.column_names:
        raise UserError("the dataset lacks landmarks; make it with `hf-cushing prepare`")
    key = {name: np.array(photos[name][:]) for name in ("photo_id", "patient_id")}
    key |= {name: class_words(photos, name) for name in ("label", "sex")}
    rows = np.argsort(key["photo_id"])
    if options.cases is not None:
        kept = balanced_sample(
            *(key[name][rows] for name in ("label", "sex", "patient_id")),
            cases=options.cases,
            rng=np.random.default_rng([options.seed, 0]),
        )
        rows = rows[kept]
    key = {name: values[rows] for name, values in key.items()}
    key["case"] = np.array([secrets.token_hex(5) for _ in rows])  # says nothing of the photo
    healthy = key["label"] == CONTROL
    for name, side in (("diseased", ~healthy), ("healthy", healthy)):
        count = len(np.unique(key["patient_id"][side]))
        if count < 2:
            raise UserError(
                f"a reader study needs two {name} patients or more, split {options.split} has "
                f"{count}; choose another split or dataset"
            )
    return photos.select(rows), key


def _scored(run: Run, split: str, photo_ids: np.ndarray, disease: str) -> Predictions:
    """The run's scores of the photos, in their order."""
    predictions = run.recorded_predictions.of_split(split)
    if disease not in predictions.labels:
        raise UserError(
            f"--run {run.name} knows {', '.join(predictions.labels)}, but not {disease}; give a "
            "run of this dataset"
        )
    row_of = {photo: row for row, photo in enumerate(predictions.photo_id.tolist())}
    missing = [photo for photo in photo_ids.tolist() if photo not in row_of]
    if missing:
        raise UserError(
            f"--run {run.name} has no score of {len(missing)} of {len(photo_ids)} photos of the "
            f"split (the first: {missing[0]}); give a run of this dataset and its splits"
        )
    predictions = predictions.select(np.array([row_of[photo] for photo in photo_ids.tolist()]))
    models = len(set(predictions.model_revision.tolist()))
    if models > 1:
        raise UserError(
            f"--run {run.name} pools {models} models, each with a threshold of its own; give the "
            "run of one"
        )
    return predictions


def _model_answers(run: Run, scored: Predictions, disease: str) -> list[dict[str, Any]]:
    answers = [
        ModelAnswer(
            probability=decision.probabilities[disease],
            threshold=decision.thresholds[disease],
            label=decision.label,
        )
        for decision in decide(run, scored.probabilities, scored.sex.tolist())
    ]
    return [asdict(answer) for answer in answers]


def _with_orders(
    readers: Sequence[Reader],
    codes: Mapping[str, str],
    key: Mapping[str, np.ndarray],
    options: KitOptions,
    second_read: bool,
) -> Iterator[Reader]:
    """What the kit keeps of each reader."""
    strata = strata_of(key["label"], key["sex"])
    repeats = round(options.repeats * len(strata))
    if options.repeats and not repeats:
        raise UsageError(f"--repeats {options.repeats} of {len(strata)} cases is none; 0, or more")
    for number, reader in enumerate(readers, start=1):
        rng = np.random.default_rng([options.seed, number])
        orders = [reading_order(strata, repeats, rng)]
        orders += [spread_order(strata, rng)] if second_read else []
        salt = secrets.token_hex(16)
        yield replace(
            reader,
            salt=salt,
            code_hash=hashed(codes[reader.name], salt),
            orders=tuple(tuple(key["case"][order].tolist()) for order in orders),
        )


def _write_kit(
    out: Path,
    photos: Dataset,
    key: Mapping[str, np.ndarray],
    facts: dict[str, Any],
    answers: list[dict[str, Any]],
    progress: Progress,
) -> None:
    """Write all files into a folder for its owner alone, which then becomes `out`."""
    names = key["case"].tolist()
    aside = out.with_name(f".{out.name}.{secrets.token_hex(6)}.aside")
    try:
        (aside / "photos").mkdir(parents=True)
        aside.chmod(0o700)
        advance = progress("photos", len(names))
        for photo, name in zip(photos.select_columns(["image"]), names, strict=True):
            pixels = np.asarray(photo["image"].convert("RGB"))  # nothing but pixels goes on
            Image.fromarray(pixels).save(aside / "photos" / f"{name}.png")
            advance(1)
        body = sorted(map(list, zip(*(key[name].tolist() for name in KEY_COLUMNS), strict=True)))
        table = Table("key", "Key", list(KEY_COLUMNS), body, [])
        write_text(aside / "key.csv", table_to_csv(table))
        if answers:
            write_json(aside / "scores.json", dict(zip(names, answers, strict=True)))
        write_json(aside / "kit.json", facts)
        aside.rename(out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
