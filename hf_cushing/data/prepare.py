"""`hf-cushing prepare`: clinic folder in, dataset folder, intake report and audit out."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from hf_cushing.data.audit_photos import photos_of_crops
from hf_cushing.data.audit_report import dataset_head, write_audit
from hf_cushing.data.cache import open_cache
from hf_cushing.data.chunks import WorkerLost
from hf_cushing.data.cohort import alike_links, fingerprint_of, read_cohort
from hf_cushing.data.crops import align_cohort, align_intake
from hf_cushing.data.intake_report import (
    IntakeReport,
    build_intake_report,
    read_intake_report,
    write_intake_report,
)
from hf_cushing.data.options import PrepareOptions, Progress, no_progress
from hf_cushing.data.pairs_page import write_pairs
from hf_cushing.data.parquet import write_shards
from hf_cushing.data.splits import split_cohort
from hf_cushing.files import read_json, replace_folder, write_json
from hf_cushing.schema import UsageError, UserError


def prepare(
    raw: Path,
    out: Path,
    options: PrepareOptions,
    *,
    num_proc: int | None = None,
    overwrite: bool = False,
    cache: Path | None = None,
    progress: Progress = no_progress,
) -> IntakeReport:
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
    cache : Path, optional
        Folder that keeps crops, measures and descriptors for the next call: photographs!

    Raises
    ------
    UserError
        For any fault of the table or cohort; nothing is written then.
    """
    raw, out = Path(raw), Path(out)
    for name, folder in (("--out", out), ("--cache", cache)):
        _check_outside(raw, name, folder)
    cohort = read_cohort(raw, options, progress)
    fingerprint = fingerprint_of(cohort, options)
    if (report := _finished(out, fingerprint, overwrite)) is not None:
        return report
    with _work_folder(out, fingerprint) as work:
        crops = align_cohort(
            cohort,
            work,
            options,
            num_proc=num_proc or os.cpu_count() or 1,
            progress=progress,
            cache=open_cache(cache) if cache else None,
        )
        kept = list(crops.kept.values())
        splits = split_cohort(
            kept,
            options,
            links=[*crops.links, *alike_links(cohort)],
            where=str(cohort.clinic.table),
        )
        report = build_intake_report(cohort, crops, splits, options, fingerprint)
        result = work / "result"
        shutil.rmtree(result, ignore_errors=True)
        write_shards(result, report, crops.chunks)
        write_intake_report(result, report)
        photos = photos_of_crops(crops, splits, options.decisions)
        shown = {"head": dataset_head(result, photos), "thumbnails": options.thumbnails}
        write_audit(result, photos, **shown)
        write_pairs(result, crops.alike, photos, **shown)
    return report


def fill_cache(
    raw: Path,
    options: PrepareOptions,
    *,
    shard: tuple[int, int],
    cache: Path,
    num_proc: int | None = None,
    progress: Progress = no_progress,
) -> int:
    """Do one part of the work of `prepare` into a cache that several machines share.

    `prepare` with the same cache and options then finds all photos there.

    Parameters
    ----------
    shard : (int, int)
        Which part of how many: (1, 8) to (8, 8). Photos are dealt out by what their files hold.
    cache : Path
        As in `prepare`. All machines must have the same versions: another one clears it.

    Returns
    -------
    int
        Photos of this part; of public controls, its part of all that are offered.

    Raises
    ------
    UserError
        As `prepare`.
    """
    raw, (number, count) = Path(raw), shard
    _check_outside(raw, "--cache", cache)
    entries, done = open_cache(cache), 0
    entries.mkdir(exist_ok=True)
    for intake in read_cohort(raw, options, progress).intakes:
        photos = sorted((p for p in intake.photos if p.photo_id), key=lambda p: p.photo_id)
        part = replace(intake, photos=photos[number - 1 :: count])
        with tempfile.TemporaryDirectory(dir=entries) as work:
            align_intake(
                part,
                Path(work),
                side=options.crop_size,
                identity=options.identity,
                context=options.context,
                num_proc=num_proc or os.cpu_count() or 1,
                progress=progress,
                cache=entries,
            )
        done += len(part.photos)
    return done


def _check_outside(raw: Path, name: str, folder: Path | None) -> None:
    if folder and folder.resolve().is_relative_to(raw.resolve()):
        raise UsageError(f"{name} {folder} lies inside {raw}; choose a folder outside")


def _finished(out: Path, fingerprint: str, overwrite: bool) -> IntakeReport | None:
    """Give the report of `out` if this very dataset is there; refuse to overwrite another."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    if not (out / "intake.json").is_file():
        raise UserError(f"{out} exists and was not made by `prepare`; choose another --out")
    try:
        report = read_intake_report(out)
    except TypeError:  # of another version, with other fields
        report = None
    if report is not None and report.fingerprint == fingerprint:
        return report
    if not overwrite:
        raise UserError(
            f"{out} holds a dataset made from other photos, table or options, or by another "
            "version; choose another --out, or add --overwrite to replace it"
        )
    return None


@contextmanager
def _work_folder(out: Path, fingerprint: str) -> Iterator[Path]:
    """Folder for unfinished work, whose ``result`` takes the place of `out` at the end.

    What an earlier, different run left there is dropped; so is all of a cohort that is refused.
    """
    work = out.with_name(f".{out.name}.partial")
    plan = work / "plan.json"
    if work.exists() and not (plan.exists() and read_json(plan)["fingerprint"] == fingerprint):
        shutil.rmtree(work)
    write_json(plan, {"fingerprint": fingerprint})
    try:
        yield work
    except WorkerLost:
        raise
    except UserError:
        shutil.rmtree(work)
        raise
    replace_folder(work / "result", out)
    shutil.rmtree(work)
