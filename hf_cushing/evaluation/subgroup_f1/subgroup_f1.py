"""F1 of every subgroup with intervals, and the gap between the groups: a metric for `evaluate`.

`evaluate.load` copies this file alone into its cache and runs it there, so it imports nothing of
the package it comes from, and repeats two intervals of it (a test holds them equal).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import datasets
import evaluate
import numpy as np
from scipy.special import ndtri

AVERAGES = ("binary", "macro", "micro", "weighted")
CONFIGS = ("default", "patients")

INSUFFICIENT, WIDE = 10, 50
"""Fewer positives or negatives than this: no statement possible; only a rough one."""

FEWEST_DRAWS = 100

NOTHING = "no positives, and nobody is called positive"

DESCRIPTION = """\
F1 of every subgroup (women and men, say) with its interval, the gap between the best and the worst
group, and the counts that say how much of it to believe. What is undefined is NaN with a reason.
"""

CITATION = """\
@article{zou2008construction,
  title={Construction of confidence limits about effect measures: a general approach},
  author={Zou, Guang Yong and Donner, Allan},
  journal={Statistics in Medicine},
  volume={27},
  number={10},
  pages={1693--1702},
  year={2008}
}
"""

INPUTS = """
Args:
    predictions: labels, whole numbers or words.
    references: the true labels, of the same kind.
    groups: the subgroup of each example, a word.
    patients: who each example is of; then intervals and sizes count patients. An argument of
        `compute`, or a column of `add_batch` after `load(..., "patients")`.
    pos_label: the positive label for average="binary"; all others count as negative.
    average: "binary", "macro", "micro" or "weighted", over the labels of all groups.
    zero_division: the F1 of a label that nobody has and nobody is given: NaN (then macro leaves
        it out), 0 or 1.
    intervals: whether to give intervals.
    level: of the intervals, between 0 and 1.
    draws: of the bootstrap, for averages other than "binary".
    seed: of the bootstrap.
Returns:
    f1, f1_low, f1_high, f1_reason: of all examples.
    by_group: for each group f1, low, high, n, positives, negatives, size, reason.
    gap, gap_low, gap_high, gap_reason: the largest F1 of a group minus the smallest.
    worst_group: the group with the smallest F1, or None.
"""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Arguments of `compute`, checked; the meaning of each is in `INPUTS`."""

    pos_label: int | str
    average: str
    zero_division: float
    intervals: bool
    level: float
    draws: int
    seed: int

    def __post_init__(self):
        if self.average not in AVERAGES:
            raise ValueError(
                f"average={self.average!r} is not known; choose from {', '.join(AVERAGES)}"
            )
        number = isinstance(self.zero_division, int | float)
        if not number or not (self.zero_division in (0, 1) or math.isnan(self.zero_division)):
            raise ValueError(f"zero_division={self.zero_division!r}: choose from nan, 0 and 1")
        if not 0 < self.level < 1:
            raise ValueError(f"level={self.level!r}: choose a share between 0 and 1, as in 0.95")
        if self.draws < FEWEST_DRAWS:
            raise ValueError(f"draws={self.draws!r}: choose at least {FEWEST_DRAWS}")

    @property
    def resampled(self) -> bool:
        """Whether intervals come from the bootstrap."""
        return self.intervals and self.average != "binary"


@dataclass(frozen=True, kw_only=True)
class Counts:
    """All that is needed of some examples; `unit` is a patient, or an example without patients.

    Attributes
    ----------
    table : numpy.ndarray
        int, shape (labels, labels): examples by reference (row) and prediction.
    involved : int
        Units that are or are called the second label, which is the positive one.
    positives, negatives : int
        Units with and without the positive label; for averages over several labels, the one
        with the fewest units.
    drawn : numpy.ndarray or None
        `table` of each bootstrap draw, shape (draws, labels, labels).
    """

    table: np.ndarray
    involved: int
    positives: int
    negatives: int
    drawn: np.ndarray | None


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """An F1 or a gap; `draws` are its values in the bootstrap, shape (draws,)."""

    value: float
    low: float = math.nan
    high: float = math.nan
    draws: np.ndarray | None = None
    reason: str = ""

    def flat(self, name: str, prefix: str, options: Options) -> dict[str, Any]:
        """Entries of the answer; without the ends where no intervals are wanted."""
        ends = {f"{prefix}low": self.low, f"{prefix}high": self.high} if options.intervals else {}
        return {name: self.value} | ends | {f"{prefix}reason": self.reason}


