"""`hf-cushing prepare`: clinic folder in, dataset folder and full account out."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hf_cushing import __version__
from hf_cushing.data.account import Account, build_account, write_account
from hf_cushing.data.crops import Crop, make_crops, read_chunks
from hf_cushing.data.intake import MIN_FOLDS, Intake, check_cohort, read_intake
from hf_cushing.data.parquet import write_splits
from hf_cushing.data.splits import assign_patients, split_photos
from hf_cushing.faces.align import CROP_SCALE, CROP_SIDE
from hf_cushing.files import read_json, replace_folder, sha256_file, write_json
from hf_cushing.schema import FacePhoto, UsageError, UserError

Progress = Callable[[str, int], Callable[[int], None]]
"""``progress(title, total)`` opens a bar and returns the function that advances it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrepareOptions:
    """How a clinic folder becomes a dataset.

    Attributes
    ----------
    labels : tuple of str
        Labels that may occur; empty for those that do.
    folds : int
        Cross-validation folds over all patients, at least 3.
    validation_size, test_size : float
        Shares of the photos, above 0 and below 1 together.
    seed : int
    crop_size : int
        Side of the stored crops in pixels.
    on_bad_photo : str
        ``reject`` (leave it out, with the reason in the account) or ``fail``.
    """

    labels: tuple[str, ...] = ()
    folds: int = 5
    validation_size: float = 0.15
    test_size: float = 0.2
    seed: int = 0
    crop_size: int = CROP_SIDE
    on_bad_photo: str = "reject"

    def __post_init__(self):
        if self.folds < MIN_FOLDS:
            raise UsageError(f"--folds {self.folds}: at least {MIN_FOLDS} (test, validate, train)")
        if min(self.validation_size, self.test_size) <= 0 or not (
            self.validation_size + self.test_size < 1
        ):
            raise UsageError(
                f"--validation-size {self.validation_size} and --test-size {self.test_size}: "
                "both must be above 0, and leave something to train on"
            )
        if not 32 <= self.crop_size <= 2048:
            raise UsageError(f"--crop-size {self.crop_size}: give 32 to 2048 pixels")
        if self.on_bad_photo not in ("reject", "fail"):
            raise UsageError(f"--on-bad-photo {self.on_bad_photo}: give reject or fail")


def prepare(
    raw: Path,
    out: Path,
    options: PrepareOptions,
    *,
    num_proc: int | None = None,
    overwrite: bool = False,
    progress: Progress = lambda title, total: lambda count: None,
) -> Account:
    """Turn a clinic folder into a dataset folder that `datasets.load_dataset` reads.

    The work is done in ``.OUT.partial`` beside `out`, which is moved into place at the end; the
    same call after an interruption takes over what is there.

    Parameters
    ----------
    raw : Path
        Clinic folder: photos and one ``metadata.csv|jsonl|parquet``.
    out : Path
        Dataset folder to make.
    num_proc : int, optional
        Worker processes; all cores by default. A script that calls this must do so under
        ``if __name__ == "__main__":``, since the workers import it.
    overwrite : bool
        Replace an existing dataset folder that was made from other input.

    Raises
    ------
    UserError
        For any fault of the table or cohort; nothing is written then.
    """
    raw, out = Path(raw), Path(out)
    if out.resolve().is_relative_to(raw.resolve()):
        raise UsageError(f"--out {out} lies inside {raw}; choose a folder outside")
    intake = read_intake(raw, labels=list(options.labels) or None, folds=options.folds)
    intake = _with_photo_ids(raw, intake, progress)
    fingerprint = _fingerprint(intake, options)
    if (done := _finished(out, fingerprint, overwrite)) is not None:
        return done
    work = _work_folder(out, fingerprint)
    chunks = make_crops(
        raw,
        intake.photos,
        work=work,
        side=options.crop_size,
        num_proc=num_proc or os.cpu_count() or 1,
        advance=progress("Finding and aligning faces", len(intake.photos)),
    )
    crops = [dataclasses.replace(c, image=b"") for chunk in read_chunks(chunks) for c in chunk]
    crops = _reject_copies(intake.photos, crops)
    try:
        if options.on_bad_photo == "fail":
            _fail_on_bad(intake, crops)
        splits, folds = _deal(intake, crops, options)
    except UserError:
        shutil.rmtree(work)
        raise
    account = build_account(intake, crops, splits, folds, options=options, fingerprint=fingerprint)
    result = work / "result"
    shutil.rmtree(result, ignore_errors=True)
    write_splits(result, account.kept, read_chunks(chunks), fingerprint[:8])
    write_account(result, account)
    replace_folder(result, out)
    shutil.rmtree(work)
    return account


