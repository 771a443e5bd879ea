"""The folder of a follow-up: one page a patient, one page of the cohort, and CSV files."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from PIL import Image

from hf_cushing.data.options import Progress
from hf_cushing.evaluation.origin import Origin
from hf_cushing.files import PageHead, render_page, write_json, write_text
from hf_cushing.followup.figures import plot_cohort, plot_patient, plot_repeatability
from hf_cushing.followup.results import Followup
from hf_cushing.followup.tables import cohort_tables, number_tables, region_table, visit_table
from hf_cushing.followup.verdicts import (
    ALARM,
    NO_ALARM,
    camera_lines,
    cohort_screen,
    patient_verdicts,
)
from hf_cushing.reports.page import embed, tables_to_page
from hf_cushing.reports.screen import Section
from hf_cushing.reports.table import table_to_csv, tables_to_markdown
from hf_cushing.schema import RESEARCH_NOTICE

SCHEMA_VERSION = 1

FACE_SIDE = 160

CAPTION = (
    "Circles: single photos. Points: visits, with 95 % intervals. Grey: a later visit inside it "
    "can't be told from the fluctuation of a stable person."
)
BARE_CAPTION = "Circles: single photos. Points: visits; their intervals are not known."

PRIVATE = Section(
    "Private", ("This page contains patient ids: keep it where the clinic's table is kept.",)
)

COHORT = "Scores of every patient's visits. Thick lines: the mixed model."


def write_report(
    out: Path, followup: Followup, *, origin: Origin, thumbnails: bool, progress: Progress
) -> None:
    """Write pages, figures, tables, CSV files and, last, ``followup.json``.

    Parameters
    ----------
    origin : Origin
        Of the model, with the photos followed.
    """
    pages = page_names(list(followup.cohort.patients))
    advance = progress("Writing the patients' pages", len(pages))
    for patient, name in pages.items():
        write_text(out / name, _patient_page(out, followup, patient, origin.head, thumbnails))
        advance(1)
    for table in number_tables(followup):
        write_text(out / f"{table.name}.csv", table_to_csv(table))
    tables = cohort_tables(followup, pages)
    for table in tables:
        write_text(out / "tables" / f"{table.name}.csv", table_to_csv(table))
    write_text(out / "followup.md", tables_to_markdown(tables))
    lead = out / "cohort.png"
    plot_cohort(lead, followup)
    page = tables_to_page(
        f"Follow-up of {len(pages)} patients, {followup.label}",
        head=origin.head,
        screen=[PRIVATE, *cohort_screen(followup)],
        lead=(COHORT, lead),
        tables=tables,
        figures=_figures(out, followup),
        left_out=followup.left_out,
    )
    write_text(out / "followup.html", page)
    write_json(out / "followup.json", followup_to_json(followup))


def page_names(patients: Sequence[str]) -> dict[str, str]:
    """A file for each patient: the id's plain characters, and a hash where others are lost.

    >>> page_names(["P-1", "p-1", "../A é"])["P-1"]
    'patients/P-1-829887.html'
    """
    plain = {name: re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:60] for name in patients}
    folded = Counter(text.casefold() for text in plain.values())
    pages = {}
    for name, text in plain.items():
        if text != name or folded[text.casefold()] > 1:
            text += "-" + hashlib.sha256(name.encode()).hexdigest()[:6]
        pages[name] = f"patients/{text}.html"
    return pages


def _patient_page(
    out: Path, followup: Followup, patient: str, head: PageHead, thumbnails: bool
) -> str:
    chart = out / "patients" / ".chart.png"
    plot_patient(chart, followup, patient)
    picture = embed(chart)
    chart.unlink()
    facts = followup.cohort.patients[patient]
    treated = (
        f"treatment {facts.treatment_date}" if facts.treatment_date else ("no date of treatment")
    )
    alarm = any(visit.alarms.any() for visit in followup.of_patient(patient))
    tables = [visit_table(followup, patient), region_table(followup, patient)]
    return render_page(
        "followup_patient.html.jinja",
        title=f"Patient {patient}",
        head=head,
        facts=f"sex: {facts.sex} · {treated}",
        verdicts=patient_verdicts(followup, patient),
        alarms=list(camera_lines(followup, patient)),
        alarm_title=ALARM if alarm else NO_ALARM,
        chart=picture,
        caption=CAPTION if followup.spread.known else BARE_CAPTION,
        faces=_faces(followup, patient) if thumbnails else [],
        tables=[table for table in tables if table],
    )


def _faces(followup: Followup, patient: str) -> list[tuple[str, str]]:
    """Date and embedded picture of the first photo of each visit."""
    photos, crops = followup.cohort.photos, followup.cohort.crops
    days: dict[str, int] = {}
    for number, photo in enumerate(photos):
        if photo.patient_id == patient:
            days.setdefault(str(photo.day), number)
    return [(day, _thumbnail(crops[number]["image"])) for day, number in days.items()]


def _thumbnail(crop: Image.Image) -> str:
    buffer = io.BytesIO()
    crop.convert("RGB").resize((FACE_SIDE, FACE_SIDE)).save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _figures(out: Path, followup: Followup) -> Iterator[tuple[str, Path]]:
    stable = out / "repeatability.png"
    if plot_repeatability(stable, followup):
        yield (
            "Stable visits of one person (Bland and Altman). Dashed: repeatability coefficient at "
            "the stable visits' number of photos, with its 95 % interval; dotted: mean difference.",
            stable,
        )


def followup_to_json(followup: Followup) -> dict[str, object]:
    """What ``followup.json`` holds."""
    spread, trend, last = followup.spread, followup.trend, followup.last.values()
    return {
        "schema_version": SCHEMA_VERSION,
        "notice": RESEARCH_NOTICE,
        "run": followup.run.title,
        "model_revision": followup.run.weights_revision,
        "label": followup.label,
        "photos": len(followup.cohort.photos),
        "visits": len(followup.cohort.visits),
        "patients": len(followup.cohort.patients),
        "one_visit_only": len(followup.cohort.patients) - len(last),
        "verdicts": dict(sorted(Counter(visit.verdict for visit in last).items())),
        "alarms": sum(bool(visit.alarms.any()) for visit in last),
        "repeatability": asdict(spread)
        | {"source": spread.source, "photo_sd": spread.photo_sd, "day_sd": spread.day_sd},
        "trend": {"effects": trend.effects, "reason": trend.reason,
                  "slopes": [asdict(row) for row in trend.slopes]},
        "left_out": followup.left_out,
    }  # fmt: skip