class SubgroupF1(evaluate.Metric):
    """F1 by subgroup, with intervals and the gap; see `INPUTS`.

    Raises
    ------
    ValueError
        On bad input; a batch that is refused leaves nothing behind.

    Examples
    --------
    >>> found = SubgroupF1().compute(
    ...     predictions=[1, 1, 0, 1, 0, 0],
    ...     references=[1, 1, 0, 1, 1, 0],
    ...     groups=["female", "female", "female", "male", "male", "male"],
    ... )
    >>> found["by_group"]["male"]["f1"], found["gap"], found["worst_group"]
    (0.6666666666666666, 0.33333333333333337, 'male')
    """

    def _info(self) -> evaluate.MetricInfo:
        if self.config_name not in CONFIGS:
            raise ValueError(
                f"no configuration '{self.config_name}'; choose from {', '.join(CONFIGS)}"
            )
        words = ("groups", "patients") if self.config_name == "patients" else ("groups",)
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=INPUTS,
            features=[
                # words first: `evaluate` would turn the word "1" into the number 1
                datasets.Features(
                    {name: datasets.Value(kind) for name in ("predictions", "references")}
                    | {name: datasets.Value("string") for name in words}
                )
                for kind in ("string", "int32")
            ],
        )

    def add_batch(self, *, predictions: Any = None, references: Any = None, **columns: Any) -> None:
        """Add examples, as lists, arrays or tensors of equal length."""
        columns |= {"predictions": predictions, "references": references}
        super().add_batch(**_checked(columns, self._feature_names()))

    def add(self, *, prediction: Any = None, reference: Any = None, **columns: Any) -> None:
        """Add one example."""
        columns |= {"predictions": prediction, "references": reference}
        columns = {name: value if value is None else [value] for name, value in columns.items()}
        one = {name: values[0] for name, values in _checked(columns, self._feature_names()).items()}
        super().add(prediction=one.pop("predictions"), reference=one.pop("references"), **one)

    def _compute(
        self,
        predictions: list,
        references: list,
        groups: list,
        *,
        patients: Any = None,
        pos_label: int | str = 1,
        average: str = "binary",
        zero_division: float = math.nan,
        intervals: bool = True,
        level: float = 0.95,
        draws: int = 2000,
        seed: int = 0,
    ) -> dict[str, Any]:
        options = Options(
            pos_label=pos_label, average=average, zero_division=zero_division, intervals=intervals,
            level=level, draws=draws, seed=seed,
        )  # fmt: skip
        who = np.arange(len(groups))
        if patients is not None:
            columns = _checked({"groups": groups, "patients": patients}, ["groups", "patients"])
            who = np.unique(columns["patients"], return_inverse=True)[1]
        labels, truth, called = _numbers(predictions, references, options)
        rows = np.stack([truth, called, who])
        groups, rng = np.asarray(groups), np.random.default_rng(seed)
        judged = [1] if average == "binary" else np.unique(truth).tolist()
        parts = {
            name: _count(rows[:, groups == name], len(labels), judged, options, rng)
            for name in np.unique(groups).tolist()
        }
        whole = _count(rows, len(labels), judged, options, None)
        if options.resampled:
            whole = replace(whole, drawn=sum(part.drawn for part in parts.values()))
        found = {name: _estimate(part, labels, options) for name, part in parts.items()}
        gap, worst = _gap(found, options)
        return {
            **_estimate(whole, labels, options).flat("f1", "f1_", options),
            "by_group": {
                name: estimate.flat("f1", "", options) | _sizes(parts[name])
                for name, estimate in found.items()
            },
            **gap.flat("gap", "gap_", options),
            "worst_group": worst,
        }


