"""Public face collections as sources of controls: their layouts on disk, and their terms."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hf_cushing.data.table import read_table, write_csv
from hf_cushing.files import replace_folder, write_text
from hf_cushing.schema import CONTROL, SEX_SPELLINGS, UserError

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class PublicPhoto:
    """One photo of a collection.

    Attributes
    ----------
    path : Path
    person : str
        Whoever it is, in the collection's own words; never written out.
    sex : str
        ``female``, ``male`` or ``unknown``.
    age : float or None
        Years; of an age band its middle.
    """

    path: Path
    person: str
    sex: str
    age: float | None = None


@dataclass(frozen=True)
class Layout:
    """How a collection lies on disk.

    Attributes
    ----------
    read : callable
        From the folder and the sex table (or None) to its photos.
    title, terms : str
        For the note of provenance.
    """

    read: Callable[[Path, Path | None], Iterator[PublicPhoto]]
    title: str
    terms: str


def build_controls(
    source: Path,
    out: Path,
    *,
    layout: str,
    sex_table: Path | None = None,
    limit: int | None = None,
    min_age: float = 18.0,
    seed: int = 0,
) -> tuple[int, dict[str, int]]:
    """Write a clinic folder of controls from a collection.

    Photos are linked (or copied across disks) under neutral names, since the names of files and
    folders of some collections are those of people.

    Returns
    -------
    count : int
        Photos written.
    left_out : dict
        Reason to number of photos.

    Raises
    ------
    UserError
        Where the folder is not laid out like that, or `out` exists.
    """
    source, out = Path(source), Path(out)
    if out.exists():
        raise UserError(f"{out} exists; delete it or choose another --out")
    if not source.is_dir():
        raise UserError(f"{source} is not a folder")
    left_out: Counter[str] = Counter()
    chosen = []
    for photo in sorted(LAYOUTS[layout].read(source, sex_table), key=lambda p: str(p.path)):
        reason = _reason_against(photo, min_age)
        if reason:
            left_out[reason] += 1
        else:
            chosen.append(photo)
    if not chosen:
        raise UserError(f"{source}: no photo to be used; left out: {dict(left_out) or 'none'}")
    if limit is not None and limit < len(chosen):
        picks = np.random.default_rng(seed).choice(len(chosen), limit, replace=False)
        left_out["over the limit"] = len(chosen) - limit
        chosen = [chosen[i] for i in sorted(picks.tolist())]
    _write_folder(out, chosen, layout)
    return len(chosen), dict(left_out)


def _reason_against(photo: PublicPhoto, min_age: float) -> str:
    if photo.age is not None and photo.age < min_age:
        return "under age"
    if photo.sex == "unknown":
        return "sex unknown"
    return "" if photo.path.is_file() else "file absent"


def _write_folder(out: Path, photos: list[PublicPhoto], layout: str) -> None:
    work = out.with_name(f".{out.name}.partial")
    shutil.rmtree(work, ignore_errors=True)
    (work / "images").mkdir(parents=True)
    rows = []
    for number, photo in enumerate(photos):
        name = f"images/{layout}-{number:06d}{photo.path.suffix.lower()}"
        try:
            os.link(photo.path.resolve(), work / name)
        except OSError:
            shutil.copyfile(photo.path, work / name)
        person = hashlib.sha256(f"{layout}/{photo.person}".encode()).hexdigest()[:12]
        age = "" if photo.age is None else f"{photo.age:g}"
        row = {"file_name": name, "patient_id": f"{layout}-{person}", "sex": photo.sex}
        rows.append(row | {"label": CONTROL, "age": age, "source": layout})
    write_csv(work / "metadata.csv", rows, list(rows[0]))
    facts = LAYOUTS[layout]
    people = len({row["patient_id"] for row in rows})
    write_text(work / "PROVENANCE.md", PROVENANCE.format(
        title=facts.title, terms=facts.terms, photos=len(rows), people=people))  # fmt: skip
    replace_folder(work, out)


PROVENANCE = """# Public controls

{photos} photographs of {people} persons from: {title}

