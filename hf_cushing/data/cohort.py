"""The cohort on its way into a dataset: read, aligned, with public controls, merged."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from hf_cushing.data.audit import same_person_pairs
from hf_cushing.data.audit_input import photos_of_crops, row_name
from hf_cushing.data.controls import choose_controls
from hf_cushing.data.crops import Outcome, locate, make_crops, read_outcomes
from hf_cushing.data.intake import Intake
from hf_cushing.data.options import PrepareOptions, Progress
from hf_cushing.data.splits import group_patients
from hf_cushing.faces.photo import PhotoError
from hf_cushing.files import sha256_file
from hf_cushing.schema import CONTROL, FacePhoto, UserError

NO_BYTES = hashlib.sha256(b"").hexdigest()[:16]


@dataclass(frozen=True)
class Cohort:
    """All photos, the clinic's and the public controls', with what became of each."""

    photos: list[FacePhoto]
    outcomes: list[Outcome]
    chunks: list[Path]

    @property
    def kept(self) -> list[FacePhoto]:
        """The photos that go into the dataset."""
        return [p for p, o in zip(self.photos, self.outcomes, strict=True) if not o.reason]

    def reject(self, reasons: dict[int, tuple[str, str]]) -> Cohort:
        """Leave out further photos: index to (reason, message)."""
        outcomes = [
            Outcome(o.index, *reasons[o.index]) if o.index in reasons else o for o in self.outcomes
        ]
        return dataclasses.replace(self, outcomes=outcomes)


def with_photo_ids(intake: Intake, progress: Progress) -> Intake:
    """Hash every file inside the folder; absent and outside ones keep an empty photo_id."""
    there = [
        (place, photo)
        for place, photo in enumerate(intake.photos)
        if os.path.isfile(os.path.join(intake.root, photo.file_name))
    ]
    advance = progress("Reading files", len(there))

    def photo_id(photo: FacePhoto) -> str:
        advance(1)
        try:
            return sha256_file(locate(intake.root, photo.file_name))[:16]
        except (OSError, PhotoError):
            return ""

    photos = list(intake.photos)
    with ThreadPoolExecutor() as pool:
        found = pool.map(photo_id, (photo for _, photo in there))
        for (place, photo), name in zip(there, found, strict=True):
            photos[place] = dataclasses.replace(photo, photo_id=name)
    return dataclasses.replace(intake, photos=photos)


def hash_ids(intake: Intake, salt: str) -> Intake:
    """Replace patient and pair ids by HMAC-SHA256, 16 hex digits, if there is a salt."""
    if not salt:
        return intake

    def hashed(word: str) -> str:
        return hmac.new(salt.encode(), word.encode(), hashlib.sha256).hexdigest()[:16]

    photos = [
        dataclasses.replace(
            photo,
            patient_id=("public-" if photo.public else "") + hashed(photo.patient_id),
            pair_id=hashed(photo.pair_id) if photo.pair_id else "",
        )
        for photo in intake.photos
    ]
    return dataclasses.replace(intake, photos=photos)


def cohort_of(
    intake: Intake,
    work: Path,
    options: PrepareOptions,
    num_proc: int,
    progress: Progress,
    first: int = 0,
) -> Cohort:
    """Align all photos of an intake that can be read; their indices count from `first`."""
    indexed = list(enumerate(intake.photos, start=first))
    there = [(index, photo) for index, photo in indexed if photo.photo_id]
    chunks = make_crops(
        intake.root,
        there,
        work=work,
        side=options.crop_size,
        identity=options.identity,
        num_proc=num_proc,
        advance=progress("Finding and aligning faces", len(there)),
    )
    found = {outcome.index: outcome for outcome in read_outcomes(chunks)}
    listed = {name.casefold(): name for name in intake.unlisted}
    copies: dict[str, FacePhoto] = {}
    outcomes = []
    for index, photo in indexed:
        outcome = found.get(index) or _not_read(index, intake.root, photo, listed)
        seen = copies.setdefault(photo.photo_id, photo)
        if not outcome.reason and seen is not photo and seen.patient_id == photo.patient_id:
            message = f"the same file content as row {seen.row}; delete one of them"
            outcome = Outcome(index, "copy", message)
        outcomes.append(outcome)
    return Cohort(intake.photos, outcomes, chunks)


def _not_read(index: int, root: Path, photo: FacePhoto, unlisted: dict[str, str]) -> Outcome:
    """Say why a file has no photo_id."""
    if os.path.exists(os.path.join(root, photo.file_name)):
        try:
            locate(root, photo.file_name)
        except PhotoError as error:
            return Outcome(index, error.reason, str(error))
    if photo.file_name.casefold() in unlisted:
        message = "no such file, but one whose name differs in capitals; write it the same way"
        return Outcome(index, "absent", message)
    return Outcome(index, "absent", "no such file that can be read; add it or delete the row")


def check_copies(intake: Intake) -> None:
    """Refuse the same bytes under two patients."""
    first: dict[str, FacePhoto] = {}
    problems = []
    for photo in intake.photos:
        if photo.photo_id in ("", NO_BYTES):
            continue
        seen = first.setdefault(photo.photo_id, photo)
        if seen.patient_id != photo.patient_id:
            problems.append(
                f"  row {photo.row}: the same photo as row {seen.row}, under another patient_id; "
                "give both rows one patient_id, or delete the wrong row"
            )
    if problems:
        raise UserError("\n".join([f"{intake.table}: one photo, two patients", *problems]))


def add_controls(
    cohort: Cohort,
    intake: Intake,
    work: Path,
    options: PrepareOptions,
    num_proc: int,
    progress: Progress,
) -> Cohort:
    """Choose, align and append public controls; drop those who seem to be in the clinic."""
    known = {photo.photo_id for photo in cohort.photos}
    chosen = choose_controls(
        [photo for photo in intake.photos if photo.photo_id not in {"", *known}],
        [photo for photo in cohort.kept if photo.label != CONTROL],
        match=options.controls.match,
        ratio=options.controls.ratio,
        seed=options.seed,
    )
    intake = dataclasses.replace(intake, photos=chosen)
    added = cohort_of(intake, work, options, num_proc, progress, first=len(cohort.photos))
    both = Cohort(
        [*cohort.photos, *added.photos],
        [*cohort.outcomes, *added.outcomes],
        [*cohort.chunks, *added.chunks],
    )
    if not options.identity:
        return both
    message = "seems to be a person of the clinic's photos; not added"
    clinic_or_not = {photo.patient_id: photo.public for photo in both.photos}
    doubles = {
        patient
        for pair in _identity_links(both)
        for patient in pair
        if clinic_or_not[pair[0]] != clinic_or_not[pair[1]] and clinic_or_not[patient]
    }
    return both.reject(
        {
            index: ("same_person", message)
            for index, photo in enumerate(both.photos)
            if photo.patient_id in doubles and not both.outcomes[index].reason
        }
    )


def _identity_links(cohort: Cohort) -> list[tuple[str, str]]:
    """Pairs of patient ids whose photos seem to show one person."""
    seen, _ = photos_of_crops(cohort.photos, cohort.outcomes, cohort.chunks, None)
    patients = seen.columns["patient_id"]
    pairs = same_person_pairs(seen.measures.descriptor, patients)
    links = zip(patients[pairs.first].tolist(), patients[pairs.second].tolist(), strict=True)
    return [(one, other) for one, other in links if one != other]


def merge_identities(
    cohort: Cohort, options: PrepareOptions
) -> tuple[Cohort, list[tuple[str, str]], list[list[str]]]:
    """Give ids found to be one person one id, where label and sex agree; keep all together.

    Returns
    -------
    cohort : Cohort
    links : list of (str, str)
        Patients who must stay on one side of every split.
    merged : list of list of str
        Rows of each person found under several ids.
    """
    if not options.merge_identities:
        return cohort, [], []
    links = _identity_links(cohort)
    group = group_patients((photo.patient_id for photo in cohort.photos), links)
    first: dict[tuple[str, str, str], str] = {}
    rows: dict[str, list[str]] = {}
    photos = []
    found = {patient for pair in links for patient in pair}
    for photo in cohort.photos:
        if photo.patient_id in found:
            name = group[photo.patient_id]
            rows.setdefault(name, []).append(row_name(photo.row, photo.public))
            patient = first.setdefault((name, photo.label, photo.sex), photo.patient_id)
            links.append((photo.patient_id, patient))
            photo = dataclasses.replace(photo, patient_id=patient)
        photos.append(photo)
    return dataclasses.replace(cohort, photos=photos), links, sorted(rows.values())