def _checked(columns: dict[str, Any], names: list[str]) -> dict[str, list]:
    """Columns as lists of whole numbers or words, or a ValueError."""
    for name in names:
        if columns.get(name) is None:
            raise ValueError(f"{name} are missing; give one for each example")
    lists = {
        name: column if name not in names else _plain(name, column)
        for name, column in columns.items()
    }
    lengths = {name: len(lists[name]) for name in names}
    if len(set(lengths.values())) > 1 or not min(lengths.values()):
        told = ", ".join(f"{count} {name}" for name, count in lengths.items())
        raise ValueError(f"there are {told}; give one of each for each example, and one or more")
    kinds = {type(value) for name in ("predictions", "references") for value in lists.get(name, [])}
    if len(kinds) > 1:
        raise ValueError(
            "predictions and references mix words and numbers; write both as the same kind"
        )
    return lists


def _plain(name: str, column: Any) -> list:
    values = column.tolist() if hasattr(column, "tolist") else list(column)
    values = [_value(value, f"{name}[{row}]") for row, value in enumerate(values)]
    return values if name in ("predictions", "references") else [str(value) for value in values]


def _value(value: Any, where: str) -> int | str:
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        raise ValueError(f"{where} is missing; leave such examples out")
    if isinstance(value, str):
        return value
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    raise ValueError(
        f"{where} is {value!r}; give words or whole numbers, as in scores.argmax(-1) for scores"
    )


def _numbers(
    predictions: list, references: list, options: Options
) -> tuple[list, np.ndarray, np.ndarray]:
    """The labels, and for each example the numbers of the true and of the predicted one."""
    labels = sorted({*predictions, *references})
    truth, called = np.asarray(references), np.asarray(predictions)
    if options.average != "binary":
        return labels, np.searchsorted(labels, truth), np.searchsorted(labels, called)
    positive = options.pos_label
    if positive not in labels:
        raise ValueError(
            f"pos_label={positive!r} is nobody's label; choose from {', '.join(map(repr, labels))}"
        )
    return ["others", positive], (truth == positive).astype(int), (called == positive).astype(int)


def _count(
    rows: np.ndarray,
    size: int,
    judged: list[int],
    options: Options,
    rng: np.random.Generator | None,
) -> Counts:
    """Count examples (truth, call, unit; shape (3, n)) of `size` labels."""
    truth, called, who = rows
    positives, positive = min((_distinct(who[truth == label]), label) for label in judged)
    return Counts(
        table=np.bincount(truth * size + called, minlength=size**2).reshape(size, size),
        involved=_distinct(who[(truth == 1) | (called == 1)]),
        positives=positives,
        negatives=_distinct(who[truth != positive]),
        drawn=_draw(rows, size, options.draws, rng) if rng and options.resampled else None,
    )


def _distinct(who: np.ndarray) -> int:
    return len(np.unique(who))


