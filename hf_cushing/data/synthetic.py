"""An invented cohort of drawn faces, written as a clinic folder like a real one.

Age, skin tone, light and camera vary independently of the label. Severity overlaps: mild cases
look like round-faced or red-cheeked controls, so that no model can be perfect.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from hf_cushing import __version__
from hf_cushing.data.chunks import run_tasks
from hf_cushing.data.drawing import Color, Person, Shot, Signs, draw
from hf_cushing.data.table import write_csv
from hf_cushing.files import replace_folder
from hf_cushing.schema import CONTROL, DRAWN_SOURCE, UserError

SKINS: tuple[Color, ...] = (
    (0.93, 0.78, 0.69),
    (0.89, 0.71, 0.58),
    (0.80, 0.61, 0.47),
    (0.67, 0.49, 0.37),
    (0.52, 0.37, 0.28),
)
HAIRS: tuple[Color, ...] = (
    (0.10, 0.08, 0.07),
    (0.22, 0.14, 0.09),
    (0.38, 0.25, 0.14),
    (0.60, 0.45, 0.25),
)
CAMERAS = {"phone": (0.7, 0.010, 88), "compact": (0.4, 0.006, 92), "reflex": (0.2, 0.003, 95)}
"""Blur in pixels, noise (0..1), JPEG quality."""

DISEASES = ("cushing", "acromegaly")

FEMALE_SHARE = {True: 0.75, False: 0.60}
"""Share of women among patients with a disease, and among controls."""


@dataclass(frozen=True, kw_only=True)
class CohortOptions:
    """Which cohort to invent.

    Attributes
    ----------
    photos : int
        Number of photos; Liu et al. 2025 (arXiv 2501.12023) had 343.
    diseases : tuple of str
        ``cushing``, ``acromegaly`` or both.
    positive_share : float
        Share of the patients with a disease.
    severity : tuple of float
        Mean severity in women and in men, 0..1; single patients vary around it.
    seed : int
    """

    photos: int = 343
    diseases: tuple[str, ...] = ("cushing",)
    positive_share: float = 0.45
    severity: tuple[float, float] = (0.62, 0.62)
    seed: int = 0

    def __post_init__(self):
        unknown = [name for name in self.diseases if name not in DISEASES]
        if unknown or not self.diseases:
            raise UserError(f"diseases {list(self.diseases)}: choose from {', '.join(DISEASES)}")
        if self.photos < 10:
            raise UserError(f"{self.photos} photos are too few for a cohort; ask for 10 or more")


def make_cohort(
    out: Path,
    truth: Path,
    options: CohortOptions,
    *,
    num_proc: int | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> None:
    """Write a clinic folder of drawn faces, and the truth about them beside it.

    Nothing is drawn again where both folders hold the cohort of the same options.

    Parameters
    ----------
    out : Path
        Clinic folder to make: ``images/`` and ``metadata.csv``. Replaced if it exists.
    truth : Path
        Folder for ``truth.csv`` (photo_id, file_name, severities) and ``masks/PHOTO_ID.png``
        (white where the disease changed the drawing).
    """
    marks = [folder / ".synthetic" for folder in (out, truth)]
    for mark in marks:
        if mark.parent.exists() and any(mark.parent.iterdir()) and not mark.exists():
            raise UserError(
                f"{mark.parent} exists and was not made by this command; choose another"
            )
    plan = json.dumps(asdict(options) | {"version": __version__})
    if all(mark.exists() and mark.read_text() == plan for mark in marks):
        advance(options.photos)
        return
    work = [path.with_name(f".{path.name}.partial") for path in (out, truth)]
    for folder, inner in zip(work, ("images", "masks"), strict=True):
        shutil.rmtree(folder, ignore_errors=True)
        (folder / inner).mkdir(parents=True)
        (folder / ".synthetic").write_text(plan)
    tasks = [(number, plan, work) for number, plan in enumerate(plan_photos(options))]
    drawn = {}
    for number, row in run_tasks(_write_photo, tasks, num_proc=num_proc or os.cpu_count() or 1):
        drawn[number] = row
        advance(1)
    rows = [drawn[number] for number in range(len(tasks))]
    names = ("file_name", "patient_id", "sex", "label", "age", "view", "visit", "site", "source")
    write_csv(work[0] / "metadata.csv", rows, names)
    write_csv(work[1] / "truth.csv", rows, ("photo_id", "file_name", "cushing", "acromegaly"))
    for folder, target in zip(work, (out, truth), strict=True):
        replace_folder(folder, target)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that determines one drawn photo."""

    file_name: str
    patient_id: str
    label: str
    age: int
    visit: int
    site: str
    camera: str
    person: Person
    shot: Shot
    signs: Signs


def plan_photos(options: CohortOptions) -> Iterator[Plan]:
    """Invent the patients one by one until the number of photos is reached."""
    number = planned = 0
    while planned < options.photos:
        number += 1
        rng = np.random.default_rng([options.seed, number])
        count = min(int(rng.choice([1, 2, 3], p=[0.45, 0.35, 0.2])), options.photos - planned)
        yield from _plan_patient(options, rng, f"S{number:04d}", count)
        planned += count


