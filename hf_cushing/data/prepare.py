"""`hf-cushing prepare`: clinic folder in, dataset folder, full account and audit out."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections import Counter
from pathlib import Path

from hf_cushing.data.account import Account, build_account, write_account
from hf_cushing.data.audit_input import photos_of_crops
from hf_cushing.data.audit_report import run_audit
from hf_cushing.data.cohort import (
    Cohort,
    add_controls,
    check_copies,
    cohort_of,
    hash_ids,
    merge_identities,
    with_photo_ids,
)
from hf_cushing.data.controls import WHY_TRAIN_ONLY, read_controls
from hf_cushing.data.crops import WorkerLost, read_crops
from hf_cushing.data.intake import Intake, check_cohort, read_intake
from hf_cushing.data.options import PrepareOptions, Progress
from hf_cushing.data.parquet import write_splits
from hf_cushing.data.splits import (
    Deal,
    deal_folds,
    group_patients,
    pair_links,
    split_by_site,
    split_photos,
)
from hf_cushing.data.work import fingerprint_of, finished, work_folder
from hf_cushing.files import replace_folder
from hf_cushing.schema import NO_FOLD, FacePhoto, UsageError, UserError


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
    same call after an interruption takes over what is there. The audit is written too: what it
    found stands in ``audit.json`` and ``audit.html``.

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
    num_proc = num_proc or os.cpu_count() or 1
    if out.resolve().is_relative_to(raw.resolve()):
        raise UsageError(f"--out {out} lies inside {raw}; choose a folder outside")
    intakes = [read_intake(raw, labels=[*options.labels], keep_columns=options.keep_columns)]
    check_cohort(intakes[0].photos, folds=options.folds, where=str(intakes[0].table))
    if options.controls:
        intakes.append(read_controls(options.controls.folder))
    intakes = [with_photo_ids(intake, progress) for intake in intakes]
    check_copies(intakes[0])
    fingerprint = fingerprint_of(intakes, options.recorded(), options.salt, options.datasheet)
    intakes = [hash_ids(intake, options.salt) for intake in intakes]
    if (done := finished(out, fingerprint, overwrite)) is not None:
        return done
    work = work_folder(out, fingerprint)
    try:
        account = _build(work, intakes, options, fingerprint, num_proc, progress)
    except WorkerLost:
        raise
    except UserError:
        shutil.rmtree(work)
        raise
    replace_folder(work / "result", out)
    shutil.rmtree(work)
    return account


def _build(
    work: Path,
    intakes: list[Intake],
    options: PrepareOptions,
    fingerprint: str,
    num_proc: int,
    progress: Progress,
) -> Account:
    """Do all the work under ``work``; the dataset folder comes to lie in ``work/result``."""
    cohort = cohort_of(intakes[0], work / "clinic", options, num_proc, progress)
    if options.on_bad_photo == "fail":
        _fail_on_bad(intakes[0], cohort)
    _check_kept(intakes[0], cohort)
    notes = []
    if options.controls:
        cohort = add_controls(cohort, intakes[1], work / "controls", options, num_proc, progress)
        public = sum(photo.public for photo in cohort.kept)
        notes.append(f"{public} photos of public controls were added")
        if options.controls.splits == "train":
            notes.append(WHY_TRAIN_ONLY)
    cohort, links, merged = merge_identities(cohort, options)
    deal = deal_cohort(cohort.kept, options, links, where=str(intakes[0].table))
    account = build_account(
        cohort.photos,
        cohort.outcomes,
        deal,
        keep_columns=options.keep_columns,
        fingerprint=fingerprint,
        options=options.recorded(),
        unlisted=intakes[0].unlisted,
        dropped_columns=intakes[0].dropped_columns,
        merged=merged,
        notes=notes,
        datasheet=dataclasses.asdict(options.datasheet),
    )
    result = work / "result"
    shutil.rmtree(result, ignore_errors=True)
    write_splits(
        result,
        account.kept,
        read_crops(cohort.chunks),
        fingerprint=fingerprint[:8],
        repeats=options.repeats,
        keep_columns=options.keep_columns,
    )
    write_account(result, account)
    seen, pictures = photos_of_crops(cohort.photos, cohort.outcomes, cohort.chunks, deal)
    run_audit(result, seen, pictures, thumbnails=options.thumbnails)
    return account


def _fail_on_bad(intake: Intake, cohort: Cohort) -> None:
    lines = [
        f"  row {photo.row}: {outcome.reason}: {outcome.message}"
        for photo, outcome in zip(cohort.photos, cohort.outcomes, strict=True)
        if outcome.reason
    ]
    lines += [f"  {name}: in no row; list it or move it away" for name in intake.unlisted]
    if lines:
        head = f"{intake.table}: {len(lines)} bad photos (--on-bad-photo fail)"
        raise UserError("\n".join([head, *lines]))


def _check_kept(intake: Intake, cohort: Cohort) -> None:
    """Refuse a cohort of which nothing, or nothing of a label, is left."""
    where = f"{intake.table}, {len(cohort.kept)} of {len(cohort.photos)} photos kept"
    if not cohort.kept:
        reasons = Counter(outcome.reason for outcome in cohort.outcomes)
        shown = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))
        raise UserError(f"{where}: {shown}; correct file_name or the photos")
    lost = {photo.label for photo in cohort.photos} - {photo.label for photo in cohort.kept}
    if lost:
        raise UserError(
            f"{where}: every photo with label '{sorted(lost)[0]}' was rejected; "
            "correct the photos, or leave the label out"
        )


def deal_cohort(
    kept: list[FacePhoto], options: PrepareOptions, links: list[tuple[str, str]], *, where: str
) -> Deal:
    """Splits and folds of the patients who have at least one photo kept.

    Public controls train, in every fold, unless they are to be dealt like the others.
    """
    train_only = options.controls is not None and options.controls.splits == "train"
    aside = {photo.patient_id for photo in kept if photo.public and train_only}
    dealt = [photo for photo in kept if photo.patient_id not in aside]
    known = {patient for pair in links for patient in pair}
    patients = {photo.patient_id for photo in dealt} | known
    groups = group_patients(
        patients, [*links, *pair_links((photo.pair_id, photo.patient_id) for photo in dealt)]
    )
    common = {"validation_size": options.validation_size, "seed": options.seed, "groups": groups}
    if options.external_sites:
        splits = split_by_site(dealt, options.external_sites, **common)
    else:
        splits = split_photos(dealt, test_size=options.test_size, **common)
    inside = [p for p in dealt if not (options.external_sites and splits[p.patient_id] == "test")]
    check_cohort(inside, folds=options.folds, where=f"{where}, kept photos", groups=groups)
    folds = deal_folds(
        dealt,
        splits,
        folds=options.folds,
        repeats=options.repeats,
        seed=options.seed,
        groups=groups,
        external=bool(options.external_sites),
    )
    return Deal(
        splits | dict.fromkeys(aside, "train"),
        tuple(one | dict.fromkeys(aside, NO_FOLD) for one in folds),
    )
