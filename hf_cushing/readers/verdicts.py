"""The sentences to read first: what the intervals support, and no more."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from hf_cushing.readers.effects import AGAINST, GAIN, MEAN, Effect
from hf_cushing.readers.rates import GROUP, MAJORITY, METRIC_NAMES, MODEL, READER, SexGap
from hf_cushing.readers.report import ReaderReport
from hf_cushing.readers.table import LEVELS
from hf_cushing.reports.table import interval_text, p_text
from hf_cushing.stats.intervals import INSUFFICIENT
from hf_cushing.stats.mrmc import FIXED_READERS, RANDOM

SAME = 0.05
ALL = "all readers"


def verdicts(report: ReaderReport) -> list[str]:
    """All sentences, the most important first."""
    found = [_who(report), *_handling(report)]
    if report.size == "insufficient":
        found.append(
            f"Too few patients: fewer than {INSUFFICIENT} with or without {report.label}. "
            "Nothing here supports a statement about readers or the model."
        )
    return [*found, *_averages(report), *_differences(report), *_sexes(report), *_mcnemar(report),
            *_agreement(report)]  # fmt: skip


def _who(report: ReaderReport) -> str:
    counts = Counter(report.readers.values())
    levels = ", ".join(f"{counts[level]} {level}{'s' * (counts[level] > 1)}" for level in LEVELS
                       if counts[level])  # fmt: skip
    healthy = f"{report.negative_patients} without {report.label}"
    return (
        f"{_count(len(report.readers), 'reader')} ({levels}) judged "
        f"{_count(report.photos, 'photo')} of {_count(report.patients, 'patient')}: "
        f"{report.positive_patients} patients with and {healthy}. Sample: {report.size}."
    )


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _handling(report: ReaderReport) -> Iterator[str]:
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


def _primary(report: ReaderReport) -> str:
    scored = any(row.metric == "auroc" for row in report.effects.rows)
    return "auroc" if scored else "accuracy"


def _pick(report: ReaderReport, question: str, metric: str, read: str = "") -> Effect | None:
    """For other readers and patients; for these readers only where one reader is all."""
    rows = [
        row
        for row in report.effects.rows
        if (row.question, row.group, row.metric) == (question, ALL, metric)
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
    reads = dict.fromkeys(row.read for row in report.effects.rows if row.question == MEAN)
    for read in reads:
        rows = [_pick(report, MEAN, metric, read) for metric in
                ("auroc", "sensitivity", "specificity")]  # fmt: skip
        known = [row for row in rows if row]
        if known:
            parts = [
                f"{METRIC_NAMES.get(row.metric, row.metric)} "
                f"{interval_text(row.estimate.estimate, row.estimate.low, row.estimate.high, 2)}"
                for row in known
            ]
            few = "; too few patients for a statement" if known[0].size == "insufficient" else ""
            yield (
                f"Readers {read}, on average over {_count(known[0].readers, 'reader')} and "
                f"{_count(known[0].photos, 'photo')}: {', '.join(parts)} "
                f"({_scope(known[0])}{few})."
            )


def _differences(report: ReaderReport) -> Iterator[str]:
    first = report.reads[0]
    for question, names in (
        (AGAINST[first], ("the readers", "the model")),
        (GAIN, ("readers with the model", "readers alone")),
    ):
        for metric in (_primary(report), "sensitivity", "specificity"):
            row = _pick(report, question, metric)
            if row:
                yield difference_sentence(row, *names)
    if GAIN in {row.question for row in report.effects.rows}:
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
    name = METRIC_NAMES.get(row.metric, row.metric)
    name = name[0].upper() + name[1:]
    found, start = row.estimate, f"{name}, {first} against {second}"
    if row.size == "insufficient":
        return f"{start}: too few patients for a statement."
    if not math.isfinite(found.low):
        return f"{start}: no interval ({found.reason}), so no statement."
    told = f"{found.estimate:+.2f} ({found.low:+.2f} to {found.high:+.2f})".replace("-", "−")
    word = "higher" if found.estimate > 0 else "lower"
    excludes = found.low > 0 or found.high < 0
    if excludes and row.p_holm < SAME:
        return f"{start}: {word}, {told}, p {p_text(row.p_holm)} (Holm), {_scope(row)}."
    if excludes:
        return (
            f"{start}: {word} in this sample, {told}, but not after correction for several "
            f"metrics (p {p_text(row.p_holm)})."
        )
    return f"{start}: no difference was shown, which is not the same as none: {told}."


def _sexes(report: ReaderReport) -> Iterator[str]:
    kind = GROUP if len(report.readers) > 1 else READER
    for gap in report.gaps:
        if gap.read == report.reads[0] and gap.kind == kind and (gap.level == "" or kind == READER):
            yield _sex_sentence(gap, "Readers")
    for gap in report.gaps:
        if gap.kind == MODEL:
            yield _sex_sentence(gap, "Model")


def _sex_sentence(gap: SexGap, who: str) -> str:
    start = f"{who}, {METRIC_NAMES.get(gap.metric, gap.metric)} of women minus men"
    if gap.size == "insufficient":
        return f"{start}: too few patients of a sex for a statement."
    if not math.isfinite(gap.low):
        return f"{start}: undefined."
    told = f"{gap.gap:+.2f} ({gap.low:+.2f} to {gap.high:+.2f})".replace("-", "−")
    if gap.low > 0 or gap.high < 0:
        worse = "men" if gap.gap > 0 else "women"
        return f"{start}: {told}, lower for {worse} (one of several intervals, not corrected)."
    return f"{start}: {told}; no gap was shown, which is not the same as none."


def _mcnemar(report: ReaderReport) -> Iterator[str]:
    enough = [row for row in report.overlaps if row.size != "insufficient"]
    readers = [row for row in enough if row.kind == READER]
    told: dict[str, list[str]] = {"more": [], "less": []}
    for row in readers:
        if row.p_holm < SAME:
            counts = row.found.everyone
            told["more" if counts.first_only > counts.second_only else "less"].append(row.name)
    parts = [
        f"{', '.join(names)} {word} often right than the model"
        for word, names in told.items()
        if names
    ]
    if readers:
        some = "; ".join(parts) or "none can be told from the model"
        yield f"Reader by reader (McNemar, Holm over all lines of the table): {some}."
    for row in enough:
        if row.kind == MAJORITY and not row.level:
            counts = row.found.everyone
            end = "a difference" if row.p_holm < SAME else "no difference was shown"
            tied = f"; {row.tied} ties left out" if row.tied else ""
            yield (
                f"Only the {row.name} is right on {counts.first_only} photos, only the model on "
                f"{counts.second_only}, neither on {counts.both_wrong}, of {row.photos}{tied}: "
                f"{end} (p {p_text(row.p_holm)}, Holm)."
            )


def _agreement(report: ReaderReport) -> Iterator[str]:
    for row in report.agreement.fleiss:
        if row.group == ALL and row.size != "insufficient":
            kappa = row.kappa
            read = "with the model" if row.read == 2 else "alone"
            text = interval_text(kappa.estimate, kappa.low, kappa.high, 2)
            yield f"Agreement of {row.readers} readers {read}, Fleiss' kappa: {text}."