Terms: {terms} Check them at the source before you use or pass on the photographs; they are not
part of hf-cushing. `control` means: from the general public, not known to be ill. Sex is the
collection's own label, and where the collection does not tell persons apart, each photo counts
as a person of its own.
"""


def _read_lfw(folder: Path, sex_table: Path | None) -> Iterator[PublicPhoto]:
    if sex_table is None:
        raise UserError("LFW does not tell the sex: give --sex-table, lines of `name sex`")
    sexes = {}
    for number, line in enumerate(sex_table.read_text(encoding="utf-8").splitlines(), start=1):
        cells = re.split(r"[,;\t ]+", line.strip())
        if cells == [""] or (number == 1 and cells[-1].lower() in ("sex", "gender")):
            continue
        sex = SEX_SPELLINGS.get(cells[-1].lower())
        if len(cells) != 2 or sex is None:
            raise UserError(f"{sex_table}, line {number}: write `name sex`, sex female or male")
        sexes[re.sub(r"_\d{4}(\.jpg)?$", "", cells[0])] = sex
    for path in _photos(folder):
        name = re.sub(r"_\d{4}$", "", path.stem)
        yield PublicPhoto(path, name, sexes.get(name, "unknown"))


def _read_utkface(folder: Path, sex_table: Path | None) -> Iterator[PublicPhoto]:
    for path in _photos(folder):
        found = re.match(r"(\d{1,3})_([01])_", path.name)
        if found:
            sex = ("male", "female")[int(found[2])]
            yield PublicPhoto(path, path.name, sex, float(found[1]))
        else:
            yield PublicPhoto(path, path.name, "unknown")


def _read_fairface(folder: Path, sex_table: Path | None) -> Iterator[PublicPhoto]:
    tables = sorted(folder.glob("fairface_label_*.csv"))
    if not tables:
        raise UserError(f"{folder} holds no fairface_label_*.csv; give FairFace's folder")
    for table in tables:
        for row in _read_rows(table, ("file", "age", "gender")):
            sex = SEX_SPELLINGS.get(row["gender"].lower(), "unknown")
            yield PublicPhoto(folder / row["file"], row["file"], sex, _middle_of_band(row["age"]))


def _middle_of_band(band: str) -> float | None:
    """Middle of FairFace's age bands: ``20-29`` is 25, ``more than 70`` is 75."""
    numbers = [int(number) for number in re.findall(r"\d+", band)]
    if len(numbers) == 2:
        return (numbers[0] + numbers[1] + 1) / 2
    return numbers[0] + 5.0 if numbers else None


def _read_celeba(folder: Path, sex_table: Path | None) -> Iterator[PublicPhoto]:
    table = next((folder / n for n in ("list_attr_celeba.csv", "list_attr_celeba.txt")
                  if (folder / n).is_file()), None)  # fmt: skip
    if table is None:
        raise UserError(f"{folder} holds no list_attr_celeba.txt; give CelebA's folder")
    identities = folder / "identity_CelebA.txt"
    lines = identities.read_text().splitlines() if identities.is_file() else []
    persons = dict(line.split() for line in lines if line.strip())
    images = next((p for p in sorted(folder.rglob("img_align_celeba"), reverse=True)), folder)
    for name, male in _celeba_rows(table):
        yield PublicPhoto(
            images / name, persons.get(name, name), "male" if male == "1" else "female"
        )


def _celeba_rows(table: Path) -> Iterator[tuple[str, str]]:
    """File name and the attribute `Male`, ``1`` or ``-1``."""
    if table.suffix == ".csv":
        yield from ((r["image_id"], r["Male"]) for r in _read_rows(table, ("image_id", "Male")))
        return
    with open(table, encoding="utf-8") as file:
        next(file)
        column = next(file).split().index("Male")
        for line in file:
            name, *values = line.split()
            yield name, values[column]


def _read_rows(table: Path, needed: tuple[str, ...]) -> Iterator[dict[str, str]]:
    for _, cells in read_table(table):
        missing = [name for name in needed if name not in cells]
        if missing:
            raise UserError(f"{table} lacks the column {', '.join(missing)}; take the original")
        yield cells


def _photos(folder: Path) -> Iterator[Path]:
    return (p for p in folder.rglob("*") if p.suffix.lower() in PHOTO_SUFFIXES)


LAYOUTS = {
    "lfw": Layout(
        _read_lfw,
        "Labeled Faces in the Wild (Huang et al. 2007, UMass Amherst TR 07-49)",
        "offered for research; copyright stays with the news photographers.",
    ),
    "utkface": Layout(
        _read_utkface,
        "UTKFace (Zhang, Song, Qi 2017, CVPR; arXiv 1702.08423)",
        "non-commercial research only; copyright stays with the owners of the photographs.",
    ),
    "fairface": Layout(
        _read_fairface,
        "FairFace (Kärkkäinen and Joo 2021, WACV; arXiv 1908.04913)",
        "CC BY 4.0 for the dataset; the photographs come from a collection with its own terms.",
    ),
    "celeba": Layout(
        _read_celeba,
        "CelebA (Liu et al. 2015, ICCV; arXiv 1411.7766)",
        "non-commercial research only.",
    ),
}