def _draw(rows: np.ndarray, size: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Tables of bootstrap draws of units, among those that have the same true labels.

    Units whose examples are alike are interchangeable, so only their number is drawn.
    """
    truth, called, who = rows
    units, unit = np.unique(who, return_inverse=True)
    cells = np.zeros((len(units), size**2), np.int64)
    np.add.at(cells, (unit, truth * size + called), 1)
    held = cells.reshape(-1, size, size).any(2)
    kinds = np.unique(held, axis=0, return_inverse=True)[1].reshape(-1)
    total = np.zeros((draws, size**2), np.int64)
    for kind in range(kinds.max() + 1):
        profiles, times = np.unique(cells[kinds == kind], axis=0, return_counts=True)
        total += rng.multinomial(times.sum(), times / times.sum(), draws) @ profiles
    return total.reshape(draws, size, size)


def f1_of(tables: np.ndarray, options: Options) -> np.ndarray:
    """F1 of tables of references (rows) and predictions, shape (..., labels, labels)."""
    hits = np.diagonal(tables, axis1=-2, axis2=-1)
    support = tables.sum(-1)
    either = support + tables.sum(-2)
    if options.average == "micro":
        return _ratio(2 * hits.sum(-1), either.sum(-1), math.nan)
    each = _ratio(2 * hits, either, options.zero_division)
    if options.average == "binary":
        return each[..., 1]
    weight = support if options.average == "weighted" else ~np.isnan(each)
    return _ratio((np.nan_to_num(each) * weight).sum(-1), weight.sum(-1), math.nan)


def _ratio(above: np.ndarray, below: np.ndarray, undefined: float) -> np.ndarray:
    return np.where(below > 0, above / np.maximum(below, 1), undefined)


def _estimate(counts: Counts, labels: list, options: Options) -> Estimate:
    value = float(f1_of(counts.table, options))
    reason = _reason(counts.table, labels, options)
    if not options.intervals:
        return Estimate(value=value, reason=reason)
    if not options.resampled:
        whole = counts.table[1].sum() + counts.table[0, 1]
        share = counts.table[1, 1] / whole if whole else math.nan  # the Jaccard index
        low, high = (2 * x / (1 + x) for x in wilson(share, counts.involved, options.level))
        return Estimate(value=value, low=low, high=high, reason=reason)
    if min(counts.positives, counts.negatives) < INSUFFICIENT:
        few = f"no interval: fewer than {INSUFFICIENT} of the rarest label"
        return Estimate(value=value, reason="; ".join(filter(None, (reason, few))))
    draws = f1_of(counts.drawn, options)
    low, high = _percentiles(draws, options.level)
    return Estimate(value=value, low=low, high=high, draws=draws, reason=reason)


def _reason(table: np.ndarray, labels: list, options: Options) -> str:
    """Why F1 is undefined, or a mean of fewer labels than elsewhere; empty if it is neither."""
    used = (table.sum(0) + table.sum(1)) > 0
    by_hand = "" if math.isnan(options.zero_division) else "set by zero_division: "
    if options.average == "binary":
        return "" if used[1] else by_hand + NOTHING
    if options.average != "macro" or used.all():
        return ""
    absent = ", ".join(str(label) for label, one in zip(labels, used, strict=True) if not one)
    told = f"nobody has or is given {absent}"
    return by_hand + told if by_hand else f"mean over {used.sum()} of {len(labels)} labels: {told}"


def _gap(found: dict[str, Estimate], options: Options) -> tuple[Estimate, str | None]:
    """Largest minus smallest F1 of the groups that have one, and the group of the smallest."""
    known = sorted((one.value, name) for name, one in found.items() if not math.isnan(one.value))
    without = [f"{name} ({one.reason})" for name, one in found.items() if math.isnan(one.value)]
    reason = f"without {', '.join(without)}" if without else ""
    if len(known) < 2:
        reason = reason or f"only one group: {', '.join(found)}"
        return Estimate(value=math.nan, reason=f"undefined {reason}"), None
    worst, best = found[known[0][1]], found[known[-1][1]]
    gap = best.value - worst.value
    low, high = math.nan, math.nan
    if best.draws is not None and worst.draws is not None:
        low, high = _percentiles(best.draws - worst.draws, options.level)
    elif options.intervals and not options.resampled:
        low, high = difference_interval(*((x.value, x.low, x.high) for x in (best, worst)))
    if options.intervals and math.isnan(low):
        reason = "; ".join(filter(None, (reason, best.reason, worst.reason)))
    return Estimate(value=gap, low=low, high=high, reason=reason), known[0][1] if gap else None


def _percentiles(draws: np.ndarray, level: float) -> tuple[float, float]:
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _sizes(counts: Counts) -> dict[str, Any]:
    rarer = min(counts.positives, counts.negatives)
    size = "insufficient" if rarer < INSUFFICIENT else "wide" if rarer < WIDE else "ok"
    return {
        "n": int(counts.table.sum()),
        "positives": counts.positives,
        "negatives": counts.negatives,
        "size": size,
    }


def wilson(share: float, count: float, level: float) -> tuple[float, float]:
    """Wilson's score interval of a proportion (1927, J Am Stat Assoc 22:209)."""
    if not count or math.isnan(share):
        return math.nan, math.nan
    z2 = float(ndtri(0.5 + level / 2)) ** 2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = math.sqrt(z2 * (share * (1 - share) / count + z2 / (4 * count**2))) / (1 + z2 / count)
    return max(0.0, middle - half), min(1.0, middle + half)


def difference_interval(
    first: tuple[float, float, float], second: tuple[float, float, float]
) -> tuple[float, float]:
    """Interval of a difference from estimate, low and high of each side.

    Zou and Donner (2008, Stat Med 27:1693).
    """
    (a, a_low, a_high), (b, b_low, b_high) = first, second
    gap = a - b
    return gap - math.hypot(a - a_low, b_high - b), gap + math.hypot(a_high - a, b - b_low)
