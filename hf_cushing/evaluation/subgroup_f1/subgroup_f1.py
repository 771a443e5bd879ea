"""F1 of every subgroup with intervals, and the gap between the groups: a metric for `evaluate`.

`evaluate.load` copies this file and the one it imports into its cache and runs them there. So they
import nothing of the package they come from, and two intervals of it are repeated here (a test
holds them equal).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import datasets
import evaluate
import numpy as np
from scipy.special import ndtri

from .f1_formula import f1_score

AVERAGES = ("binary", "macro", "micro", "weighted")
LABELS = ("predictions", "references")
ENDS, NOTHING = ("low", "high"), (math.nan, math.nan)
INSUFFICIENT, WIDE = 10, 50
"""Fewer positives or negatives than this: no statement possible; only a rough one."""

DESCRIPTION = """\
F1 of every subgroup (women and men, say) with its interval, the gap between the best and the worst
group, and the counts that say how much of it to believe. What is undefined is NaN with a reason.
"""
CITATION = """\
@article{zou2008construction, author={Zou, Guang Yong and Donner, Allan}, year={2008},
  title={Construction of confidence limits about effect measures: a general approach},
  journal={Statistics in Medicine}, volume={27}, number={10}, pages={1693--1702}}
"""
INPUTS = """
Args:
    predictions: labels, whole numbers or words.
    references: the true labels, of the same kind.
    groups: the subgroup of each example.
    patients: who each example is of; then intervals and sizes count patients. An argument of
        `compute`, or a column of `add_batch` after `load(..., "patients")`.
    pos_label: the positive label for average="binary"; all others count as negative.
    average: "binary", "macro", "micro" or "weighted", over the labels found in any group.
    zero_division: F1 of a label that nobody has or is given: NaN (macro leaves it out), 0 or 1.
    intervals, level: whether to give intervals, and their level, between 0 and 1.
    draws, seed: of the bootstrap, for averages other than "binary".
Returns:
    f1, f1_low, f1_high, f1_reason: of all examples.
    by_group: for each group f1, low, high, reason, n, positives, negatives, size.
    gap, gap_low, gap_high, gap_reason: the largest F1 of a group minus the smallest.
    worst_group: the group with the smallest F1, or None.
"""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Arguments of `compute`, checked; the meaning of each is in `INPUTS`."""

    pos_label: int | str = 1
    average: str = "binary"
    zero_division: float = math.nan
    intervals: bool = True
    level: float = 0.95
    draws: int = 2000
    seed: int = 0

    def __post_init__(self):
        zero = self.zero_division
        for name, kept, choices in (
            ("average", self.average in AVERAGES, ", ".join(AVERAGES)),
            ("zero_division", zero in (0, 1) or zero != zero, "nan, 0, 1"),
            ("level", 0 < self.level < 1, "a share between 0 and 1, as in 0.95"),
            ("draws", isinstance(self.draws, int) and self.draws > 99, "a whole number from 100"),
        ):
            if not kept:
                raise ValueError(f"{name}={getattr(self, name)!r}: choose {choices}")

    @property
    def bootstrap(self) -> bool:
        """Whether patients are drawn."""
        return self.intervals and self.average != "binary"

    def ends(self, values: np.ndarray) -> list[float]:
        """Percentiles of the draws; `values` begin with that of the sample."""
        return np.quantile(values[1:], [0.5 - self.level / 2, 0.5 + self.level / 2]).tolist()


