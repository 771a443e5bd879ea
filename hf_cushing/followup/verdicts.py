"""What a follow-up found, in sentences: verdicts and alarms, for a patient and for all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hf_cushing.followup.camera import MEASURES
from hf_cushing.followup.results import Comparison, Followup
from hf_cushing.reports.table import p_text
from hf_cushing.stats.intervals import INSUFFICIENT, LEVEL
from hf_cushing.stats.reliable_change import FELL, NEITHER, ROSE, STABLE, Repeatability

ONE_VISIT = "one visit only: no change can be measured"

NOT_ACTIVITY = (
    "The score is the model's log-odds of {label}, not a measure of disease activity: that it "
    "follows the disease has not been shown."
)

SAME_VISIT_ONLY = (
    "No visits are marked as stable, so repeatability was measured on photos of one visit. What "
    "differs from day to day is not in it: changes, and alarms of camera, pose and light, are "
    "found too readily. Fill the column `stable` to mend this."
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


def cohort_verdicts(followup: Followup) -> list[str]:
    """The sentences to read first on the cohort's page."""
    last = list(followup.last.values())
    words = [visit.verdict for visit in last]
    alarmed = np.array([visit.alarms.any() for visit in last])
    changed = np.array([visit.changed.any() for visit in last])
    single = len(followup.cohort.patients) - len(last)
    lines = [
        "This page contains patient ids: keep it where the clinic's table is kept.",
        f"{len(last)} patients with a later visit than their baseline: at the last one the score "
        f"reliably fell in {words.count(FELL)}, rose in {words.count(ROSE)}, and neither in "
        f"{words.count(NEITHER)}. If nobody had changed, about {(1 - LEVEL) * len(last):.1f} of "
        "them would be called changed.",
        f"In {alarmed.sum()} of them camera, pose or light changed more than the score did: an "
        f"alarm. In {(changed & ~alarmed).sum()} more they changed, but less than the score.",
        NOT_ACTIVITY.format(label=followup.label),
    ]
    if single:
        lines.append(f"{single} patients have one visit only: shown, but no change is measured.")
    return lines + repeatability_warnings(followup.spread)
