"""The sentences to read first: what the intervals support, and no more."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from hf_cushing.readers.kit import LEVELS
from hf_cushing.readers.multi_reader import AGAINST, GAIN, MEAN, Effect
from hf_cushing.readers.rates import GROUP, MAJORITY, METRIC_NAMES, MODEL, READER, SexGap
from hf_cushing.readers.report import ReaderReport
from hf_cushing.readers.study import ALL_READERS, READS
from hf_cushing.reports.screen import Section
from hf_cushing.reports.table import interval_text, p_text
from hf_cushing.stats.intervals import INSUFFICIENT
from hf_cushing.stats.mrmc import FIXED_READERS, RANDOM

SIGNIFICANT = 0.05


def reader_screen(report: ReaderReport) -> list[Section]:
    """Titled sentences, the most important first."""
    sections = [
        Section("What", (*_sample(report), *(f"Remark: {note}." for note in report.notes))),
        Section("Readers", tuple(_averages(report))),
        Section("Differences", tuple(_differences(report))),
        Section("Women, men", tuple(_sexes(report))),
        Section("One by one", tuple(_mcnemar(report))),
        Section("Agreement", tuple(_agreement(report))),
    ]
    return [section for section in sections if section.lines]


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def change_text(estimate: float, low: float, high: float) -> str:
    """A difference and its interval, with signs: ``+0.11 (−0.02 to +0.20)``."""
    return f"{estimate:+.2f} ({low:+.2f} to {high:+.2f})".replace("-", "−")


def _sample(report: ReaderReport) -> Iterator[str]:
    """Who judged what, and what that allows."""
    counts = Counter(report.readers.values())
    levels = ", ".join(_count(counts[level], level) for level in LEVELS if counts[level])
    yield (
        f"{_count(len(report.readers), 'reader')} ({levels}) judged "
        f"{_count(report.photos, 'photo')} of {_count(report.patients, 'patient')}: "
        f"{report.positive_patients} patients with and {report.negative_patients} without "
        f"{report.label}. Sample: {report.size}."
    )
    if report.notes:
        yield (
            f"Not every reader judged every photo: {_count(len(report.notes), 'remark')} below say "
            "who, and what was left out where all must have judged all."
        )
    if report.split != "test":
        yield (
            f"These are {report.split} photos, which the model was trained or adjusted on: its own "
            "figures, and every comparison with it, flatter it."
        )
    if report.size == "insufficient":
        yield (
            f"Too few patients: fewer than {INSUFFICIENT} with or without {report.label}. "
            "Nothing here supports a statement about readers or the model."
        )


def _effect(report: ReaderReport, question: str, metric: str, read: str = "") -> Effect | None:
    """For other readers and patients; for these readers only where one reader is all."""
    rows = [
        row
        for row in report.effects
        if (row.question, row.group, row.metric) == (question, ALL_READERS, metric)
        and read in ("", row.read)
    ]
    for analysis in (RANDOM, FIXED_READERS):
        for row in rows:
            if row.analysis == analysis and math.isfinite(row.estimate.low):
                return row
    return rows[0] if rows else None


def _scope(row: Effect) -> str:
    if row.analysis == RANDOM:
        return "for other readers and patients like these"
    return "for these readers alone and other patients"


def _averages(report: ReaderReport) -> Iterator[str]:
    for read in dict.fromkeys(row.read for row in report.effects if row.question == MEAN):
        rows = [row for metric in ("auroc", "sensitivity", "specificity")
                if (row := _effect(report, MEAN, metric, read))]  # fmt: skip
        if rows:
            parts = ", ".join(
                f"{METRIC_NAMES[row.metric]} "
                f"{interval_text(row.estimate.estimate, row.estimate.low, row.estimate.high, 2)}"
                for row in rows
            )
            few = "; too few patients for a statement" if rows[0].size == "insufficient" else ""
            yield (
                f"Readers {read}, on average over {_count(rows[0].readers, 'reader')} and "
                f"{_count(rows[0].photos, 'photo')}: {parts} ({_scope(rows[0])}{few})."
            )


def _differences(report: ReaderReport) -> Iterator[str]:
    scored = any(row.metric == "auroc" for row in report.effects)
    for question, names in (
        (AGAINST[report.reads[0]], ("the readers", "the model")),
        (GAIN, ("readers with the model", "readers alone")),
    ):
        for metric in ("auroc" if scored else "accuracy", "sensitivity", "specificity"):
            row = _effect(report, question, metric)
            if row:
                yield difference_sentence(row, *names)
    if any(row.question == GAIN for row in report.effects):
        yield (
            "The second read came after the first of the same photos: what changed may come from "
            "looking twice as well as from the model."
        )


def difference_sentence(row: Effect, first: str, second: str) -> str:
    """What a difference and its interval support.

    Parameters
    ----------
    row : Effect
    first, second : str
        What is compared, in words.
    """
    name, change = METRIC_NAMES[row.metric], row.estimate
    start = f"{name[0].upper()}{name[1:]}, {first} against {second}"
    if row.size == "insufficient":
        return f"{start}: too few patients for a statement."
    if not math.isfinite(change.low):
        return f"{start}: no interval ({change.reason}), so no statement."
    text = change_text(change.estimate, change.low, change.high)
    word = "higher" if change.estimate > 0 else "lower"
    if change.low <= 0 <= change.high:
        return f"{start}: no difference was shown, which is not the same as none: {text}."
    if row.p_holm < SIGNIFICANT:
        return f"{start}: {word}, {text}, p {p_text(row.p_holm)} (Holm), {_scope(row)}."
    return (
        f"{start}: {word} in this sample, {text}, but not after correction for several "
        f"metrics (p {p_text(row.p_holm)})."
    )


def _sexes(report: ReaderReport) -> Iterator[str]:
    kind = GROUP if len(report.readers) > 1 else READER
    for gap in report.gaps:
        if gap.read == report.reads[0] and gap.kind == kind and (gap.level == "" or kind == READER):
            yield _sex_sentence(gap, "Readers")
    for gap in report.gaps:
        if gap.kind == MODEL:
            yield _sex_sentence(gap, "Model")


def _sex_sentence(gap: SexGap, who: str) -> str:
    start = f"{who}, {METRIC_NAMES[gap.metric]} of women minus men"
    if gap.size == "insufficient":
        return f"{start}: too few patients of a sex for a statement."
    if not math.isfinite(gap.low):
        return f"{start}: undefined."
    text = change_text(gap.gap, gap.low, gap.high)
    if gap.low <= 0 <= gap.high:
        return f"{start}: {text}; no gap was shown, which is not the same as none."
    worse = "men" if gap.gap > 0 else "women"
    return f"{start}: {text}, lower for {worse} (one of several intervals, not corrected)."


def _mcnemar(report: ReaderReport) -> Iterator[str]:
    enough = [row for row in report.overlaps if row.size != "insufficient"]
    readers = [row for row in enough if row.kind == READER]
    names: dict[str, list[str]] = {"more": [], "less": []}
    for row in readers:
        if row.p_holm < SIGNIFICANT:
            counts = row.errors["everyone"]
            names["more" if counts.first_only > counts.second_only else "less"].append(row.name)
    parts = [f"{', '.join(of)} {word} often right than the model" for word, of in names.items()
             if of]  # fmt: skip
    if readers:
        some = "; ".join(parts) or "none can be told from the model"
        yield f"Reader by reader (McNemar, Holm over all lines of the table): {some}."
    for row in enough:
        if row.kind == MAJORITY and not row.level:
            counts = row.errors["everyone"]
            end = "a difference" if row.p_holm < SIGNIFICANT else "no difference was shown"
            tied = f"; {row.tied} ties left out" if row.tied else ""
            yield (
                f"Only the {row.name} is right on {counts.first_only} photos, only the model on "
                f"{counts.second_only}, neither on {counts.both_wrong}, of {row.photos}{tied}: "
                f"{end} (p {p_text(row.p_holm)}, Holm)."
            )


def _agreement(report: ReaderReport) -> Iterator[str]:
    for row in report.fleiss:
        if row.group == ALL_READERS and row.size != "insufficient":
            text = interval_text(row.kappa.estimate, row.kappa.low, row.kappa.high, 2)
            yield f"Agreement of {row.readers} readers {READS[row.read]}, Fleiss' kappa: {text}."