class SubgroupF1(evaluate.Metric):
    """F1 by subgroup, with intervals and the gap; arguments and answer are in `INPUTS`.

    Bad input is a ValueError, and a batch that is refused leaves nothing behind.

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
        configs = {"default": ["groups"], "patients": ["groups", "patients"]}
        if self.config_name not in configs:
            raise ValueError(f"no configuration '{self.config_name}'; choose default or patients")
        words = {name: datasets.Value("string") for name in configs[self.config_name]}
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=INPUTS,
            features=[  # words come first: `evaluate` would turn the word "1" into the number 1
                datasets.Features(
                    {name: datasets.Value(kind) for name in ("predictions", "references")} | words
                )
                for kind in ("string", "int32")
            ],
        )

    def add_batch(self, *, predictions: Any = None, references: Any = None, **columns: Any) -> None:
        """Add examples, as lists, arrays or tensors of equal length."""
        columns = {"predictions": predictions, "references": references} | columns
        known = _checked({name: columns.get(name) for name in self._feature_names()})
        super().add_batch(**(columns | known))

    def add(self, *, prediction: Any = None, reference: Any = None, **columns: Any) -> None:
        """Add one example."""
        columns = {"predictions": prediction, "references": reference} | columns
        self.add_batch(**{name: [value] for name, value in columns.items()})

    def _compute(
        self, predictions: list, references: list, groups: list, patients: Any = None, **given: Any
    ) -> dict[str, Any]:
        options = Options(**given)
        labels, rows = _numbers(predictions, references, patients, options)
        rng = np.random.default_rng(options.seed)
        parts = {str(name): rows[:, np.asarray(groups) == name] for name in np.unique(groups)}
        tables = {name: _tables(part, len(labels), options, rng) for name, part in parts.items()}
        by_group = {
            name: _group(part, tables[name], rows, labels, options) for name, part in parts.items()
        }
        whole = _group(rows, sum(tables.values()), rows, labels, options)
        found = {f"f1_{key}".removesuffix("_f1"): whole[key] for key in ("f1", *ENDS, "reason")}
        found |= {"by_group": by_group, **_gap(by_group, tables, options)}
        for entries in [found, *by_group.values()]:
            for key in () if options.intervals else [k for k in entries if k.endswith(ENDS)]:
                del entries[key]
        return found


def _checked(columns: dict[str, Any]) -> dict[str, list]:
    """The columns as lists of whole numbers or words, or a ValueError."""
    lists = {name: _plain(name, column) for name, column in columns.items()}
    lengths = {len(values) for values in lists.values()}
    if len(lengths) > 1 or 0 in lengths:
        counts = ", ".join(f"{len(values)} {name}" for name, values in lists.items())
        raise ValueError(f"found {counts}; give as many of each, and at least one")
    if len({type(v) for name in LABELS for v in lists.get(name, [])}) > 1:
        raise ValueError("predictions and references mix words and numbers; choose one of the two")
    return lists


def _plain(name: str, column: Any) -> list:
    if column is None:
        raise ValueError(f"{name} are missing; give one for each example")
    values = []
    for row, value in enumerate(column.tolist() if hasattr(column, "tolist") else column):
        value = value.item() if isinstance(value, np.generic) else value
        if value is None or value == "" or value != value:
            raise ValueError(f"{name}[{row}] is missing; leave such examples out")
        if not isinstance(value, str | int) and not (isinstance(value, float) and value % 1 == 0):
            raise ValueError(
                f"{name}[{row}] is {value!r}; give words or whole numbers, as in scores.argmax(-1) "
                "for scores"
            )
        kept = value if isinstance(value, str) else int(value)
        values.append(kept if name in LABELS else str(kept))
    return values


def _numbers(
    predictions: list, references: list, patients: Any, options: Options
) -> tuple[list, np.ndarray]:
    """The labels; and for each example the numbers of the true label, the call and the patient.

    Without patients each example is its own. For "binary" there are two labels, the positive one
    last.
    """
    who = np.arange(len(references))
    if patients is not None:
        checked = _checked({"references": references, "patients": patients})
        who = np.unique(checked["patients"], return_inverse=True)[1]
    labels, columns = sorted({*predictions, *references}), np.array([references, predictions])
    if options.average != "binary":
        return labels, np.stack([*np.searchsorted(labels, columns), who])
    positive = options.pos_label
    if positive not in labels:
        known = ", ".join(map(repr, labels))
        raise ValueError(f"pos_label={positive!r} is nobody's label; choose from {known}")
    return ["others", positive], np.stack([*(columns == positive), who])


def _tables(part: np.ndarray, size: int, options: Options, rng: np.random.Generator) -> np.ndarray:
    """True labels (rows) by calls: of the sample, then of draws where there is a bootstrap.

    Patients are drawn among those with the same true labels. Those whose examples are alike are
    interchangeable, so only their number is drawn.
    """
    truth, called, who = part
    patients, own = np.unique(who, return_inverse=True)
    cells = np.zeros((len(patients), size**2), np.int64)
    np.add.at(cells, (own, truth * size + called), 1)
    drawn = np.zeros((options.draws if options.bootstrap else 0, size**2), np.int64)
    held = cells.reshape(-1, size, size).any(2)
    kinds = np.unique(held, axis=0, return_inverse=True)[1].reshape(-1)
    for kind in range(kinds.max() + 1) if len(drawn) else ():
        profiles, times = np.unique(cells[kinds == kind], axis=0, return_counts=True)
        drawn += rng.multinomial(times.sum(), times / times.sum(), len(drawn)) @ profiles
    return np.vstack([cells.sum(0), drawn]).reshape(-1, size, size)


def f1_of(tables: np.ndarray, options: Options) -> np.ndarray:
    """F1 of tables of true labels (rows) and calls, shape (..., labels, labels)."""
    hits = np.diagonal(tables, axis1=-2, axis2=-1)
    support = tables.sum(-1)
    either = support + tables.sum(-2)
    if options.average == "micro":
        return f1_score(hits.sum(-1), (either - hits).sum(-1))
    each = np.where(either > 0, f1_score(hits, either - hits), options.zero_division)
    if options.average == "binary":
        return each[..., 1]
    weight = support if options.average == "weighted" else ~np.isnan(each)
    total = weight.sum(-1)
    sums = (np.nan_to_num(each) * weight).sum(-1)
    return np.where(total > 0, sums / np.maximum(total, 1), math.nan)


def _group(
    part: np.ndarray, tables: np.ndarray, rows: np.ndarray, labels: list, options: Options
) -> dict[str, Any]:
    """F1 of one group and how many patients it is of; for averages, with the rarest label."""
    truth, called, who = part
    values, reason, ends = f1_of(tables, options), _reason(tables[0], labels, options), NOTHING
    judged = [1] if options.average == "binary" else np.unique(rows[0]).tolist()
    positives, positive = min((len(np.unique(who[truth == label])), label) for label in judged)
    negatives = len(np.unique(who[truth != positive]))
    rarer = min(positives, negatives)
    if options.average == "binary":  # the Jaccard index TP / (TP + FP + FN) is a proportion
        used = (truth + called) > 0
        share = (truth * called)[used].mean() if used.any() else math.nan
        bounds = wilson(float(share), len(np.unique(who[used])), options.level)
        ends = f1_score(np.array(bounds), 1).tolist()
    elif options.bootstrap and rarer < INSUFFICIENT:
        few = f"no interval: fewer than {INSUFFICIENT} of the rarest label"
        reason = f"{reason}; {few}" if reason else few
    elif options.bootstrap:
        ends = options.ends(values)
    return {
        "f1": float(values[0]), "low": ends[0], "high": ends[1], "reason": reason,
        "n": len(who), "positives": positives, "negatives": negatives,
        "size": "insufficient" if rarer < INSUFFICIENT else "wide" if rarer < WIDE else "ok",
    }  # fmt: skip


def _reason(table: np.ndarray, labels: list, options: Options) -> str:
    """Why F1 is undefined, or a mean of fewer labels than elsewhere; empty if it is neither."""
    used = (table.sum(0) + table.sum(1)) > 0
    by_hand = "" if math.isnan(options.zero_division) else "set by zero_division: "
    if options.average == "binary":
        return "" if used[1] else f"{by_hand}no positives, and nobody is called positive"
    if options.average != "macro" or used.all():
        return ""
    absent = ", ".join(str(label) for label, one in zip(labels, used, strict=True) if not one)
    start = by_hand or f"mean over {used.sum()} of {len(labels)} labels: "
    return f"{start}nobody has or is called {absent}"


def _gap(by_group: dict[str, dict], tables: dict[str, np.ndarray], options: Options) -> dict:
    """Largest minus smallest F1 of the groups that have one, and the group of the smallest."""
    known = sorted((r["f1"], name) for name, r in by_group.items() if not math.isnan(r["f1"]))
    reason = "; ".join(f"{name}: {r['reason']}" for name, r in by_group.items() if r["reason"])
    if len(by_group) == 1:
        reason = f"only one group: {', '.join(by_group)}"
    gap, ends, worst = math.nan, NOTHING, None
    if len(known) > 1:
        gap, worst, best = known[-1][0] - known[0][0], known[0][1], known[-1][1]
        sides = [[by_group[name][key] for key in ("f1", *ENDS)] for name in (best, worst)]
        ends = difference_interval(*sides)
        if options.bootstrap and not math.isnan(ends[0]):
            ends = options.ends(f1_of(tables[best], options) - f1_of(tables[worst], options))
    return {
        "gap": gap, "gap_low": ends[0], "gap_high": ends[1], "gap_reason": reason,
        "worst_group": worst if gap > 1e-12 else None,
    }  # fmt: skip


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
    """Interval of a difference of (estimate, low, high); Zou and Donner 2008."""
    (a, a_low, a_high), (b, b_low, b_high) = first, second
    gap = a - b
    return gap - math.hypot(a - a_low, b_high - b), gap + math.hypot(a_high - a, b - b_low)
