"""What a follow-up found, in words: verdicts and alarms, for a patient and for all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from hf_cushing.followup.camera import MEASURES
from hf_cushing.reports.table import p_text
from hf_cushing.stats.intervals import INSUFFICIENT, LEVEL
from hf_cushing.stats.reliable_change import FELL, NEITHER, ROSE, STABLE, Repeatability

if TYPE_CHECKING:
    from hf_cushing.followup.cohort import Followup

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


def day_of(found: Followup, row: int) -> str:
    """Date of a visit."""
    return str(date.fromordinal(int(found.visits.day[row])))


def last_pair(found: Followup, patient: str) -> int | None:
    """Number of the pair of baseline and last visit; None with one visit."""
    own = found.visits.patient[found.pairs.second] == patient
    numbers = np.flatnonzero(own & found.pairs.last)
    return int(numbers[0]) if len(numbers) else None


def smallest_change(found: Followup, pair: int) -> float:
    """The change above which this pair would have been called changed."""
    half = stdtrit(found.change.freedom[pair], (1 + LEVEL) / 2)
    return float(half * found.change.error[pair])


def patient_verdicts(found: Followup, patient: str) -> list[str]:
    """The sentences to read first."""
    pair = last_pair(found, patient)
    sentences = [f"{ONE_VISIT.capitalize()}."] if pair is None else [_verdict(found, pair)]
    sentences.append(NOT_ACTIVITY.format(label=found.label))
    if pair is not None:
        sentences += _baseline_notes(found, patient, pair)
    return sentences + repeatability_warnings(found.spread)


def _verdict(found: Followup, pair: int) -> str:
    change = found.change
    first, second = (day_of(found, side[pair]) for side in (found.pairs.first, found.pairs.second))
    low, high = change.low[pair], change.high[pair]
    between = f"Between {first} (baseline) and {second} the score"
    word = str(change.verdict()[pair])
    if word == NEITHER:
        return (
            f"{between} changed by {change.change[pair]:+.2f} (95 %: {low:+.2f} to {high:+.2f}): "
            "no more than visits of a stable person differ. This does not show that the face "
            f"stayed the same: with these photos only changes beyond "
            f"{smallest_change(found, pair):.2f} are told."
        )
    size, ends = abs(change.change[pair]), sorted((abs(low), abs(high)))
    return (
        f"{between} {word} by {size:.2f} (95 %: {ends[0]:.2f} to {ends[1]:.2f}), more than visits "
        f"of a stable person differ: reliable-change index {change.index[pair]:+.2f}, "
        f"p {p_text(change.p[pair])}."
    )


def _baseline_notes(found: Followup, patient: str, pair: int) -> Iterator[str]:
    treatment = found.facts(patient).treatment
    base = date.fromordinal(int(found.visits.day[found.pairs.first[pair]]))
    if treatment and base > treatment:
        yield f"The baseline is after treatment began ({treatment}): no earlier visit is there."
    elif treatment and day_of(found, found.pairs.second[pair]) <= str(treatment):
        yield f"No visit is later than the treatment of {treatment}: its effect can't be seen."


def repeatability_warnings(spread: Repeatability) -> list[str]:
    """What the verdicts lack, if anything."""
    found = [] if spread.source == STABLE else [SAME_VISIT_ONLY]
    if spread.patients < INSUFFICIENT:
        found.append(
            f"Repeatability was measured on {spread.patients} patients: insufficient, fewer than "
            f"{INSUFFICIENT}. Read every verdict as a guess."
        )
    return found


def alarm_lines(found: Followup, patient: str) -> tuple[list[str], bool]:
    """Measures that changed beyond their own repeatability; whether any did more than the face."""
    lines, any_more = [], False
    own = np.flatnonzero(found.visits.patient[found.pairs.second] == patient)
    for pair in own.tolist():
        for more, text in ((True, "more than the score"), (False, "less than the score")):
            inside = found.changed[pair] & (found.alarms[pair] == more)
            names = [
                f"{words} ({found.camera.index[pair, n]:+.1f})"
                for n, words in enumerate(MEASURES.values())
                if inside[n]
            ]
            if names:
                any_more |= more
                lines.append(
                    f"{day_of(found, found.pairs.second[pair])} against baseline, {text} "
                    f"({found.change.index[pair]:+.1f}): {', '.join(names)}"
                )
    return lines, any_more


def alarm_word(found: Followup, pair: int) -> str:
    """For a table: ``alarm``, ``changed``, or a dash."""
    if found.alarms[pair].any():
        return "alarm"
    return "changed" if found.changed[pair].any() else "–"


def alarm_title(more: bool) -> str:
    """Heading of a patient's alarms."""
    if more:
        return (
            "Camera, pose or light changed more than the face did: the change of the score may be "
            "theirs. In brackets: change over its error in a stable person."
        )
    return (
        "Camera, pose or light changed, though less than the score. In brackets: change over its "
        "error in a stable person."
    )


def cohort_verdicts(found: Followup) -> list[str]:
    """The sentences to read first on the cohort's page."""
    last = np.flatnonzero(found.pairs.last)
    words = found.change.verdict()[last]
    counts = {word: int(np.sum(words == word)) for word in (FELL, ROSE, NEITHER)}
    alarmed, changed = (mask[last].any(1) for mask in (found.alarms, found.changed))
    single = len(found.patients) - len(last)
    lines = [
        "This page contains patient ids: keep it where the clinic's table is kept.",
        f"{len(last)} patients with a later visit than their baseline: at the last one the score "
        f"reliably fell in {counts[FELL]}, rose in {counts[ROSE]}, and neither in "
        f"{counts[NEITHER]}. If nobody had changed, about {(1 - LEVEL) * len(last):.1f} of them "
        "would be called changed.",
        f"In {alarmed.sum()} of them camera, pose or light changed more than the score did: an "
        f"alarm. In {(changed & ~alarmed).sum()} more they changed, but less than the score.",
        NOT_ACTIVITY.format(label=found.label),
    ]
    if single:
        lines.append(f"{single} patients have one visit only: shown, but no change is measured.")
    return lines + repeatability_warnings(found.spread)
