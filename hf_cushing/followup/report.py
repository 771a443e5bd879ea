"""The folder of a follow-up: one page a patient, one page of the cohort, and CSV files."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from hf_cushing import __version__
from hf_cushing.data.options import Progress
from hf_cushing.evaluation.command import model_revision
from hf_cushing.files import render_template, replace_folder, write_json, write_text
from hf_cushing.followup.cohort import Followup, FollowupOptions, follow_up
from hf_cushing.followup.figures import plot_cohort, plot_patient, plot_repeatability
from hf_cushing.followup.photos import manifest_of
from hf_cushing.followup.tables import cohort_tables, number_tables, region_table, visit_table
from hf_cushing.followup.words import alarm_lines, alarm_title, cohort_verdicts, patient_verdicts
from hf_cushing.reports.page import embed, tables_to_page
from hf_cushing.reports.table import table_to_csv, tables_to_markdown
from hf_cushing.schema import RESEARCH_NOTICE, UsageError, UserError

SCHEMA_VERSION = 1

FACE_SIDE = 160

CAPTION = (
    "Circles: single photos. Points: visits, with 95 % intervals. Grey: a later visit inside it "
    "can't be told from the fluctuation of a stable person."
)


def run_followup(
    run: str, dataset: str, out: Path, options: FollowupOptions, *, progress: Progress
) -> Followup:
    """Follow up (see `follow_up`) and write the report in one go.

    What takes long is kept beside `out` until the report is there, so that a stopped call goes
    on. An existing `out` is replaced only if this command made it.
    """
    if (out / "manifest.json").exists():
        raise UsageError(f"--out {out} is a run folder; choose another")
    if out.exists() and any(out.iterdir()) and not (out / "followup.json").is_file():
        raise UserError(f"{out} exists and was not made by `followup`; choose another --out")
    work = work_folder(out)
    found = follow_up(run, dataset, work, options, progress)
    new = work / "report"
    shutil.rmtree(new, ignore_errors=True)
    write_report(new, found, options, progress=progress)
    replace_folder(new, out)
    shutil.rmtree(work, ignore_errors=True)
    return found


def work_folder(out: Path) -> Path:
    """Where unfinished work lies."""
    return out.with_name(f".{out.name}.partial")


def write_report(
    out: Path, found: Followup, options: FollowupOptions, *, progress: Progress
) -> None:
    """Write pages, figures, tables, CSV files and, last, ``followup.json``."""
    pages = page_names(found.patients)
    advance = progress("Writing the patients' pages", len(pages))
    for patient, name in pages.items():
        write_text(out / name, _patient_page(out, found, patient, options))
        advance(1)
    for name, rows in number_tables(found):
        write_text(out / f"{name}.csv", _csv(rows))
    tables = cohort_tables(found, pages)
    for table in tables:
        write_text(out / "tables" / f"{table.name}.csv", table_to_csv(table))
    write_text(out / "followup.md", tables_to_markdown(tables))
    page = tables_to_page(
        f"Follow-up of {len(found.patients)} patients, {found.label}",
        verdicts=[*cohort_verdicts(found), _seen_note(found)],
        tables=tables,
        figures=_figures(out, found),
        left_out=found.left_out,
    )
    write_text(out / "followup.html", page)
    write_json(out / "followup.json", _facts(found))


def page_names(patients: Sequence[str]) -> dict[str, str]:
    """A file for each patient: the id's plain characters, and a hash where others are lost.

    >>> page_names(["P-1", "p-1", "../A é"])["P-1"]
    'patients/P-1-829887.html'
    """
    plain = {name: re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:60] for name in patients}
    folded = [text.casefold() for text in plain.values()]
    found = {}
    for name, text in plain.items():
        if text != name or folded.count(text.casefold()) > 1:
            text += "-" + hashlib.sha256(name.encode()).hexdigest()[:6]
        found[name] = f"patients/{text}.html"
    return found


def _patient_page(out: Path, found: Followup, patient: str, options: FollowupOptions) -> str:
    chart = out / "patients" / ".chart.png"
    plot_patient(chart, found, patient)
    picture = embed(chart)
    chart.unlink()
    facts = found.facts(patient)
    alarms, more = alarm_lines(found, patient)
    tables = [visit_table(found, patient), region_table(found, patient)]
    treated = f"treatment {facts.treatment}" if facts.treatment else "no date of treatment"
    return render_template(
        "followup_patient.html.jinja",
        patient=patient,
        facts=f"sex: {facts.sex} · {treated} · model {Path(found.run).name}",
        version=__version__,
        notice=RESEARCH_NOTICE,
        verdicts=patient_verdicts(found, patient),
        alarms=alarms,
        alarm_title=alarm_title(more),
        chart=picture,
        caption=CAPTION,
        faces=_faces(found, patient) if options.thumbnails else [],
        tables=[table for table in tables if table],
    )


def _faces(found: Followup, patient: str) -> list[tuple[str, str]]:
    """Date and embedded picture of the first photo of each visit."""
    rows = [n for n, photo in enumerate(found.photos) if photo.patient_id == patient]
    days: dict[str, int] = {}
    for n in rows:
        days.setdefault(str(found.photos[n].day), n)
    return [(day, _thumbnail(found, n)) for day, n in days.items()]


def _thumbnail(found: Followup, number: int) -> str:
    image = found.crops[number]["image"].convert("RGB").resize((FACE_SIDE, FACE_SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _figures(out: Path, found: Followup) -> list[tuple[str, str]]:
    plot_cohort(out / "cohort.png", found)
    shown = [("Scores of every patient's visits. Thick lines: the mixed model.", "cohort.png")]
    if plot_repeatability(out / "repeatability.png", found):
        shown.append(
            (
                "Stable visits of one person (Bland and Altman). Dashed: repeatability "
                "coefficient at the stable visits' number of photos, with its 95 % interval; "
                "dotted: mean difference.",
                "repeatability.png",
            )
        )
    return [(caption, embed(out / name)) for caption, name in shown]


def _seen_note(found: Followup) -> str:
    if "seen_photo_ids" in manifest_of(found.run):
        return "None of these photos trained the model or chose its threshold."
    return "Whether these photos trained the model could not be checked: it doesn't say which did."


def _csv(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _facts(found: Followup) -> dict[str, object]:
    last = found.pairs.last
    words, counts = np.unique(found.change.verdict()[last], return_counts=True)
    return {
        "schema_version": SCHEMA_VERSION,
        "notice": RESEARCH_NOTICE,
        "run": Path(found.run).name,
        "model_revision": model_revision(found.run),
        "label": found.label,
        "photos": len(found.photos),
        "visits": len(found.visits),
        "patients": len(found.patients),
        "one_visit_only": len(found.patients) - int(last.sum()),
        "verdicts": dict(zip(words.tolist(), counts.tolist(), strict=True)),
        "alarms": int(found.alarms[last].any(1).sum()),
        "repeatability": asdict(found.spread)
        | {"source": found.spread.source, "photo_sd": found.spread.photo_sd,
           "day_sd": found.spread.day_sd},
        "trend": {"effects": found.trend.effects, "reason": found.trend.reason,
                  "slopes": [asdict(row) for row in found.trend.slopes]},
        "left_out": found.left_out,
    }  # fmt: skip