def _with_photo_ids(raw: Path, intake: Intake, progress: Progress) -> Intake:
    """Hash every file; refuse the same bytes under two patients."""
    advance = progress("Reading files", len(intake.photos))

    def photo_id(photo: FacePhoto) -> str:
        advance(1)
        try:
            return sha256_file(raw / photo.file_name)[:16]
        except OSError:
            return ""

    with ThreadPoolExecutor() as pool:
        ids = list(pool.map(photo_id, intake.photos))
    photos = [dataclasses.replace(p, photo_id=i) for p, i in zip(intake.photos, ids, strict=True)]
    first: dict[str, FacePhoto] = {}
    problems = []
    for photo in photos:
        seen = first.setdefault(photo.photo_id, photo) if photo.photo_id else photo
        if seen.patient_id != photo.patient_id and (raw / photo.file_name).stat().st_size:
            problems.append(
                f"  row {photo.row}: the same photo as row {seen.row}, under another patient_id; "
                "give both rows one patient_id, or delete the wrong row"
            )
    if problems:
        raise UserError("\n".join([f"{intake.table}: one photo, two patients", *problems]))
    return dataclasses.replace(intake, photos=photos)


def _fingerprint(intake: Intake, options: PrepareOptions) -> str:
    """Hash of everything that the result depends on."""
    facts = {
        "version": __version__,
        "crop_scale": CROP_SCALE,
        "options": dataclasses.asdict(options),
        "table": sha256_file(intake.table),
        "photos": [photo.photo_id for photo in intake.photos],
        "unlisted": intake.unlisted,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _finished(out: Path, fingerprint: str, overwrite: bool) -> Account | None:
    """Give the account of `out` if this very dataset is there; refuse to overwrite another."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    if not (out / "intake.json").is_file():
        raise UserError(f"{out} exists and was not made by `prepare`; choose another --out")
    try:
        account = Account(**read_json(out / "intake.json"))
    except TypeError:
        raise UserError(f"{out} was made by another version; choose another --out") from None
    if account.fingerprint == fingerprint:
        return account
    if not overwrite:
        raise UserError(
            f"{out} holds a dataset made from other photos, table or options; "
            "choose another --out, or add --overwrite to replace it"
        )
    return None


def _work_folder(out: Path, fingerprint: str) -> Path:
    """Folder for unfinished work; what an earlier, different run left there is dropped."""
    work = out.with_name(f".{out.name}.partial")
    plan = work / "plan.json"
    if work.exists() and not (plan.exists() and read_json(plan)["fingerprint"] == fingerprint):
        shutil.rmtree(work)
    write_json(plan, {"fingerprint": fingerprint})
    return work


def _reject_copies(photos: list[FacePhoto], crops: list[Crop]) -> list[Crop]:
    """Keep the first of several byte-identical files of one patient."""
    first: dict[str, int] = {}
    result = []
    for photo, crop in zip(photos, crops, strict=True):
        seen = first.setdefault(photo.photo_id, photo.row)
        if not crop.reason and seen != photo.row:
            message = f"the same file content as row {seen}; delete one of them"
            crop = Crop(index=crop.index, reason="copy", message=message)
        result.append(crop)
    return result


def _fail_on_bad(intake: Intake, crops: list[Crop]) -> None:
    lines = [
        f"  row {photo.row} ({photo.file_name}): {crop.reason}: {crop.message}"
        for photo, crop in zip(intake.photos, crops, strict=True)
        if crop.reason
    ]
    lines += [f"  {name}: in no row; list it or move it away" for name in intake.unlisted]
    if lines:
        head = f"{intake.table}: {len(lines)} bad photos (--on-bad-photo fail)"
        raise UserError("\n".join([head, *lines]))


def _deal(
    intake: Intake, crops: list[Crop], options: PrepareOptions
) -> tuple[dict[str, str], dict[str, int]]:
    """Splits and folds of the patients who have at least one photo kept."""
    kept = [p for p, crop in zip(intake.photos, crops, strict=True) if not crop.reason]
    where = f"{intake.table}, {len(kept)} of {len(crops)} photos kept"
    if not kept:
        reasons = defaultdict(int)
        for crop in crops:
            reasons[crop.reason] += 1
        shown = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))
        raise UserError(f"{where}: {shown}; correct file_name or the photos")
    lost = {photo.label for photo in intake.photos} - {photo.label for photo in kept}
    if lost:
        raise UserError(
            f"{where}: every photo with label '{sorted(lost)[0]}' was rejected; "
            "correct the photos, or leave the label out"
        )
    check_cohort(kept, folds=options.folds, where=where)
    splits = split_photos(
        kept,
        validation_size=options.validation_size,
        test_size=options.test_size,
        seed=options.seed,
    )
    shares = [1 / options.folds] * options.folds
    return splits, assign_patients(kept, shares, options.seed + 1)
