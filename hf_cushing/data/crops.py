"""The crops of a cohort: aligned and measured, with public controls, persons told apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from hf_cushing.data.chunks import CHUNK, Outcome, cache_entry, crop_chunk, read_outcomes, run_tasks
from hf_cushing.data.cohort import Cohort
from hf_cushing.data.controls import choose_controls
from hf_cushing.data.groups import group_patients
from hf_cushing.data.intake import Intake, locate, row_name
from hf_cushing.data.measure import measures_from
from hf_cushing.data.options import PrepareOptions, Progress
from hf_cushing.data.persons import Alike, find_alike
from hf_cushing.data.row_checks import repeats
from hf_cushing.faces.photo import PhotoError
from hf_cushing.schema import CONTROL, FacePhoto, UserError

SHOWN_KINDS = 8
"""Kinds of rejection that the terminal explains."""


@dataclass(frozen=True)
class Crops:
    """All photos, the clinic's and the public controls', with what became of each.

    Attributes
    ----------
    photos : list of FacePhoto
    outcomes : list of Outcome
        One a photo.
    chunks : list of Path
        Files with the crops; a photo's index there is its place in `photos`.
    links : list of (str, str)
        Patients found to be one person, who must stay on one side of every split.
    merged : list of dict
        patient_ids and rows of each person found under several ids.
    alike : list of Alike
        Pairs of ids that are or may be one person.
    """

    photos: list[FacePhoto]
    outcomes: list[Outcome]
    chunks: list[Path]
    links: list[tuple[str, str]] = field(default_factory=list)
    merged: list[dict[str, list[str]]] = field(default_factory=list)
    alike: list[Alike] = field(default_factory=list)

    @property
    def kept(self) -> dict[int, FacePhoto]:
        """The photos that go into the dataset, by their place."""
        places = enumerate(zip(self.photos, self.outcomes, strict=True))
        return {place: photo for place, (photo, outcome) in places if not outcome.reason}


def align_cohort(
    cohort: Cohort,
    work: Path,
    options: PrepareOptions,
    *,
    num_proc: int,
    progress: Progress,
    cache: Path | None = None,
) -> Crops:
    """Align and measure the clinic's photos and the public controls that are chosen for them.

    Parameters
    ----------
    cohort : Cohort
    work : Path
        Folder for the crops; what an interrupted call left there is taken over.
    num_proc : int
        Worker processes.
    cache : Path, optional
        Of `open_cache`.

    Raises
    ------
    UserError
        A bad photo, if there must be none; no photo kept, or none of a label.
    """
    how = {"side": options.crop_size, "identity": options.identity, "context": options.context}
    how |= {"num_proc": num_proc, "progress": progress, "cache": cache}
    crops = align_intake(cohort.clinic, work / "clinic", **how)
    if options.on_bad_photo == "fail":
        _refuse_bad(cohort.clinic, crops)
    _check_kept(cohort.clinic, crops)
    if cohort.controls is not None:
        known = {"", *(photo.photo_id for photo in crops.photos)}
        chosen = choose_controls(
            [photo for photo in cohort.controls.photos if photo.photo_id not in known],
            [photo for photo in crops.kept.values() if photo.label != CONTROL],
            options.controls,
            seed=options.seed,
        )
        controls = replace(cohort.controls, photos=chosen)
        more = align_intake(controls, work / "controls", first=len(crops.photos), **how)
        crops = Crops(
            crops.photos + more.photos, crops.outcomes + more.outcomes, crops.chunks + more.chunks
        )
        crops = _without_doubles(crops, _find_alike(crops, options))
    return merge_identities(crops, options)


def align_intake(
    intake: Intake,
    work: Path,
    *,
    side: int,
    identity: bool,
    context: bool,
    num_proc: int,
    progress: Progress,
    first: int = 0,
    cache: Path | None = None,
) -> Crops:
    """Align all photos of an intake that can be read; their places count from `first`.

    Chunk files that are already under `work` are taken over.
    """
    indexed = list(enumerate(intake.photos, start=first))
    there = [(index, p.photo_id, p.file_name, p.view) for index, p in indexed if p.photo_id]
    parts = [there[start : start + CHUNK] for start in range(0, len(there), CHUNK)]
    chunks = [work / f"chunk-{number:06d}.parquet" for number in range(len(parts))]
    todo = [(part, path) for part, path in zip(parts, chunks, strict=True) if not path.exists()]
    advance = progress("Finding and aligning faces", len(there))
    advance(len(there) - sum(len(part) for part, _ in todo))
    slow, quick = [], []  # workers take longer to start than to read a cache
    for part, path in todo:
        kept = cache is not None and all(
            cache_entry(cache, photo_id, view, side, identity, context).exists()
            for _, photo_id, _, view in part
        )
        (quick if kept else slow).append((intake.root, part, side, identity, context, cache, path))
    for tasks, workers in ((quick, 1), (slow, num_proc)):
        for done in run_tasks(crop_chunk, tasks, num_proc=workers):
            advance(done)
    found = read_outcomes(chunks)
    copies = {copy.row: one.row for copy, one in repeats(intake.photos, "photo_id", "patient_id")}
    outcomes = []
    for index, photo in indexed:
        outcome = found.get(index) or _why_not_read(intake, photo)
        if not outcome.reason and photo.row in copies:
            text = f"the same file content as row {copies[photo.row]}; delete one of them"
            outcome = Outcome("copy", text)
        outcomes.append(outcome)
    return Crops(intake.photos, outcomes, chunks)


def _why_not_read(intake: Intake, photo: FacePhoto) -> Outcome:
    """Say why a file has no photo_id."""
    if Path(intake.root, photo.file_name).exists():
        try:
            locate(intake.root, photo.file_name)
        except PhotoError as error:
            return Outcome(error.reason, str(error))
    if near := intake.near.get(photo.row):
        return Outcome("absent", f"no such file; {near}; correct the name")
    return Outcome("absent", "no such file that can be read; add it or delete the row")


def _refuse_bad(intake: Intake, crops: Crops) -> None:
    lines = [
        f"  row {photo.row}: {outcome.reason}: {outcome.message}"
        for photo, outcome in zip(crops.photos, crops.outcomes, strict=True)
        if outcome.reason
    ]
    lines += [f"  {name}: in no row; list it or move it away" for name in intake.unlisted]
    if lines:
        head = f"{intake.table}: {len(lines)} bad photos (--on-bad-photo fail)"
        raise UserError("\n".join([head, *lines]))


def _check_kept(intake: Intake, crops: Crops) -> None:
    """Refuse a cohort of which nothing, or nothing of a label, is left."""
    kept = crops.kept.values()
    where = f"{intake.table}, {len(kept)} of {len(crops.photos)} photos kept"
    rejected = [
        (row_name(photo.row, photo.public), outcome.reason, outcome.message)
        for photo, outcome in zip(crops.photos, crops.outcomes, strict=True)
        if outcome.reason
    ]
    why = "\n".join(f"  {line}" for line in explain_rejections(rejected))
    if not kept:
        raise UserError(f"{where}; correct file_name or the photos:\n{why}")
    lost = {photo.label for photo in crops.photos} - {photo.label for photo in kept}
    if lost:
        raise UserError(
            f"{where}: every photo with label '{sorted(lost)[0]}' was rejected; "
            f"correct the photos, or leave the label out:\n{why}"
        )


def explain_rejections(rejected: Iterable[tuple[str, str, str]]) -> list[str]:
    """Why photos were rejected and what helps: a line a message, the commonest first.

    Parameters
    ----------
    rejected : iterable of (str, str, str)
        Row, reason and message.

    Examples
    --------
    >>> explain_rejections([("2", "empty", "no bytes"), ("5", "empty", "no bytes")])
    ['empty 2: no bytes (rows 2, 5)']
    """
    kinds: dict[tuple[str, str], list[str]] = {}
    for row, *kind in rejected:
        kinds.setdefault(tuple(kind), []).append(row)
    commonest = sorted(kinds.items(), key=lambda kind: -len(kind[1]))
    lines = [
        f"{reason} {len(rows)}: {message} (rows {', '.join(rows[:5])}{', …' * (len(rows) > 5)})"
        for (reason, message), rows in commonest[:SHOWN_KINDS]
    ]
    more = len(commonest) - SHOWN_KINDS
    return [*lines, f"and {more} more kinds, in intake.md"] if more > 0 else lines


def _find_alike(crops: Crops, options: PrepareOptions) -> list[Alike]:
    kept = crops.kept
    descriptors = None
    if options.identity:
        descriptors = measures_from([crops.outcomes[place].measures for place in kept]).descriptor
    return find_alike(list(kept.values()), descriptors, options.decisions)


def _without_doubles(crops: Crops, alike: list[Alike]) -> Crops:
    """Leave out public controls who seem to be in the clinic's photos, too."""
    public = {photo.patient_id: photo.public for photo in crops.photos}
    pairs = [pair.patient_ids for pair in alike if pair.state in ("found", "same")]
    crossing = [pair for pair in pairs if public[pair[0]] != public[pair[1]]]
    doubles = {patient for pair in crossing for patient in pair if public[patient]}
    outcomes = list(crops.outcomes)
    for place, photo in crops.kept.items():
        if photo.patient_id in doubles:
            text = "seems to be a person of the clinic's photos; not added"
            outcomes[place] = Outcome("same_person", text)
    return replace(crops, outcomes=outcomes)


def merge_identities(crops: Crops, options: PrepareOptions) -> Crops:
    """Give ids found or decided to be one person one id, where label and sex agree; link them."""
    alike = _find_alike(crops, options)
    trusted = ("found", "same") if options.merge_identities else ("same",)
    links = [pair.patient_ids for pair in alike if pair.state in trusted]
    group = group_patients((photo.patient_id for photo in crops.photos), links)
    several = {patient for pair in links for patient in pair}
    first: dict[tuple[str, str, str], str] = {}
    merged: dict[str, dict[str, list[str]]] = {}
    photos = []
    for photo in crops.photos:
        if photo.patient_id in several:
            person = group[photo.patient_id]
            names = merged.setdefault(person, {"patient_ids": [], "rows": []})
            names["rows"].append(row_name(photo.row, photo.public))
            if photo.patient_id not in names["patient_ids"]:
                names["patient_ids"].append(photo.patient_id)
            patient = first.setdefault((person, photo.label, photo.sex), photo.patient_id)
            links.append((photo.patient_id, patient))
            photo = replace(photo, patient_id=patient)
        photos.append(photo)
    return replace(crops, photos=photos, links=links, merged=list(merged.values()), alike=alike)
