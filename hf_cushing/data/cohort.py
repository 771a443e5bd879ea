"""The cohort: the clinic's intake and the public controls offered, checked before any work."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from hf_cushing import __version__
from hf_cushing.data.clinic_file import read_clinic_file
from hf_cushing.data.controls import read_controls
from hf_cushing.data.groups import group_patients, pair_links
from hf_cushing.data.intake import Intake, check_copies, read_intake, with_photo_ids
from hf_cushing.data.options import MIN_FOLDS, PrepareOptions, Progress
from hf_cushing.data.row_checks import ANY_DATE
from hf_cushing.faces.align import CROP_SCALE
from hf_cushing.faces.context import CONTEXT_FACES, CONTEXT_SIDE
from hf_cushing.files import sha256_file
from hf_cushing.schema import CONTROL, FacePhoto, UserError, counted


@dataclass(frozen=True)
class Cohort:
    """Whose photos become a dataset.

    Attributes
    ----------
    clinic : Intake
    controls : Intake or None
        Public controls to choose from.
    """

    clinic: Intake
    controls: Intake | None = None

    @property
    def intakes(self) -> list[Intake]:
        """Those that there are."""
        return [self.clinic] if self.controls is None else [self.clinic, self.controls]


def read_cohort(raw: Path, options: PrepareOptions, progress: Progress) -> Cohort:
    """Read and check the tables, hash every file, and replace the ids if there is a salt.

    Raises
    ------
    UserError
        For any fault of a table, or a cohort of which no dataset can be made.
    """
    reading = read_clinic_file(raw)
    clinic = read_intake(
        raw,
        labels=options.labels,
        keep_columns=options.keep_columns,
        reading=reading.with_options(options.sheet, options.columns, options.values),
        on_bad_row=options.on_bad_row,
    )
    clinic = say_dates(clinic, number=options.number_visits)
    pairs = pair_links((photo.pair_id, photo.patient_id) for photo in clinic.photos)
    groups = group_patients((photo.patient_id for photo in clinic.photos), pairs)
    check_cohort(clinic.photos, folds=options.folds, where=str(clinic.table), groups=groups)
    offered = [read_controls(options.controls.folder)] if options.controls else []
    cohort = Cohort(
        *(hash_ids(with_photo_ids(one, progress), options.salt) for one in (clinic, *offered))
    )
    return replace(cohort, clinic=check_copies(cohort.clinic, options.on_bad_row))


def check_cohort(
    photos: Iterable[FacePhoto], *, folds: int, where: str, groups: Mapping[str, str] | None = None
) -> None:
    """Refuse a cohort with one class, without controls, or with fewer patients than folds.

    Patients who must stay together (`groups`: patient to group) count as one.
    """
    patients: dict[str, set[str]] = defaultdict(set)
    for photo in photos:
        patients[photo.label].add((groups or {}).get(photo.patient_id, photo.patient_id))
    if CONTROL not in patients:
        found = ", ".join(sorted(patients)) or "none"
        raise UserError(f"{where}: no photo is labelled '{CONTROL}' (found: {found}); add controls")
    if len(patients) < 2:
        raise UserError(f"{where}: one class only ('{CONTROL}'); add photos of patients")
    for label, members in sorted(patients.items()):
        if len(members) < folds:
            fewer = f" or use --folds {len(members)}" if len(members) >= MIN_FOLDS else ""
            raise UserError(
                f"{where}: label '{label}' has {counted(len(members), 'patient')}, fewer than "
                f"{folds} folds; add patients{fewer}"
            )


def say_dates(clinic: Intake, *, number: bool) -> Intake:
    """Say that dates of visits can't be published; with `number` write 1, 2, … instead."""
    dated = sum(bool(ANY_DATE.search(photo.visit)) for photo in clinic.photos)
    if not dated:
        return clinic
    if not number:
        text = (
            f"visit holds dates in {counted(dated, 'row')}: follow-up needs them, but `hf-cushing "
            "publish dataset` refuses them; for a dataset to publish add --number-visits"
        )
        return replace(clinic, warnings=[*clinic.warnings, text])
    order: dict[str, list[str]] = defaultdict(list)
    for photo in sorted(clinic.photos, key=lambda photo: photo.visit):
        if photo.visit not in ("", *order[photo.patient_id]):
            order[photo.patient_id].append(photo.visit)
    photos = [
        replace(photo, visit=str(order[photo.patient_id].index(photo.visit) + 1))
        if photo.visit
        else photo
        for photo in clinic.photos
    ]
    return replace(clinic, photos=photos)


def alike_links(cohort: Cohort) -> list[tuple[str, str]]:
    """Link the patients of rows whose ids differ only in their dress."""
    patient = {photo.row: photo.patient_id for photo in cohort.clinic.photos}
    return [
        (patient[row], patient[other])
        for row, other in cohort.clinic.alike
        if row in patient and other in patient
    ]


def hash_ids(intake: Intake, salt: str) -> Intake:
    """Replace patient and pair ids by HMAC-SHA256, 16 hex digits, if there is a salt."""
    if not salt:
        return intake

    def hashed(word: str) -> str:
        return hmac.new(salt.encode(), word.encode(), hashlib.sha256).hexdigest()[:16]

    photos = [
        replace(
            photo,
            patient_id=("public-" if photo.public else "") + hashed(photo.patient_id),
            pair_id=hashed(photo.pair_id) if photo.pair_id else "",
        )
        for photo in intake.photos
    ]
    return replace(intake, photos=photos)


def fingerprint_of(cohort: Cohort, options: PrepareOptions) -> str:
    """Hash of everything that the dataset depends on."""
    facts = {
        "version": __version__,
        "crop_scale": CROP_SCALE,
        "context": [CONTEXT_SIDE, CONTEXT_FACES],
        "options": options.recorded(),
        "salt": hashlib.sha256(options.salt.encode()).hexdigest(),
        "datasheet": dataclasses.asdict(options.datasheet),
        "reading": [dataclasses.asdict(intake.reading) for intake in cohort.intakes],
        "tables": [sha256_file(intake.table) for intake in cohort.intakes],
        "unlisted": [intake.unlisted for intake in cohort.intakes],
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for intake in cohort.intakes:
        for photo in intake.photos:
            digest.update(f"{photo.photo_id};".encode())
    return digest.hexdigest()
