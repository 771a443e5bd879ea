"""What a study says first, in the order of every report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hf_cushing.compare.learned import beats_chance
from hf_cushing.compare.learning import LEARNING
from hf_cushing.compare.results import ArmResult, LabelResult
from hf_cushing.evaluation.first_screen import people_sentence, sex_sentence
from hf_cushing.evaluation.options import MARGIN, PRIMARY
from hf_cushing.reports.screen import Section
from hf_cushing.schema import KNOWN_SEXES


def study_screen(
    results: Sequence[LabelResult], verdicts: Sequence[str], *, dataset: str, runs: int
) -> list[Section]:
    """Titled sentences; people and sexes are those of the network that validation prefers.

    Parameters
    ----------
    results : sequence of LabelResult
    verdicts : sequence of str
        Of `study_verdicts`: what learned, what it adds, the ranking.
    dataset : str
        Its name and revision.
    runs : int
        Finished ones.
    """
    first = results[0].arms
    row = first[0].subgroups["all"].report
    baselines = sum(arm.arm.is_baseline for arm in first)
    what = (
        f"{len(first)} arms, {baselines} of them baselines, in {runs} runs; dataset {dataset}; "
        f"{row.rows} test photos of {row.patients} patients, {row.positive_patients} with and "
        f"{row.negative_patients} without {results[0].label}."
    )
    ranking = [line for line in verdicts if "o winner" in line or "highest" in line]
    curves = [line for line in verdicts if LEARNING in line]
    sections = [
        Section("What", (what,)),
        Section("Chance", tuple(line for line in verdicts if line not in [*ranking, *curves])),
        Section("People", tuple(_people(results))),
        Section("Women, men", tuple(_sexes(results))),
        Section("Ranking", tuple(ranking)),
        Section("More patients", tuple(curves)),
        Section("Next", (_next(results),)),
    ]
    return [section for section in sections if section.lines]


def _networks(results: Sequence[LabelResult]) -> Iterator[tuple[LabelResult, ArmResult]]:
    for result in results:
        for arm in result.arms:
            if arm.arm == result.network:
                yield result, arm


def _people(results: Sequence[LabelResult]) -> Iterator[str]:
    for result, arm in _networks(results):
        yield f"{arm.arm.name} (the network with the best AUROC on validation), by photo:"
        for subgroup in ("all", *KNOWN_SEXES):
            report, several = arm.subgroups[subgroup].report, len(results) > 1
            yield people_sentence(report, result.label, several=several)


def _sexes(results: Sequence[LabelResult]) -> Iterator[str]:
    for _, arm in _networks(results):
        for metric in (PRIMARY, "recall"):
            if gap := arm.gaps.get(metric):
                yield sex_sentence(gap, margin=MARGIN, primary=PRIMARY)


def _next(results: Sequence[LabelResult]) -> str:
    if any(beats_chance(arm) for result in results for arm in result.arms):
        return (
            "Where a model looks: hf-cushing explain, with its run under cells/. Another clinic: "
            "hf-cushing compare --external."
        )
    return "Look at hf-cushing audit, and at more patients, before anything else."