def _plan_patient(
    options: CohortOptions, rng: np.random.Generator, patient_id: str, count: int
) -> Iterator[Plan]:
    sick = rng.random() < options.positive_share
    label = str(rng.choice(options.diseases)) if sick else CONTROL
    sex = "female" if rng.random() < FEMALE_SHARE[sick] else "male"
    age = int(rng.integers(20, 75))
    mean = options.severity[sex == "male"]
    severity = float(np.clip(rng.normal(mean, 0.22), 0.05, 1)) if sick else 0.0
    person = invent_person(rng, sex, age)
    site, camera = str(rng.choice(["A", "B", "C"])), str(rng.choice(list(CAMERAS)))
    for visit in range(1, count + 1):
        yield Plan(
            file_name=f"images/{patient_id}_{visit}.jpg",
            patient_id=patient_id,
            label=label,
            age=age,
            visit=visit,
            site=site,
            camera=camera,
            person=person,
            shot=take_shot(rng, camera),
            signs=Signs(**{label: severity}) if sick else Signs(),
        )


def invent_person(rng: np.random.Generator, sex: str, age: int) -> Person:
    """Draw the lasting traits of a person; those that mimic the signs overlap with them."""
    male = sex == "male"
    grey = np.clip((age - 45) / 35, 0, 1) * rng.random()
    hair = np.asarray(HAIRS[rng.integers(len(HAIRS))]) * (1 - grey) + 0.7 * grey
    skin = np.asarray(SKINS[rng.integers(len(SKINS))]) + rng.normal(0, 0.015, 3)
    return Person(
        sex=sex,
        skin=tuple(skin),
        hair=tuple(hair),
        eye=((0.25, 0.15, 0.08), (0.3, 0.4, 0.5), (0.3, 0.35, 0.2))[rng.integers(3)],
        hair_length=float(rng.uniform(0, 0.3) if male else rng.uniform(0.1, 1.4)),
        hairline=float(rng.uniform(-0.12, 0.04) if male else rng.uniform(-0.05, 0.1)),
        jaw=float(rng.normal(0.93 if male else 0.88, 0.03)),
        roundness=float(np.clip(rng.normal(0.22, 0.22), -0.15, 0.8)),
        ruddiness=float(np.clip(rng.normal(0.18, 0.17), 0, 0.8)),
        spots=int(rng.poisson(1.5)),
        stubble=float(np.clip(rng.normal(0.15, 0.1), 0, 0.4) if male else rng.uniform(0, 0.05)),
        brow_weight=float(rng.uniform(0.25, 0.6) + 0.2 * male),
        nose_width=float(rng.normal(0.2 + 0.02 * male, 0.02)),
        nose_length=float(rng.normal(0, 0.03)),
        mouth_width=float(rng.normal(0.36, 0.03)),
        lip=float(rng.uniform(0, 0.04)),
        eye_distance=float(rng.normal(0.42, 0.02)),
        eye_size=float(rng.normal(1.0, 0.07)),
        chin=float(rng.normal(0.03 * male, 0.04)),
        wrinkles=float(np.clip((age - 25) / 50 + rng.normal(0, 0.1), 0, 1)),
        spot_seed=int(rng.integers(2**31)),
    )


def take_shot(rng: np.random.Generator, camera: str) -> Shot:
    """Draw pose, light and background of one photo."""
    blur, noise, _ = CAMERAS[camera]
    return Shot(
        scale=float(rng.uniform(0.19, 0.25)),
        shift=(float(rng.normal(0, 0.025)), float(rng.normal(-0.02, 0.02))),
        roll=float(rng.normal(0, 0.05)),
        yaw=float(np.clip(rng.normal(0, 0.03), -0.07, 0.07)),
        light=float(rng.uniform(-0.8, 0.8)),
        mouth_open=float(rng.beta(1, 4)),
        smile=float(rng.beta(1.2, 2)),
        exposure=float(rng.uniform(0.8, 1.2)),
        warmth=float(np.clip(rng.normal(0, 0.5), -1, 1)),
        blur=blur * float(rng.uniform(0.7, 1.3)),
        noise=noise * float(rng.uniform(0.7, 1.3)),
        background=tuple(rng.uniform(0.35, 0.9) + rng.normal(0, 0.05, 3)),
        clothes=tuple(rng.uniform(0.05, 0.8, 3)),
        seed=int(rng.integers(2**31)),
    )


def _write_photo(number: int, plan: Plan, folders: list[Path]) -> tuple[int, dict[str, object]]:
    photo, mask = draw(plan.person, plan.shot, plan.signs)
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, format="JPEG", quality=CAMERAS[plan.camera][2])
    photo_id = hashlib.sha256(buffer.getvalue()).hexdigest()[:16]
    (folders[0] / plan.file_name).write_bytes(buffer.getvalue())
    Image.fromarray(mask).save(folders[1] / "masks" / f"{photo_id}.png")
    return number, {
        "photo_id": photo_id,
        "file_name": plan.file_name,
        "patient_id": plan.patient_id,
        "sex": plan.person.sex,
        "label": plan.label,
        "age": plan.age,
        "view": "frontal",
        "visit": plan.visit,
        "site": plan.site,
        "source": DRAWN_SOURCE,
        "cushing": round(plan.signs.cushing, 3),
        "acromegaly": round(plan.signs.acromegaly, 3),
    }
