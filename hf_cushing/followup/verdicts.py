"""What a follow-up found, in sentences: verdicts and alarms, for a patient and for all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from hf_cushing.followup.camera import MEASURES
from hf_cushing.followup.results import Comparison, Followup
from hf_cushing.reports.screen import Section
from hf_cushing.reports.table import p_text
from hf_cushing.schema import counted
from hf_cushing.stats.intervals import INSUFFICIENT, LEVEL
from hf_cushing.stats.reliable_change import (
    FELL,
    NEITHER,
    ROSE,
    STABLE,
    UNKNOWN,
    Repeatability,
)

ONE_VISIT = "one visit only: no change can be measured"

NOT_ACTIVITY = (
    "The score is the model's log-odds of {label}, not a measure of disease activity: that it "
    "follows the disease has not been shown."
)

SAME_VISIT_ONLY = (
    "No visits are marked as stable, so repeatability was measured on photos of one visit. What "
    "differs from day to day is not in it: changes, and alarms of camera, pose and light, are "
    "found too readily. Fill the column “stable” to mend this."
)

NO_SPREAD = (
    "There is no verdict on any change: how much the score varies in a stable person can't be "
    "measured, since no patient has two visits marked as stable and no visit has two photos; nor "
    "can it be told whether camera, pose or light changed. Fill the column “stable” for visits "
    "between which the patient is known to have been stable, or take several photos a visit."
)

ALARM = (
    "Camera, pose or light changed more than the face did: the change of the score may be theirs. "
    "In brackets: change over its error in a stable person."
)
NO_ALARM = (
    "Camera, pose or light changed, though less than the score. In brackets: change over its error "
    "in a stable person."
)
"""Headings of a patient's changed measures."""


def patient_verdicts(followup: Followup, patient: str) -> list[str]:
    """The sentences to read first."""
    last = followup.last.get(patient)
    sentences = [_verdict(followup, last) if last else f"{ONE_VISIT.capitalize()}."]
    sentences.append(NOT_ACTIVITY.format(label=followup.label))
    if last:
        sentences += _baseline_notes(followup, patient, last)
    return sentences + repeatability_warnings(followup.spread)


def _verdict(followup: Followup, last: Comparison) -> str:
    first, second = (followup.cohort.day(visit) for visit in (last.baseline, last.visit))
    score, word = last.score, last.verdict
    between = f"Between {first} (baseline) and {second} the score"
    if word == UNKNOWN:
        return f"{between} changed by {score.change:+.2f}; whether that is much can't be told."
    if word == NEITHER:
        return (
            f"{between} changed by {score.change:+.2f} (95 %: {score.low:+.2f} to "
            f"{score.high:+.2f}): no more than visits of a stable person differ. This does not "
            "show that the face stayed the same: with these photos only changes beyond "
            f"{last.smallest_change:.2f} are told."
        )
    low, high = sorted((abs(score.low), abs(score.high)))
    return (
        f"{between} {word} by {abs(score.change):.2f} (95 %: {low:.2f} to {high:.2f}), more than "
        f"visits of a stable person differ: reliable-change index {score.index:+.2f}, "
        f"p {p_text(score.p)}."
    )


def _baseline_notes(followup: Followup, patient: str, last: Comparison) -> Iterator[str]:
    cohort = followup.cohort
    treatment = cohort.patients[patient].treatment_date
    if treatment and cohort.day(last.baseline) > treatment:
        yield f"The baseline is after treatment began ({treatment}): no earlier visit is there."
    elif treatment and cohort.day(last.visit) <= treatment:
        yield f"No visit is later than the treatment of {treatment}: its effect can't be seen."


def repeatability_warnings(spread: Repeatability) -> list[str]:
    """What the verdicts lack, if anything."""
    if not spread.known:
        return [NO_SPREAD]
    warnings = [] if spread.source == STABLE else [SAME_VISIT_ONLY]
    if spread.patients < INSUFFICIENT:
        warnings.append(
            f"Repeatability was measured on {spread.patients} patients: insufficient, fewer than "
            f"{INSUFFICIENT}. Read every verdict as a guess."
        )
    return warnings


def camera_lines(followup: Followup, patient: str) -> Iterator[str]:
    """Measures that changed beyond their own repeatability, visit by visit; alarms first."""
    for visit in followup.of_patient(patient):
        for text, inside in (
            ("more than the score", visit.alarms),
            ("less than the score", visit.changed & ~visit.alarms),
        ):
            names = [
                f"{name} ({index:+.1f})"
                for name, index, use in zip(
                    MEASURES.values(), visit.camera.index, inside, strict=True
                )
                if use
            ]
            if names:
                yield (
                    f"{followup.cohort.day(visit.visit)} against baseline, {text} "
                    f"({visit.score.index:+.1f}): {', '.join(names)}"
                )


def cohort_screen(followup: Followup) -> list[Section]:
    """The sentences to read first on the cohort's page and in the terminal."""
    cohort, last = followup.cohort, list(followup.last.values())
    days = sorted(photo.day for photo in cohort.photos)
    single = len(cohort.patients) - len(last)
    what = [
        f"{len(cohort.photos)} photos of {len(cohort.patients)} patients at {len(cohort.visits)} "
        f"visits, {days[0]} to {days[-1]}.",
        NOT_ACTIVITY.format(label=followup.label),
        _seen_note(followup),
    ]
    changes = [_changes(last, known=followup.spread.known)]
    if single:
        who = counted(single, "patient")
        changes.append(f"{who} with one visit only: shown, but no change is measured.")
    sections = [
        Section("What", tuple(what)),
        Section("Changes", tuple(changes)),
        Section("Camera", (_alarms(last),) if followup.spread.known else ()),
        Section("Repeatability", tuple(repeatability_warnings(followup.spread))),
    ]
    return [section for section in sections if section.lines]


def _changes(last: Sequence[Comparison], *, known: bool) -> str:
    words = [visit.verdict for visit in last]
    start = f"{len(last)} patients with a later visit than their baseline"
    if not known:
        return f"{start}: figure and tables show their scores over time, without a verdict."
    return (
        f"{start}: at the last one the score reliably fell in {words.count(FELL)}, rose in "
        f"{words.count(ROSE)}, and neither in {words.count(NEITHER)}. If nobody had changed, about "
        f"{(1 - LEVEL) * len(last):.1f} of them would be called changed."
    )


def _alarms(last: Sequence[Comparison]) -> str:
    alarmed = np.array([visit.alarms.any() for visit in last])
    changed = np.array([visit.changed.any() for visit in last])
    return (
        f"In {alarmed.sum()} of them camera, pose or light changed more than the score did: an "
        f"alarm. In {(changed & ~alarmed).sum()} more they changed, but less than the score."
    )


def _seen_note(followup: Followup) -> str:
    if followup.run.seen_photo_ids is None:
        return (
            "Whether these photos trained the model could not be checked: it doesn't say which did."
        )
    return "None of these photos trained the model or chose its threshold."
